"""What is found out about a failure, in the form in which a tool answers it: JSON, and back.

How it is ranked, and what is concluded from it, is said elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Finding:
    """Something that a tool answers."""

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        return cls(**plain)


@dataclass(frozen=True)
class Pattern(Finding):
    """The other exceptions with the same fingerprint.

    - `others`: how many there are, up to a bound; `since`: the day of the first, or empty.
    - `automations`: the ids of those that the newest of them are of, with the subject's own first.
    - `pending`: how many of the newest are; `last_hour`: how many were raised in the hour before.
    - `usual`: how many are in that hour of other days, on average.
    """

    others: int = 0
    since: str = ""
    automations: Sequence[str] = ()
    pending: int = 0
    last_hour: int = 0
    usual: float = 0.0


@dataclass(frozen=True)
class Guide(Finding):
    """A guide entry in use, as a candidate.

    - `name`: the full one. `is_own`: of the subject's automation.
    - `is_same`: it was learned from an exception with the same fingerprint.
    - `is_standing`: it may resolve this by itself, through the `connector` that its approver saw.
    - `worked`, `failed`: how often it did for exceptions of the pattern.
    """

    name: str
    title: str
    root_cause: str = ""
    steps: str = ""
    action_type: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    risk: int = 0
    is_own: bool = True
    is_same: bool = False
    is_standing: bool = False
    connector: str = ""
    connector_revision: int = 0
    worked: int = 0
    failed: int = 0
    similarity: float = 0.0
    confidence: float = 0.0


@dataclass(frozen=True)
class Past(Finding):
    """What a person once did about an exception, the newest of `times` with the same note."""

    name: str
    note: str
    is_same: bool = False
    times: int = 1
    similarity: float = 0.0
    confidence: float = 0.0
