"""Lists: what was there before the first page appears exactly once, whatever happens meanwhile."""

import itertools
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
    run_state_machine_as_test,
)
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1 import workspace_service_pb2

from tests.integration.client import WORKSPACE, Client, new_exception, reason, violations

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))


@dataclass
class Listing:
    """A list that is being paged through, and what it must and may show."""

    promised: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    token: str = ""
    total: int = -1


class PagingMachine(RuleBasedStateMachine):
    """Raises, resolves and pages in any order, in a workspace of its own."""

    client: Client
    database: str

    listings = Bundle("listings")
    late_writers = Bundle("late_writers")

    def __init__(self) -> None:
        super().__init__()
        self.workspace = self._new_workspace()
        self.committed: list[str] = []
        self.pending: list[str] = []
        self.writers: list[psycopg.Connection] = []

    @rule(count=st.integers(1, 4))
    def raise_some(self, count: int) -> None:
        for _ in range(count):
            request = service.CreateExceptionRequest(
                parent=self.workspace.name,
                exception=new_exception(
                    run=f"{self.workspace.name}/automations/a/runs/{uuid.uuid4()}"
                ),
            )
            self.committed.append(self.client.exceptions.CreateException(request).name)
            self.pending.append(self.committed[-1])

    @rule(data=st.data())
    def change_one(self, data: st.DataObject) -> None:
        if self.committed:
            name = data.draw(st.sampled_from(self.committed))
            self.client.update("assignee", name=name, assignee="users/ada")

    @rule(target=late_writers)
    def begin_an_insert_that_commits_later(self) -> psycopg.Connection:
        writer = psycopg.connect(self.database)
        writer.execute(
            """
            INSERT INTO exceptions (workspace, id, automation, run, start_byte, end_byte, message,
              execution_id, stage, identity, state, "group", assignee, extra)
            VALUES (%s, %s, 'a', 'late', 0, 0, 'm', '', 0, %s, 1, '', '', '{}')
            """,
            (self.workspace.uid, f"late-{uuid.uuid4()}", uuid.uuid4().bytes),
        )
        self.writers.append(writer)
        return writer

    @rule(writer=consumes(late_writers))
    def commit_it(self, writer: psycopg.Connection) -> None:
        writer.commit()
        writer.close()
        self.writers.remove(writer)

    @rule(data=st.data(), end=st.sampled_from(["resolve", "archive"]))
    def deal_with_one(self, data: st.DataObject, end: str) -> None:
        if self.pending:
            name = data.draw(st.sampled_from(self.pending))
            self.pending.remove(name)
            getattr(self.client, end)(name)

    @rule(target=listings)
    def begin_a_list(self) -> Listing:
        return Listing()

    @rule(target=listings, listing=consumes(listings), size=st.integers(1, 5))
    def page(self, listing: Listing, size: int) -> object:
        answer = self.client.list(
            parent=self.workspace.name, page_size=size, page_token=listing.token
        )
        assert len(answer.exceptions) <= size
        if listing.token == "":
            listing.promised = set(self.committed)
            listing.total = answer.total_size
            assert listing.total >= len(listing.promised)
        assert answer.total_size == listing.total
        listing.seen += [each.name for each in answer.exceptions]
        listing.token = answer.next_page_token
        assert len(set(listing.seen)) == len(listing.seen), "a row appeared twice"
        if listing.token:
            return listing
        assert listing.promised <= set(listing.seen), "a row was skipped"
        return multiple()

    def teardown(self) -> None:
        for writer in self.writers:
            writer.close()

    def _new_workspace(self) -> object:
        return self.client.workspaces.CreateWorkspace(
            workspace_service_pb2.CreateWorkspaceRequest(
                parent="organizations/local", workspace_id=f"w{uuid.uuid4().hex}", workspace={}
            )
        )


