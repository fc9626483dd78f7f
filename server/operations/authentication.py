"""Who calls, by the token that a call came with: one of ours, or an identity provider's.

What is known of a token is kept for half a second, so that most calls need no look at the database,
and that it is no good for some seconds.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

from kintsugi.v1.member_pb2 import Role

from server.domain.access import PERMISSIONS, Membership, common_role
from server.domain.access_tokens import PREFIX, digest
from server.domain.errors import CredentialsInvalid
from server.domain.names import WorkspaceName
from server.operations.refused_tokens import Refusal, RefusedTokens
from server.store.access import CALLER, MEMBERSHIPS, TOKEN_USED
from server.store.connection import Row
from server.store.store import Store

_KEPT_SECONDS = 0.5
_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal, `users/ada`, with one of its tokens, by its id; a provider's has none.

    `memberships` are by workspaces' names, of those that the token is good for, `is_everywhere` if
    they are all. `found` is when, on the clock of `time.monotonic()`.
    """

    principal: str
    token: str
    memberships: Mapping[str, Membership]
    is_everywhere: bool
    found: float


class Authenticator:
    """Finds callers by their tokens.

    `provided` tells the user's id for a token of an identity provider, or raises
    CredentialsInvalid.
    """

    def __init__(self, store: Store, provided: Callable[[str], str] | None = None) -> None:
        self._store = store
        self._provided = provided
        self._lock = threading.Lock()
        self._kept: dict[bytes, Caller] = {}
        self._refused = RefusedTokens()

    def caller(self, token: str, *, since: float = 0.0) -> Caller:
        """What was known of the token at `since` or later, and at most half a second ago.

        Raises CredentialsInvalid, DatabaseUnavailable, DeadlinePassed.
        """
        key = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and kept.found >= max(since, monotonic() - _KEPT_SECONDS):
            return kept
        found = monotonic()  # what changes while it is looked up may be missing
        with self._lock:
            self._kept.pop(key, None)
        caller = self._find(token, found)
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = caller
        return caller

    def _find(self, token: str, found: float) -> Caller:
        if self._provided and not token.startswith(PREFIX):
            return self._find_user(self._provided(token), found)
        key = digest(token)
        if key is None:
            raise CredentialsInvalid("is damaged or incomplete")
        if known := self._refused.find(key):
            raise CredentialsInvalid(*known)
        rows = self._store.database.all(CALLER, {"digest": key})
        if refusal := _refusal(rows):
            self._refused.add(key, refusal)
            raise CredentialsInvalid(*refusal)
        self._note_use(rows[0])
        return _read(rows, found)

    def _find_user(self, id: str, found: float) -> Caller:
        rows = self._store.database.all(MEMBERSHIPS, {"id": id})
        memberships = _memberships((row[-1], row) for row in rows)
        return Caller(f"users/{id}", "", memberships, is_everywhere=True, found=found)

    def _note_use(self, row: Row) -> None:
        workspace, id, _, _, _, is_due, *_ = row
        if is_due:
            self._store.database.all(TOKEN_USED, {"workspace": workspace, "id": id})


def _refusal(rows: list[Row]) -> Refusal | None:
    if not rows:
        return ("is not known here",)
    home, id, principal, _, problem, *_ = rows[0]
    return (problem, f"users/{principal}", id, _home(home, rows)) if problem else None


def _read(rows: list[Row], found: float) -> Caller:
    _, id, principal, role, _, _, is_everywhere, *_ = rows[0]
    return Caller(
        f"users/{principal}",
        id,
        _memberships((role, row) for row in rows),
        is_everywhere,
        found,
    )


def _home(uid: str, rows: list[Row]) -> str:
    """The name of the token's workspace, or nothing where its principal is no member any more."""
    names = (WorkspaceName(*row[-4:-2]) for row in rows if row[-5] == uid)
    return "".join(map(str, names))


def _memberships(given: Iterable[tuple[Role.ValueType, Row]]) -> dict[str, Membership]:
    """Out of pairs of the highest role that there may be and a row."""
    return dict(filter(None, (_membership(role, row) for role, row in given)))


def _membership(token_role: Role.ValueType, row: Row) -> tuple[str, Membership] | None:
    uid, organization, workspace, features, role = row[-5:]
    effective = common_role(token_role, role) if uid else None
    if effective is None:
        return None
    name = str(WorkspaceName(organization, workspace))
    return name, Membership(str(uid), PERMISSIONS[effective], effective, frozenset(features))
