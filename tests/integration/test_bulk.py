"""Resolving and archiving by filter: shown first, then done one by one, and never too many."""

import uuid
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from server.resources import page_token
from server.resources.page import PageRequest
from server.resources.page_token import PageToken
from server.store.connection import Database
from server.store.count_rollup import differences
from tests.integration.client import WORKSPACE, Client, batch, new_exception, reason, violations
from tests.integration.test_thread_messages import said

MINE = "automation = mine"


@pytest.fixture
def mine(client: Client) -> list[pb.Exception]:
    """Five to be changed, and three that are not to."""
    client.raise_one()
    raised = batch(client, *(new_one(n) for n in range(7)))
    client.resolve(raised[5].name)
    client.archive(raised[6].name)
    return raised[:5]


def new_one(n: int) -> pb.Exception:
    return new_exception(run=f"{WORKSPACE}/automations/mine/runs/{n}")


def resolve(client: Client, **fields: Any) -> service.BulkResolveExceptionsResponse:
    parameters = {"parent": WORKSPACE, "filter": MINE} | fields
    return client.exceptions.BulkResolveExceptions(
        service.BulkResolveExceptionsRequest(**parameters)
    )


def archive(client: Client, **fields: Any) -> service.BulkArchiveExceptionsResponse:
    parameters = {"parent": WORKSPACE, "filter": MINE} | fields
    return client.exceptions.BulkArchiveExceptions(
        service.BulkArchiveExceptionsRequest(**parameters)
    )


def states(client: Client, raised: list[pb.Exception]) -> list[int]:
    return [client.get(one.name).state for one in raised]


@pytest.mark.parametrize("bulk", [resolve, archive])
@pytest.mark.parametrize("filter", [MINE, 'run = "0 OR 1 OR 2 OR 3 OR 4 OR 5 OR 6"'])
def test_without_force_it_says_what_would_be_changed(
    client: Client, mine: list[pb.Exception], bulk: Any, filter: str
) -> None:
    shown = bulk(client, filter=filter)
    assert (shown.match_count, shown.remaining_count) == (5, 5)
    assert set(shown.match_sample) == {one.name for one in mine}
    assert (list(shown.results), shown.next_page_token) == ([], "")
    assert states(client, mine) == [pb.EXCEPTION_STATE_PENDING] * 5


def test_all_that_match_are_resolved_as_one_by_one(
    client: Client, database: str, mine: list[pb.Exception]
) -> None:
    done = resolve(client, force=True, max_count=5, resolution_note="repaired")
    assert {each.exception for each in done.results} == {one.name for one in mine}
    assert {each.status.code for each in done.results} == {code_pb2.OK}
    assert (done.match_count, done.remaining_count, done.next_page_token) == (5, 0, "")
    for one in mine:
        resolved = client.get(one.name)
        assert resolved.state == pb.EXCEPTION_STATE_RESOLVED
        assert (resolved.resolver, resolved.resolution_note) == ("users/local", "repaired")
        assert "Resolved by users/local: `repaired`" in said(client, one.run)
    assert client.list(filter="state = PENDING").total_size == 1
    connected = Database(database, connections=1)
    assert differences(connected) == []
    connected.close()


def test_it_goes_on_where_the_call_before_ended(client: Client, mine: list[pb.Exception]) -> None:
    token, left, names = "", [], []
    while token or not left:
        done = archive(client, force=True, max_count=5, page_size=2, page_token=token)
        token = done.next_page_token
        left.append(done.remaining_count)
        names += [each.exception for each in done.results]
    assert left == [3, 1, 0]
    assert sorted(names) == sorted(one.name for one in mine)
    assert states(client, mine) == [pb.EXCEPTION_STATE_ARCHIVED] * 5


def test_a_repeated_call_goes_on_too(client: Client, mine: list[pb.Exception]) -> None:
    for expected in (2, 2, 1, 0):
        assert len(archive(client, force=True, max_count=5, page_size=2).results) == expected


@pytest.mark.parametrize("bulk", [resolve, archive])
def test_a_call_repeated_for_a_lost_answer_changes_no_more_than_was_accepted(
    client: Client, bulk: Any
) -> None:
    raised = batch(client, *(new_one(n) for n in range(10)))
    fields = {"force": True, "max_count": 10, "page_size": 5, "request_id": "R_%"}
    first = bulk(client, **fields)
    bulk(client, **fields | {"request_id": "R_%/other", "max_count": 10, "page_size": 1})
    raised += batch(client, *(new_one(n) for n in range(10, 15)))
    with pytest.raises(grpc.RpcError) as error:
        bulk(client, **fields)
    assert reason(error.value) == "TOO_MANY_MATCHES"
    assert "14 match, with what this request changed before" in str(error.value.details())
    assert states(client, raised).count(pb.EXCEPTION_STATE_PENDING) == 9
    rest = bulk(client, **fields, page_token=first.next_page_token)
    assert (len(rest.results), rest.match_count, rest.remaining_count) == (4, 10, 1)


