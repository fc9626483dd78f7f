"""The state machine of a guide entry, and the versions that it passes through.

PENDING_APPROVAL → APPROVED | REJECTED; an update of either → PENDING_APPROVAL; any → ARCHIVED.
Pure: which fields an update changes, and who may ask for what, is decided elsewhere.
"""

from typing import NamedTuple, Self, TypeAlias

from kintsugi.v1 import guide_entry_pb2 as pb

from server.domain.errors import IllegalTransition

State: TypeAlias = "pb.GuideEntry.State.ValueType"

_PENDING = pb.GuideEntry.STATE_PENDING_APPROVAL
_ARCHIVED = pb.GuideEntry.STATE_ARCHIVED


class Version(NamedTuple):
    """`major.minor`; 0.0 is none."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        major, _, minor = text.partition(".")
        return cls(int(major or 0), int(minor or 0))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}" if any(self) else ""


NONE = Version(0, 0)


class Standing(NamedTuple):
    """Where an entry stands: the state of its newest version, which that is, which is in use."""

    state: State
    version: Version
    approved: Version

    @classmethod
    def of(cls, entry: pb.GuideEntry) -> Self:
        version, approved = map(Version.parse, (entry.version, entry.approved_version))
        return cls(entry.state, version, approved)

    def put(self, entry: pb.GuideEntry) -> None:
        entry.state = self.state
        entry.version = str(self.version)
        entry.approved_version = str(self.approved)


DRAFT = Standing(_PENDING, Version(0, 1), NONE)
"""Where every entry begins."""


def revise(standing: Standing) -> Standing:
    """It says something else → PENDING_APPROVAL at the next minor version.

    Raises IllegalTransition where it is ARCHIVED.
    """
    if standing.state == _ARCHIVED:
        raise IllegalTransition(
            "a guide entry that is ARCHIVED can't be changed; undelete it first"
        )
    major, minor = standing.version
    return Standing(_PENDING, Version(major, minor + 1), standing.approved)


def approve(standing: Standing) -> Standing:
    """PENDING_APPROVAL → APPROVED at the next major version, which is the one in use then.

    Raises IllegalTransition from any other state.
    """
    _check_pending(standing.state, "approved")
    version = Version(standing.version.major + 1, 0)
    return Standing(pb.GuideEntry.STATE_APPROVED, version, version)


def reject(standing: Standing) -> Standing:
    """PENDING_APPROVAL → REJECTED. Raises IllegalTransition from any other state."""
    _check_pending(standing.state, "rejected")
    return standing._replace(state=pb.GuideEntry.STATE_REJECTED)


def delete(standing: Standing) -> Standing:
    """Any → ARCHIVED, once. Raises IllegalTransition where it is that."""
    if standing.state == _ARCHIVED:
        raise IllegalTransition("the guide entry is ARCHIVED already")
    return standing._replace(state=_ARCHIVED)


def undelete(standing: Standing) -> Standing:
    """ARCHIVED → where it was: unspecified here, because whoever stores entries has kept that.

    Raises IllegalTransition from any other state.
    """
    if standing.state != _ARCHIVED:
        raise IllegalTransition(
            "only a guide entry that is ARCHIVED can be undeleted;"
            f" this one is {_label(standing.state)}"
        )
    return standing._replace(state=pb.GuideEntry.STATE_UNSPECIFIED)


def _check_pending(state: State, done: str) -> None:
    if state != _PENDING:
        raise IllegalTransition(
            f"only a guide entry that is PENDING_APPROVAL can be {done};"
            f" this one is {_label(state)}"
        )


def _label(state: State) -> str:
    return pb.GuideEntry.State.Name(state).removeprefix("STATE_")
