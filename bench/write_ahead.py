"""What events cost the database's log: a message, and an answer that is generated bit by bit.

The log is what a durable write waits for, and what replicas are sent.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from string import ascii_lowercase
from typing import Any

import psycopg
from kintsugi.v1 import event_pb2 as pb

from bench.measure import ROUNDS, SECONDS, Row, row_of_cost, row_of_time
from bench.stage import WORKSPACE, Stage
from server.domain.names import RunAgentName, ThreadName, WorkspaceName
from server.operations.event_writer import Generation, Generations
from server.store.connection import Database
from server.store.events import APPEND, append_parameters, local_name
from server.store.notifier import Notifier
from server.store.store import Store

ANSWERS = 100
_DICE = Random(17)
_WORDS = ["".join(_DICE.choices(ascii_lowercase, k=_DICE.randint(2, 9))) + " " for _ in range(5000)]
"""An answer of 32 KB; a sentence again and again would be compressed to nothing."""

_MESSAGES = 300
_TEXT = "Raised: `KeyError: 'total' in row 17 of invoices.csv`"
_INSERT = """
    INSERT INTO events
      (workspace, thread, id, completed, state, kind, text, create_time, update_time)
    VALUES (%s, 0, %s, %s, 2, 6, %s, now(), now())
"""
_REWRITE = "UPDATE events SET text = %s WHERE workspace = %s AND thread = 0 AND id = 0"


class _Costs:
    def __init__(self, store: Store, connection: psycopg.Connection[Any]) -> None:
        self._store = store
        self._connection = connection
        self._workspace = store.workspace_key(WorkspaceName.parse(WORKSPACE))
        self._numbers = iter(range(1, 10**9))

    def of(self, work: Callable[[], object]) -> float:
        """How many bytes the log has grown by."""
        before = self._position()
        work()
        return self._position() - before

    def append(self) -> None:
        columns = {"kind": 6, "exception": "", "text": _TEXT, "details": b""}
        name = local_name(_new_thread())
        for _ in range(_MESSAGES):
            parameters = append_parameters(name, [columns])
            self._store.database.one(APPEND, {"workspace": self._workspace, **parameters})

    def insert(self) -> None:
        for _ in range(_MESSAGES):
            number = next(self._numbers)
            self._connection.execute(_INSERT, (self._workspace, number, number, _TEXT))

    def rewrite(self) -> None:
        """One answer at the pace of the others, the whole of it 20 times a second."""
        key = (self._workspace, 0, None)
        self._connection.execute(_INSERT, (*key, ""))
        pieces = round(SECONDS * 20)
        for piece in range(1, pieces + 1):
            text = "".join(_WORDS[: len(_WORDS) * piece // pieces])
            self._connection.execute(_REWRITE, (text, self._workspace))
        self._connection.execute("DELETE FROM events WHERE thread = 0 AND id = 0")

    def _position(self) -> float:
        row = self._connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
        assert row is not None
        return float(row[0])


def run(stage: Stage) -> list[Row]:
    with (
        _store(stage.database_url) as store,
        psycopg.connect(stage.database_url, autocommit=True) as connection,
    ):
        costs = _Costs(store, connection)
        message = [costs.of(costs.append) / _MESSAGES for _ in range(ROUNDS)]
        inserted = [costs.of(costs.insert) / _MESSAGES for _ in range(ROUNDS)]
        delays: list[float] = []
        answer = [
            costs.of(lambda: delays.append(_generate(store))) / ANSWERS / 1000
            for _ in range(ROUNDS)
        ]
        rewritten = [costs.of(costs.rewrite) / 1000 for _ in range(ROUNDS)]
    return [
        row_of_cost("log of a message / of a bare insert", "bytes", message, inserted),
        row_of_cost("log of an answer of 32 KB / rewritten", "kB", answer, rewritten),
        row_of_time(f"{ANSWERS} answers at once, whole after", "ms", delays),
    ]


@contextmanager
def _store(url: str) -> Iterator[Store]:
    database, notifier = Database(url, connections=2), Notifier(url)
    try:
        yield Store(database, notifier)
    finally:
        notifier.close()
        database.close()


def _generate(store: Store) -> float:
    """Writes all answers word by word; how many milliseconds after the last one all are whole."""
    generations = Generations(store)
    thinking = pb.Event(agent_message=pb.AgentMessage())
    answers = [generations.begin(_new_thread(), thinking) for _ in range(ANSWERS)]
    start = time.monotonic()
    for number, word in enumerate(_WORDS):
        time.sleep(max(0, start + SECONDS * number / len(_WORDS) - time.monotonic()))
        for answer in answers:
            answer.append(word)
    ended = time.monotonic()
    _complete(answers)
    return (time.monotonic() - ended) * 1000


def _complete(answers: list[Generation]) -> None:
    for answer in answers:
        answer.finish()
    for answer in answers:
        if not answer.complete():
            raise RuntimeError(f"{answer.name} was completed by somebody else")


def _new_thread() -> ThreadName:
    return RunAgentName("local", "default", "invoices", uuid.uuid4().hex, "kai")
