"""Whatever is sent to any method, it is answered, and never with a fault of the server's own.

Some seconds, in a soak ten minutes; a finding is told with the request that made it.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.message import Message

from server.domain.access_tokens import digest, new_token
from tests.belongings import fill
from tests.fuzz.requests import Requests
from tests.integration.client import WORKSPACE, Client
from tests.integration.sessions import Worker
from tests.served import METHODS, Served

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
SECONDS, ROUNDS = (600, sys.maxsize) if SOAK else (30, 6)
SEED = int(time.time()) if SOAK else 1
OWN = {"kintsugi/User": "users/local"}
FAULTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNIMPLEMENTED,
}

NOT_BY_CHANCE = {
    *("ActionService/CreateAction", "ActionService/ClaimAction", "ActionService/ReportAction"),
    *("AgentSessionService/ExecuteActions", "AgentSessionService/RejectActions"),
    *("ConnectorService/CreateConnector", "ConnectorService/UpdateConnector"),
    *("ConnectorService/TestConnector", "AgentSessionService/EndAgentSession"),
}
"""What can only be done while a session waits, and a connector's whole request: random calls come
as far as their refusals, and tests of their own further."""


class Fuzz:
    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.database = database
        names = fill(client.channel, WORKSPACE, Worker(database).analyse)
        self.requests = Requests(SEED, {**names, **OWN})
        self.codes: dict[str, Counter[str]] = {served.path: Counter() for served in METHODS}
        self.found: dict[str, str] = {}

    def round(self) -> None:
        """Every method once with a message and, now and then, with bytes."""
        self.restore()
        for served in METHODS:
            request = self.requests.message(served)
            self._call(served, request.SerializeToString())
            if self.requests.random.random() < 0.3:
                self._call(served, self.requests.data(served))

    def _call(self, served: Served, request: bytes) -> None:
        call, code = served.callable(self.client.channel), grpc.StatusCode.OK
        try:
            for message in self._answers(call, request, is_stream=served.is_stream):
                self.requests.learn(message)
        except grpc.RpcError as error:
            code = error.code()
            if code in FAULTS:
                self.found.setdefault(f"{served.path} {error.details()}", repr(request[:2000]))
        self.codes[served.path][code.name] += 1

    def _answers(self, call: Any, request: bytes, *, is_stream: bool) -> Iterator[Message]:
        """Of a stream what comes at once."""
        if is_stream:
            answers = call(request, timeout=5)
            yield from islice(answers, 1)
            answers.cancel()
        else:
            yield call(request, timeout=30)

    def restore(self) -> None:
        """The caller may have fired itself, revoked its token (one that is refused stays so), or
        switched agents off."""
        token = new_token()
        self.client = Client(self.client.port, token)
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(
                "UPDATE access_tokens SET revoked = false, digest = %s WHERE id = 'tests'",
                [digest(token)],
            )
            connection.execute("UPDATE workspaces SET features = '{agent_ai}' WHERE id = 'default'")
            connection.execute(
                "INSERT INTO members (workspace, id, title, role) SELECT uid, 'local', '', 5"
                " FROM workspaces WHERE id = 'default'"
                " ON CONFLICT (workspace, id) DO UPDATE SET role = 5"
            )


def _reached(codes: Counter[str]) -> int:
    return codes["OK"]


@pytest.mark.timeout(SECONDS * 2 + 120)
def test_no_request_makes_the_server_fail(client: Client, database: str) -> None:
    fuzz = Fuzz(client, database)
    until = time.monotonic() + SECONDS
    for _ in takewhile(lambda _: time.monotonic() < until, range(ROUNDS)):
        fuzz.round()
    for path, codes in fuzz.codes.items():
        print(path, sum(codes.values()), dict(codes))  # noqa: T201 - what it did; -s shows it
    assert not fuzz.found, (SEED, fuzz.found)
    calls, reached = (sum(map(of, fuzz.codes.values())) for of in (Counter.total, _reached))
    assert reached > calls / 5
    if SOAK:
        never = {path for path, codes in fuzz.codes.items() if not _reached(codes)}
        assert {path.rpartition("v1.")[2] for path in never} <= NOT_BY_CHANCE
    fuzz.restore()
    assert fuzz.client.list().total_size > 0
