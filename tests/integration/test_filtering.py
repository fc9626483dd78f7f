"""Filters and orders of lists over gRPC, on a real database."""

import itertools
import os
from collections.abc import Callable, Iterator

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.automation_stage_pb2 import AUTOMATION_STAGE_DRAFT

from server.resources.document import DOCUMENT, written
from server.resources.event import FILTERS as EVENT_FILTERS
from server.resources.exception import FILTERS
from server.store.statements import Choice, Key, Statements
from server.store.tables import exceptions
from tests.integration.client import WORKSPACE, Client, detail, new_exception, reason, violations

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
ELSEWHERE = "organizations/local/workspaces/elsewhere"


@pytest.fixture(scope="module")
def labels(shared_client: Client) -> dict[str, str]:
    """Four exceptions, by what tells them apart: names to labels."""

    def run(id: str) -> str:
        return f"{WORKSPACE}/automations/my-automation-id/runs/{id}"

    raised = {
        "pending": shared_client.raise_one(run=run("run1_id"), message="disk full"),
        "resolved": shared_client.raise_one(
            run=run("run2_id"), group="missing_values", execution_id="éÀ-Й"
        ),
        "archived": shared_client.raise_one(
            message="100%_off\\", group="user_system_error", extra={"env": "prod", "a.b": "c"}
        ),
        "assigned": shared_client.raise_one(
            assignee="users/ada",
            stage=AUTOMATION_STAGE_DRAFT,
            location={"start_byte": 7, "end_byte": 9},
            execution_id="exec_1",
        ),
    }
    shared_client.resolve(raised["resolved"].name)
    shared_client.archive(raised["archived"].name)
    return {each.name: label for label, each in raised.items()}


EVERY = {"pending", "resolved", "archived", "assigned"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state = PENDING", {"pending", "assigned"}),
        ("state = EXCEPTION_STATE_RESOLVED", {"resolved"}),
        ("state != RESOLVED", EVERY - {"resolved"}),
        ("NOT state = RESOLVED", EVERY - {"resolved"}),
        ("state = PENDING OR state = ARCHIVED", EVERY - {"resolved"}),
        ("automation = my-automation-id", {"pending", "resolved"}),
        ("state = PENDING AND automation = my-automation-id", {"pending"}),
        (f'automation = "{WORKSPACE}/automations/my-automation-id"', {"pending", "resolved"}),
        (f'automation = "{ELSEWHERE}/automations/my-automation-id"', set()),
        ('create_time > "2025-01-01T00:00:00Z"', EVERY),
        ('create_time >= "2025-01-01T00:00:00Z" AND create_time < "2025-02-01T00:00:00Z"', set()),
        (
            '(state = PENDING OR state = ARCHIVED) AND create_time > "2025-01-01T00:00:00Z"',
            EVERY - {"resolved"},
        ),
        ('group = "missing_values"', {"resolved"}),
        ('group = "missing_values" OR group = "user_system_error"', {"resolved", "archived"}),
        ('group = ""', {"pending", "assigned"}),
        ('state = PENDING AND group = ""', {"pending", "assigned"}),
        ('group != ""', {"resolved", "archived"}),
        (f'group = "{WORKSPACE}/exceptionGroups/missing_values"', {"resolved"}),
        ("run = run1_id OR run = run2_id", {"pending", "resolved"}),
        ("run = run1_id", {"pending"}),
        ('run = "run1_id OR run2_id"', {"pending", "resolved"}),
        (f'run = "{WORKSPACE}/automations/my-automation-id/runs/run1_id"', {"pending"}),
        (f'run = "{WORKSPACE}/automations/another/runs/run1_id"', set()),
        ('message:"DISK"', {"pending"}),
        ("message contains 'full'", {"pending"}),
        ('message = "100%_off\\\\"', {"archived"}),
        ("message:%_", {"archived"}),
        ("disk", {"pending"}),
        ("assignee = ada", {"assigned"}),
        ('assignee = "users/ada"', {"assigned"}),
        ('assignee = ""', EVERY - {"assigned"}),
        ("resolver = local", {"resolved"}),
        ('resolver = "users/local"', {"resolved"}),
        ('resolver = "agents/local"', set()),
        ("stage = DRAFT", {"assigned"}),
        ("extra.env = prod", {"archived"}),
        ('extra."a.b" = c', {"archived"}),
        ("extra:env", {"archived"}),
        ("NOT extra:env", EVERY - {"archived"}),
        ("location.start_byte >= 7", {"assigned"}),
        ("location.end_byte = 0", EVERY - {"assigned"}),
        ("execution_id = exec_1", {"assigned"}),
        ("execution_id:*", {"assigned", "resolved"}),
        ('execution_id:"É"', {"resolved"}),
        ("execution_id contains 'й'", {"resolved"}),
        ("", EVERY),
    ],
)
def test_a_filter_lists_just_what_matches(
    shared_client: Client, labels: dict[str, str], text: str, expected: set[str]
) -> None:
    answer = shared_client.list(filter=text)
    assert {labels[each.name] for each in answer.exceptions} == expected
    assert answer.total_size == len(expected)


