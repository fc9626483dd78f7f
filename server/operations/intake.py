"""What workers make of exceptions that they haven't read yet: a description and a fingerprint.

Where a guide entry in use may resolve such a one by itself, a session is started.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import structlog
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import exception_pb2

from server.domain.agent_session_rules import DEFAULT_AGENT
from server.domain.call import LONGEST_SECONDS, Call, entered
from server.domain.description import describe
from server.domain.fingerprint import digest, fingerprint
from server.domain.ids import new_id
from server.domain.names import RunName, WorkspaceName
from server.domain.policy import GUIDE_ENTRY
from server.operations.session_thread import about_session, tell
from server.resources.agent_session import AGENT_SESSION
from server.resources.exception import EXCEPTION
from server.store.agent_sessions import create_statement
from server.store.changes import FURTHER, change_parameters
from server.store.connection import Transaction
from server.store.errors import Duplicate
from server.store.intake import READ, unread_statement
from server.store.standing import ANY_STANDING
from server.store.store import Store
from server.store.topics import SESSIONS, workspace_topic

_UNREAD = unread_statement(EXCEPTION.columns)
_CREATE = create_statement(AGENT_SESSION.columns)
_PENDING = exception_pb2.EXCEPTION_STATE_PENDING

_log = structlog.get_logger()


class Unread(NamedTuple):
    """An exception, and what is made of it. `is_new`: it isn't from an imported past."""

    workspace: str
    parent: WorkspaceName
    is_new: bool
    exception: exception_pb2.Exception
    fingerprint: bytes
    description: str

    @property
    def id(self) -> str:
        return self.exception.name.rpartition("/")[2]


def read_some(store: Store) -> int:
    """Reads some exceptions, the newest first; answers how many there were."""
    deadline = time.monotonic() + LONGEST_SECONDS
    with entered(Call("worker/DescribeException", DEFAULT_AGENT, deadline)):
        with store.database.transaction() as transaction:
            unread = _unread(transaction)
            standing = _standing(transaction, unread)
            _read(transaction, [each for each in unread if each.id not in standing])
        for each in unread:
            if each.id in standing:
                _start(store, each)
        store.notifier.announce(*{workspace_topic(each.workspace) for each in unread})
    return len(unread)


def _unread(transaction: Transaction) -> list[Unread]:
    found = []
    for workspace, organization, id, is_new, *row in transaction.all(_UNREAD, {}):
        parent = WorkspaceName(organization, id)
        exception = EXCEPTION.read(exception_pb2.Exception, str(parent), tuple(row))
        found.append(Unread(str(workspace), parent, is_new, exception, *_made_of(exception)))
    return found


def _made_of(exception: exception_pb2.Exception) -> tuple[bytes, str]:
    """The fingerprint and the description; of one that can't be read, that of itself, and none."""
    try:
        return fingerprint(exception.message), describe(exception)
    except Exception:  # noqa: BLE001 - the others are read all the same
        _log.exception("an exception can't be read", exception=exception.name)
        return digest(exception.message), ""


def _standing(transaction: Transaction, unread: Sequence[Unread]) -> set[str]:
    """The ids of those that may be resolved by a guide entry."""
    asked = [each for each in unread if each.is_new and each.exception.state == _PENDING]
    if not asked:
        return set()
    given = {
        "workspaces": [each.workspace for each in asked],
        "ids": [each.id for each in asked],
        "automations": [RunName.parse(each.exception.run).automation for each in asked],
        "fingerprints": [each.fingerprint for each in asked],
    }
    return {id for (id,) in transaction.all(ANY_STANDING, given)}


def _start(store: Store, unread: Unread) -> None:
    """Starts a session, together with reading: whatever happens, both are done, or neither.

    The session comes first, as where people start one. What somebody changes just now is left for
    the next time.
    """
    try:
        with store.database.transaction() as transaction:
            session = _create(transaction, unread)
            topics = tell(transaction, unread.workspace, session, about_session(session))
        store.notifier.announce(SESSIONS, *topics)
    except _Left:
        """Another worker has read it, or it is locked: then it is there again."""
    except Duplicate:
        with store.database.transaction() as transaction:
            _read(transaction, [unread])


class _Left(Exception):
    pass


def _create(transaction: Transaction, unread: Unread) -> pb.AgentSession:
    run = RunName.parse(unread.exception.run)
    row = {
        "workspace": unread.workspace,
        "id": new_id(),
        "exception": unread.id,
        "automation": run.automation,
        "run": run.run,
        "signal": b"",
        "agent": DEFAULT_AGENT,
        "creator": GUIDE_ENTRY,
        "start": pb.AgentSession.START_AUTO,
        "patience": None,
    }
    recording = change_parameters(FURTHER, f"{unread.parent}/agentSessions")
    [created] = transaction.all(_CREATE, row | recording)
    if not _read(transaction, [unread]):
        raise _Left
    return AGENT_SESSION.read(pb.AgentSession, str(unread.parent), created)


def _read(transaction: Transaction, unread: Sequence[Unread]) -> int:
    """Keeps what was made of some; answers of how many nobody has before."""
    given = [
        {
            "workspace": each.workspace,
            "id": each.id,
            "fingerprint": each.fingerprint,
            "description": each.description,
            **change_parameters(FURTHER, f"{each.parent}/exceptions"),
        }
        for each in unread
    ]
    return len(transaction.each(READ, given)) if given else 0