def test_a_repeated_call_counts_what_it_changed_before(
    client: Client, mine: list[pb.Exception]
) -> None:
    fields = {"force": True, "max_count": 5, "page_size": 2, "request_id": uuid.uuid4().hex}
    done = [archive(client, **fields) for _ in range(4)]
    assert [len(each.results) for each in done] == [2, 2, 1, 0]
    assert [each.match_count for each in done] == [5, 5, 5, 5]
    assert [each.remaining_count for each in done] == [3, 1, 0, 0]


def test_a_repeated_page_counts_what_it_changed_before(client: Client) -> None:
    raised = batch(client, *(new_one(n) for n in range(6)))
    for one in raised[:2]:
        client.archive(one.name)
    fields = {"force": True, "max_count": 4, "page_size": 1, "request_id": uuid.uuid4().hex}
    fields["page_token"] = resolve(client, **fields).next_page_token
    resolve(client, **fields)
    for one in raised[:2]:
        client.unarchive(one.name)
    while fields["page_token"]:
        fields["page_token"] = resolve(client, **fields).next_page_token
    assert states(client, raised).count(pb.EXCEPTION_STATE_RESOLVED) == 4


def test_more_than_was_accepted_is_refused_before_anything_is_done(
    client: Client, mine: list[pb.Exception]
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        resolve(client, force=True, max_count=4)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "TOO_MANY_MATCHES"
    assert states(client, mine) == [pb.EXCEPTION_STATE_PENDING] * 5


def test_what_comes_to_match_meanwhile_is_not_changed(
    client: Client, mine: list[pb.Exception]
) -> None:
    first = archive(client, force=True, max_count=5, page_size=3)
    later = batch(client, *(new_one(n) for n in range(10, 14)))
    rest = archive(client, force=True, max_count=5, page_token=first.next_page_token, page_size=3)
    assert len(rest.results) == 2
    assert states(client, mine) == [pb.EXCEPTION_STATE_ARCHIVED] * 5
    assert states(client, later) == [pb.EXCEPTION_STATE_PENDING] * 4


def test_one_that_was_reopened_is_not_changed_again_by_the_same_request(
    client: Client, mine: list[pb.Exception]
) -> None:
    fields = {"force": True, "max_count": 6, "request_id": uuid.uuid4().hex}
    archive(client, **fields)
    client.unarchive(mine[0].name)
    again = archive(client, **fields)
    assert [each.exception for each in again.results] == [mine[0].name]
    assert client.get(mine[0].name).state == pb.EXCEPTION_STATE_PENDING
    fields["request_id"] = uuid.uuid4().hex
    assert [each.status.code for each in archive(client, **fields).results] == [code_pb2.OK]


@pytest.mark.parametrize("bulk", [resolve, archive])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"filter": ""}, "filter"),
        ({"filter": "  "}, "filter"),
        ({"filter": "stat = PENDING"}, "filter"),
        ({"force": True}, "max_count"),
        ({"force": True, "max_count": -1}, "max_count"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "nonsense"}, "page_token"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    shared_client: Client, bulk: Any, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        bulk(shared_client, **fields)
    assert list(violations(error.value)) == [field]


@pytest.mark.parametrize("text", ["\u00a0", "\v", "state = "])
def test_what_is_no_filter_is_told_as_by_lists(client: Client, text: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        resolve(client, filter=text)
    assert reason(error.value) == "FILTER_SYNTAX"


def test_a_token_belongs_to_its_parameters(client: Client, mine: list[pb.Exception]) -> None:
    token = archive(client, force=True, max_count=5, page_size=2).next_page_token
    for changed in ({"max_count": 9}, {"force": False}, {"filter": "automation = other"}):
        with pytest.raises(grpc.RpcError) as error:
            archive(client, **({"force": True, "max_count": 5, "page_token": token} | changed))
        assert reason(error.value) == "PAGE_TOKEN_INVALID"


def test_a_made_up_token_that_is_behind_the_end_changes_nothing(
    client: Client, mine: list[pb.Exception]
) -> None:
    asked = {"parent": WORKSPACE, "filter": MINE, "force": True, "max_count": 5}
    binding = PageRequest.of(service.BulkArchiveExceptionsRequest(**asked)).binding
    made_up = PageToken((2**50, "x", 99), total_size=5, is_lower_bound=False)
    answer = archive(client, **asked, page_token=page_token.encode(made_up, binding))
    assert (list(answer.results), answer.next_page_token) == ([], "")


def test_an_unknown_workspace_is_not_found(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as error:
        archive(client, parent="organizations/local/workspaces/nowhere")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