@pytest.mark.parametrize(
    ("parameter", "text", "expected", "offset"),
    [
        ("filter", "state = ", "FILTER_SYNTAX", "7"),
        ("filter", "state = PENDING &", "FILTER_SYNTAX", "16"),
        ("filter", "(" * 17_000, "FILTER_SYNTAX", None),
        ("filter", " " * 17_000, "FILTER_SYNTAX", "16384"),
        ("filter", "\u00a0", "FILTER_SYNTAX", "0"),
        ("filter", "\v", "FILTER_SYNTAX", "0"),
        ("filter", "message:a\0", "FILTER_SYNTAX", "9"),
        ("filter", "stat = PENDING", "FILTER_TYPE", "0"),
        ("filter", "state = pending", "FILTER_TYPE", "8"),
        ("filter", "number = one", "FILTER_TYPE", "9"),
        ("order_by", "craete_time", "FILTER_TYPE", "0"),
        ("order_by", "number \0", "FILTER_SYNTAX", "7"),
        ("order_by", "number, \0", "FILTER_TYPE", "8"),
        ("order_by", "create_time upwards", "FILTER_SYNTAX", "12"),
        ("order_by", "number, number", "FILTER_TYPE", "8"),
        ("order_by", "message", "FILTER_TYPE", "0"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    shared_client: Client, parameter: str, text: str, expected: str, offset: str | None
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        shared_client.list(**{parameter: text})
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error.value) == expected
    assert list(violations(error.value)) == [parameter]
    if offset is not None:
        assert detail(error.value, error_details_pb2.ErrorInfo).metadata["offset"] == offset


@pytest.mark.parametrize("text", ["\u00a0", "\v", " " * 17_000, "message:a\0"])
def test_a_watch_takes_no_other_text_for_an_empty_filter(shared_client: Client, text: str) -> None:
    request = service.WatchExceptionsRequest(parent=WORKSPACE, filter=text)
    with pytest.raises(grpc.RpcError) as error:
        next(shared_client.exceptions.WatchExceptions(request, timeout=10))
    assert reason(error.value) == "FILTER_SYNTAX"


def pages(client: Client, **parameters: object) -> Iterator[pb.Exception]:
    token = ""
    while True:
        answer = client.list(page_token=token, page_size=2, **parameters)
        yield from answer.exceptions
        token = answer.next_page_token
        if not token:
            return


@pytest.fixture(scope="module")
def varied(start_shared: Callable[[], Client]) -> Client:
    """Of a server with twelve exceptions, many of which are equal in some fields."""
    client = start_shared()
    for number in range(6):
        exception = new_exception(run=f"{WORKSPACE}/automations/{'ab'[number % 2]}/runs/{number}")
        for _ in range(1 + number % 3):
            client.create(exception)
    for name in [client.raise_one().name for _ in range(6)][::2]:
        client.resolve(name)
    return client


FIELDS = {
    "create_time": lambda each: each.create_time.ToNanoseconds(),
    "update_time": lambda each: each.update_time.ToNanoseconds(),
    "number": lambda each: each.number,
    "occurrence_count": lambda each: each.occurrence_count,
    "state": lambda each: each.state,
    "automation": lambda each: each.automation,
}


@pytest.mark.parametrize(
    "order",
    [
        *itertools.product(FIELDS, ("", " desc")),
        ("state desc, occurrence_count", " desc"),
        ("automation, state desc, occurrence_count", ""),
        ("occurrence_count desc, create_time", ""),
    ],
)
def test_pages_follow_the_order_and_show_every_row_once(
    varied: Client, order: tuple[str, str]
) -> None:
    order_by = "".join(order)
    everything = varied.list(page_size=100).exceptions
    expected = sorted(everything, key=lambda each: each.name)
    keys = [part.split() for part in order_by.split(",")]
    if keys[-1][1:] == ["desc"]:
        expected.reverse()
    for field, *direction in reversed(keys):
        expected.sort(key=FIELDS[field], reverse=bool(direction))
    assert [each.name for each in pages(varied, order_by=order_by)] == [e.name for e in expected]


def test_a_token_belongs_to_its_filter_and_order(varied: Client) -> None:
    asked = {"filter": "state = PENDING", "order_by": "number"}
    token = varied.list(page_size=2, **asked).next_page_token
    for changed in ({"filter": "state = RESOLVED"}, {"order_by": ""}):
        with pytest.raises(grpc.RpcError) as error:
            varied.list(page_token=token, **(asked | changed))
        assert reason(error.value) == "PAGE_TOKEN_INVALID"


WORDS = st.sampled_from(
    [
        *FILTERS.fields(),
        *("AND", "OR", "NOT", "-", "(", ")", ",", ".", "*", "=", "!=", "<", "<=", ">", ">=", ":"),
        *(
            "PENDING",
            "DRAFT",
            "7",
            "-1.5",
            '"2025-01-01T00:00:00Z"',
            "'%_\\\\'",
            '"',
            "contains",
            "desc",
        ),
    ]
)
TEXTS = st.one_of(
    st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=12).map(" ".join),
    st.lists(WORDS, max_size=12).map("".join),
    st.text(),
)


OUTCOMES = ("OK", "FILTER_SYNTAX", "FILTER_TYPE")


@pytest.mark.timeout(3600 if SOAK else 120)
def test_no_text_at_all_is_a_fault_of_the_servers(client: Client) -> None:
    client.raise_one(extra={"a": "b"})

    @settings(max_examples=30_000 if SOAK else 300, deadline=None)
    @given(filter=TEXTS, order_by=TEXTS)
    def ask(filter: str, order_by: str) -> None:
        for parameters in ({"filter": filter}, {"order_by": order_by}):
            assert outcome(client, parameters) in OUTCOMES, parameters

    ask()


def outcome(client: Client, parameters: dict[str, str]) -> str:
    try:
        client.list(**parameters)
    except grpc.RpcError as error:
        return reason(error)
    return "OK"


@pytest.fixture(scope="module")
def many(new_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """Of a database with 20,000 exceptions."""
    with psycopg.connect(new_database()) as connection:
        connection.execute(
            """
            INSERT INTO exceptions (workspace, id, automation, run, start_byte, end_byte, message,
              execution_id, stage, identity, state, "group", assignee, extra)
            SELECT uid, 'e' || n, 'a' || n % 100, 'r' || n, 0, 0,
              'this is number ' || n || ' of all', '', 0, sha256(n::text::bytea),
              CASE n % 500 WHEN 0 THEN 2 ELSE 1 END, '', '', jsonb_build_object('host', 'h' || n)
            FROM workspaces, generate_series(1, 20000) n
            """
        )
        connection.execute("ANALYZE exceptions")
        yield connection


NEWEST = (Key("create_time", descending=True), Key("id", descending=True))


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("state = RESOLVED", "exceptions_state"),
        ("automation = a77", "exceptions_automation"),
        ("run = r4711", "exceptions_run"),
        ('create_time > "2999-01-01T00:00:00Z"', "exceptions_newest"),
        ('message:"number 4711 "', "exceptions_message_trgm"),
        ("extra.host = h4711", "exceptions_extra"),
        ("extra:no_such_key", "exceptions_extra"),
        ("nobody_said_this", "exceptions_description_trgm"),
    ],
)
def test_an_index_serves_the_filter(many: psycopg.Connection, text: str, index: str) -> None:
    from filters import compile_sql

    statements = Statements(exceptions, ("id",), scope=("workspace",), workspace="workspace")
    query = statements.first_page(Choice(compile_sql(text, FILTERS).where, NEWEST))
    [(workspace,)] = many.execute("SELECT uid FROM workspaces").fetchall()
    bounds = {"scope_0": workspace, "parent": WORKSPACE, "limit": 51, "skip": 0}
    cursor = psycopg.RawCursor(many)
    plan = cursor.execute(b"EXPLAIN " + query.text, query.parameters(bounds)).fetchall()
    assert index in str(plan), plan


def test_the_documented_fields_are_the_declared_ones() -> None:
    text = DOCUMENT.read_text()
    assert written(text) == text
    for about, schema in (("exception", FILTERS), ("event", EVENT_FILTERS)):
        manual = (DOCUMENT.parents[1] / f"proto/kintsugi/v1/{about}_service.proto").read_text()
        assert [path for path in schema.fields() if f"`{path}`" not in manual] == []
