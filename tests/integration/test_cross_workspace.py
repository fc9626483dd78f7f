"""What is in a workspace is to those outside it as if it weren't there, whatever they call.

Every method is tried, out of the descriptors; one without something to be about fails here, until
`tests/belongings.py` makes it.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kintsugi.v1 import access_service_pb2, workspace_service_pb2
from kintsugi.v1.access_service_pb2_grpc import AccessServiceStub

from server.owner import owner_token
from server.store.tables import metadata
from tests.belongings import SECRET, fill, is_outside
from tests.crossing import (
    SQL,
    about,
    anywhere,
    crossed,
    filled,
    in_every_text,
    inside,
    is_about_workspace,
)
from tests.identity import authorized
from tests.integration.client import WORKSPACE, Client
from tests.integration.sessions import Worker
from tests.integration.waiting import until
from tests.served import METHODS, Names, Served, services

OTHER = "organizations/local/workspaces/theirs"
DONE = {"OK", "FAILED_PRECONDITION", "ALREADY_EXISTS", "ABORTED"}
REFUSED = {"NOT_FOUND", "INVALID_ARGUMENT"}


class Answer(NamedTuple):
    code: str
    text: str
    message: Message | None


class Neighbours:
    """The owners of two workspaces, each full of things; `mine` calls, `theirs` is to be safe."""

    def __init__(self, client: Client, database: str) -> None:
        self.database = database
        self.mine_channel = client.channel
        client.workspaces.CreateWorkspace(
            workspace_service_pb2.CreateWorkspaceRequest(
                parent="organizations/local", workspace_id="theirs", workspace={"title": SECRET}
            )
        )
        token = owner_token(database, "bob", OTHER)
        address = f"127.0.0.1:{client.port}"
        self.their_channel = authorized(grpc.insecure_channel(address), token)
        AccessServiceStub(self.their_channel).DeleteMember(
            access_service_pb2.DeleteMemberRequest(name=f"{OTHER}/members/local")
        )
        worker = Worker(database)
        self.mine: Names = fill(client.channel, WORKSPACE, worker.analyse)
        until(lambda: is_outside(client.channel, OTHER))
        self.theirs: Names = fill(self.their_channel, OTHER, worker.analyse)

    def i_call(self, served: Served, request: Message) -> Answer:
        return call(self.mine_channel, served, request)

    def they_call(self, served: Served, request: Message) -> Answer:
        return call(self.their_channel, served, request)

    def stored(self) -> dict[str, list[str]]:
        """All rows of their workspace, by tables."""
        with psycopg.connect(self.database) as connection:
            return dict(self._rows(connection))

    def _rows(self, connection: psycopg.Connection[Any]) -> Iterator[tuple[str, list[str]]]:
        of_theirs = "(SELECT uid FROM workspaces WHERE id = 'theirs')"
        for table in metadata.sorted_tables:
            column = "uid" if table.name == "workspaces" else "workspace"
            if column in table.c and table.name not in (*COUNTS, "exception_day_counts"):
                query = f'SELECT to_jsonb(t) FROM "{table.name}" t WHERE {column} = {of_theirs}'
                rows = connection.execute(query).fetchall()
                yield table.name, sorted(json.dumps(row, sort_keys=True) for row in rows)
        # The deltas are folded into the counts meanwhile.
        kept = " UNION ALL ".join(f"SELECT workspace, n FROM {each}" for each in COUNTS)
        query = f"SELECT sum(n) FROM ({kept}) WHERE workspace = {of_theirs}"
        yield "counts", [str(connection.execute(query).fetchall())]


COUNTS = ("exception_counts", "exception_count_deltas")


@pytest.fixture
def neighbours(client: Client, database: str) -> Neighbours:
    return Neighbours(client, database)


def call(channel: grpc.Channel, served: Served, request: Message) -> Answer:
    """The answer, of a stream the first one."""
    try:
        answer = served.callable(channel)(request, timeout=30)
        [message] = islice(answer, 1) if served.is_stream else [answer]
    except grpc.RpcError as error:
        return Answer(error.code().name, str(error.details()), None)
    return Answer("OK", str(message), message)


def test_every_service_that_is_served_is_among_them(client: Client) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [answer] = stub.ServerReflectionInfo(iter([request]))
    served = {each.name for each in answer.list_services_response.service}
    ours = {service.full_name for service in services()}
    assert {name for name in served if not name.startswith("grpc.")} == ours


def test_to_its_owner_everything_is_there(neighbours: Neighbours) -> None:
    """Without this, the others would find nothing because there is nothing."""
    last = [served for served in METHODS if "Delete" in served.path]
    answers = {
        served.path: neighbours.they_call(served, filled(served, neighbours.theirs))
        for served in [*(each for each in METHODS if each not in last), *last]
    }
    assert {path: each for path, each in answers.items() if each.code not in DONE} == {}


def test_what_is_theirs_is_like_what_nobody_has(neighbours: Neighbours) -> None:
    before = neighbours.stored()
    wrong = []
    for served in METHODS:
        for attempt in about(served, neighbours.theirs):
            answer = neighbours.i_call(served, attempt.request)
            twin = neighbours.i_call(served, attempt.twin)
            if not is_about_workspace(served, neighbours.theirs):
                is_right = OTHER not in answer.text and SECRET not in answer.text
            else:
                same = without(answer.text, attempt.name) == without(twin.text, attempt.other)
                is_right = answer.code == twin.code == "NOT_FOUND" and same
            wrong += [] if is_right else [(served.path, attempt, answer, twin)]
    assert wrong == []
    assert neighbours.stored() == before


def without(text: str, name: str) -> str:
    """The text without the name and that of its workspace."""
    return text.replace(name, "").replace("/".join(name.split("/")[:4]), "")


def test_a_dash_is_no_workspace(neighbours: Neighbours) -> None:
    answers = [
        (served.path, neighbours.i_call(served, request).code)
        for served in METHODS
        for request in anywhere(served, neighbours.theirs)
        if is_about_workspace(served, neighbours.theirs)
    ]
    assert {code for _, code in answers} == {"INVALID_ARGUMENT"}


def test_their_ids_are_nothing_here(neighbours: Neighbours) -> None:
    before = neighbours.stored()
    for served in METHODS:
        answer = neighbours.i_call(served, crossed(served, neighbours.mine, neighbours.theirs))
        assert OTHER not in answer.text, served.path
        assert answer.code in DONE | REFUSED, (served.path, answer)
    assert neighbours.stored() == before


def test_their_names_in_my_requests_lead_nowhere(neighbours: Neighbours) -> None:
    before = neighbours.stored()
    tried, wrong = 0, []
    for served in METHODS:
        for attempt in inside(served, neighbours.mine, neighbours.theirs):
            answer = neighbours.i_call(served, attempt.request)
            twin = neighbours.i_call(served, attempt.twin)
            is_refused = answer.code == twin.code and answer.code in REFUSED
            is_ignored = {answer.code, twin.code} <= DONE and OTHER not in answer.text
            is_right = is_refused or is_ignored
            wrong += [] if is_right else [(served.path, attempt, answer, twin)]
            tried += 1
    assert wrong == []
    assert tried > 5
    assert neighbours.stored() == before


@pytest.mark.parametrize("text", [SQL, f"{OTHER}/exceptions/x"])
def test_no_text_reaches_further_than_its_field(neighbours: Neighbours, text: str) -> None:
    before = neighbours.stored()
    for served in METHODS:
        for path, request in in_every_text(served, neighbours.mine, text):
            answer = neighbours.i_call(served, request)
            assert answer.code in DONE | REFUSED, (served.path, path, answer)
    assert neighbours.stored() == before


def test_their_page_tokens_open_nothing(neighbours: Neighbours) -> None:
    tried = 0
    for served in METHODS:
        if served.has("page_token") and is_about_workspace(served, neighbours.theirs):
            request = filled(served, neighbours.theirs)
            token = next_page(neighbours, served, request)
            for names in (neighbours.mine, neighbours.theirs):
                mine = filled(served, names)
                mine.page_token = token
                answer = neighbours.i_call(served, mine)
                assert answer.code in REFUSED, (served.path, answer)
            tried += 1
    assert tried >= 9


def next_page(neighbours: Neighbours, served: Served, request: Any) -> str:
    """The token of their second page, which there must be."""
    request.page_size = 1
    if served.has("force"):
        request.force, request.max_count = True, 10
    answer = neighbours.they_call(served, request)
    token = str(getattr(answer.message, "next_page_token", ""))
    assert token, (served.path, answer)
    return token


def test_their_cursors_open_nothing(neighbours: Neighbours) -> None:
    streams = [served for served in METHODS if served.has("after")]
    for served in streams:
        cursor = first_cursor(neighbours.their_channel, served, neighbours.theirs)
        for names in (neighbours.mine, neighbours.theirs):
            request = filled(served, names)
            request.after = cursor
            assert neighbours.i_call(served, request).code in REFUSED, served.path
    assert streams


def first_cursor(channel: grpc.Channel, served: Served, names: Names) -> str:
    """Of the messages, or of the frames that they are in."""
    stream = served.callable(channel)(filled(served, names), timeout=30)
    for message in stream:
        found = re.search(rb"^id: (.+)$", getattr(message, "data", b""), re.MULTILINE)
        cursor = found[1].decode() if found else getattr(message, "cursor", "")
        if cursor:
            stream.cancel()
            return str(cursor)
    raise AssertionError(f"{served.path} sends no cursor")