def test_nothing_is_skipped_or_repeated_under_any_interleaving(
    client: Client, database: str
) -> None:
    PagingMachine.client, PagingMachine.database = client, database
    run_state_machine_as_test(
        PagingMachine,
        settings=settings(
            max_examples=1000 if SOAK else 30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def names(client: Client) -> list[str]:
    """Seven exceptions, newest first."""
    return [client.raise_one().name for _ in range(7)][::-1]


def pages(client: Client, **parameters: object) -> Iterator[list[str]]:
    token = ""
    for _ in range(100):
        answer = client.list(page_token=token, **parameters)
        yield [each.name for each in answer.exceptions]
        token = answer.next_page_token
        if not token:
            return


def test_a_list_is_newest_first_and_ends(client: Client, names: list[str]) -> None:
    assert list(pages(client, page_size=3)) == [names[:3], names[3:6], names[6:]]
    assert list(pages(client, page_size=7)) == [names]
    assert list(pages(client)) == [names]


def test_skip_passes_over_the_first_rows_once(client: Client, names: list[str]) -> None:
    assert list(itertools.chain(*pages(client, page_size=2, skip=3))) == names[3:]
    assert list(pages(client, skip=7)) == [[]]


def test_the_page_size_may_change_between_pages(client: Client, names: list[str]) -> None:
    token = client.list(page_size=2).next_page_token
    rest = client.list(page_size=1000, page_token=token)
    assert [each.name for each in rest.exceptions] == names[2:]
    assert rest.total_size == 7


def test_a_large_page_size_is_lowered(client: Client, names: list[str]) -> None:
    assert len(client.list(page_size=1_000_000).exceptions) == 7


@pytest.mark.parametrize("parameter", ["page_size", "skip"])
def test_a_negative_number_is_refused(shared_client: Client, parameter: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        shared_client.list(**{parameter: -1})
    assert list(violations(error.value)) == [parameter]


@pytest.mark.parametrize("token", ["nonsense", "AAAA", "ä", "x" * 4096, "=", "AA=A"])
def test_a_damaged_token_is_refused(shared_client: Client, token: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        shared_client.list(page_token=token)
    assert reason(error.value) == "PAGE_TOKEN_INVALID"


def test_a_token_belongs_to_its_parameters(client: Client, names: list[str]) -> None:
    token = client.list(page_size=2).next_page_token
    other = client.workspaces.CreateWorkspace(
        workspace_service_pb2.CreateWorkspaceRequest(
            parent="organizations/local", workspace_id="other", workspace={}
        )
    )
    for changed in ({"skip": 1}, {"parent": other.name}):
        with pytest.raises(grpc.RpcError) as error:
            client.list(page_token=token, **changed)
        assert reason(error.value) == "PAGE_TOKEN_INVALID"


def test_a_page_of_very_large_rows_ends_early_and_loses_nothing(client: Client) -> None:
    large = [
        client.raise_one(extra={str(i): "x" * 60_000 for i in range(4)}).name for _ in range(40)
    ]
    answers = list(pages(client, page_size=1000))
    assert list(itertools.chain(*answers)) == large[::-1]
    assert [len(answer) for answer in answers[:-1]] == [17, 17]


@pytest.mark.parametrize("size", [20_000, 38_000, 41_000, 41_400, 41_500])
def test_a_page_that_is_full_anywhere_in_a_step_loses_nothing(
    client: Client, database: str, size: int
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            """
            INSERT INTO exceptions (workspace, id, automation, run, start_byte, end_byte, message,
              execution_id, stage, identity, state, "group", assignee, extra)
            SELECT uid, lpad(n::text, 4, '0'), 'a', 'r', 0, 0, repeat('x', %s), '', 0,
              sha256(n::text::bytea), 1, '', '', '{}'
            FROM workspaces, generate_series(1, 230) n
            """,
            [size],
        )
    names = itertools.chain(*pages(client, page_size=1000))
    assert [int(name.rpartition("/")[2]) for name in names] == list(range(230, 0, -1))


def test_pages_of_more_than_one_step_are_whole(client: Client, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            """
            INSERT INTO exceptions (workspace, id, automation, run, start_byte, end_byte, message,
              execution_id, stage, identity, state, "group", assignee, extra)
            SELECT uid, lpad(n::text, 4, '0'), 'a', 'r', 0, 0, 'm', '', 0,
              sha256(n::text::bytea), 1, '', '', '{}'
            FROM workspaces, generate_series(1, 450) n
            """
        )
    for size in (100, 101, 200, 249, 450, 1000):
        numbers = [
            int(name.rpartition("/")[2]) for page in pages(client, page_size=size) for name in page
        ]
        assert numbers == list(range(450, 0, -1))
    assert len(client.list(page_size=250, skip=10).exceptions) == 250


def test_the_default_workspace_is_as_empty_as_promised(client: Client) -> None:
    answer = client.list(parent=WORKSPACE)
    assert (len(answer.exceptions), answer.total_size, answer.next_page_token) == (0, 0, "")
