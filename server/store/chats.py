"""The SQL that only chats need: the next message that waits for an answer, and that it has one.

What is asked is an event of the chat's thread; how that is appended is in `store/events.py`.
"""

from sqlalchemy import BigInteger, Text, bindparam, literal_column, select, text
from sqlalchemy.dialects.postgresql import UUID

from server.domain.names import AgentSessionName
from server.store.connection import Row, Transaction
from server.store.events import event_columns, local_name
from server.store.leases import Lease
from server.store.query import Query
from server.store.tables import agent_sessions, events, threads

_USER_MESSAGE = literal_column("1", BigInteger)
"""EVENT_KIND_USER_MESSAGE."""


def _next() -> Query:
    workspace = bindparam("workspace", type_=UUID(as_uuid=False))
    thread = select(threads.c.id).where(
        threads.c.workspace == workspace, threads.c.name == bindparam("thread_name", type_=Text)
    )
    answered = select(agent_sessions.c.answered).where(
        agent_sessions.c.workspace == workspace,
        agent_sessions.c.id == bindparam("id", type_=Text),
    )
    rows = select(*event_columns()).where(
        events.c.workspace == workspace,
        events.c.thread == thread.scalar_subquery(),
        events.c.id > answered.scalar_subquery(),
        events.c.kind == _USER_MESSAGE,
    )
    return Query(rows.order_by(events.c.id).limit(1))


_NEXT = _next()

_ANSWERED = Query(
    text(
        """
        UPDATE agent_sessions SET answered = :message, analyse_until = NULL
        WHERE workspace = :workspace AND id = :id
        RETURNING id
        """
    )
)


def next_message(transaction: Transaction, workspace: str, name: AgentSessionName) -> Row | None:
    """The row of the first message that isn't answered, with the columns of EVENT_COLUMNS."""
    given = {"workspace": workspace, "thread_name": local_name(name), "id": name.id}
    return transaction.one(_NEXT, given)


def answered(transaction: Transaction, lease: Lease, message: int) -> None:
    """The message, by its event, and all before it, are answered."""
    given = {"workspace": lease.workspace, "id": lease.name.id, "message": message}
    transaction.one(_ANSWERED, given)
