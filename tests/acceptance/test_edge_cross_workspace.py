"""What is in another workspace is as if it weren't there, whichever way one comes to the edge.

Every method in all its forms: native gRPC, gRPC-Web and REST. What all a request may try is in
`tests/integration/test_cross_workspace.py`.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from kintsugi.v1 import access_service_pb2, workspace_service_pb2
from kintsugi.v1.access_service_pb2_grpc import AccessServiceStub
from kintsugi.v1.access_token_pb2 import AccessToken
from kintsugi.v1.agent_session_service_pb2 import ProposeActionsRequest
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceStub
from kintsugi.v1.audit_service_pb2 import VerifyAuditEntriesRequest
from kintsugi.v1.audit_service_pb2_grpc import AuditServiceStub
from kintsugi.v1.exception_service_pb2 import ListExceptionsRequest
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.member_pb2 import ROLE_OWNER, Member
from kintsugi.v1.workspace_service_pb2_grpc import WorkspaceServiceStub

from tests.belongings import SECRET, fill, is_outside
from tests.crossing import about, filled, inside, is_about_workspace
from tests.identity import authorized
from tests.integration.waiting import until
from tests.served import METHODS, Names, Served

NOT_FOUND, INVALID, OK = 5, 3, 0
SSE = {"accept": "text/event-stream"}


class Neighbours(NamedTuple):
    """Two workspaces of two owners; the first one calls, by `channel` and `http`."""

    channel: grpc.Channel
    http: httpx.Client
    mine: Names
    theirs: Names
    their_channel: grpc.Channel


@pytest.fixture(scope="module")
def neighbours(stack: Any) -> Iterator[Neighbours]:
    channel = stack.channel()
    mine, theirs = (new_workspace(channel) for _ in range(2))
    their_channel = hand_over(stack, channel, theirs)
    for address in stack.grpc:
        with grpc.insecure_channel(address) as plain:
            server = authorized(plain, stack.token)
            until(lambda server=server: is_outside(server, theirs))
    with httpx.Client(base_url=stack.rest, headers=stack.headers, timeout=30) as http:
        names = fill(channel, mine, analysing(channel))
        their_names = fill(their_channel, theirs, analysing(their_channel))
        settle(their_channel, theirs)
        yield Neighbours(channel, http, names, their_names, their_channel)
    their_channel.close()
    channel.close()


def analysing(channel: grpc.Channel) -> Callable[[str], None]:
    """Waits until the worker has analysed a session."""
    stub = AgentSessionServiceStub(channel)
    return lambda name: stub.ProposeActions(ProposeActionsRequest(name=name), timeout=30)


def settle(channel: grpc.Channel, workspace: str) -> None:
    """Waits until nothing changes there unasked: all is described, and that is in the audit."""
    exceptions = ListExceptionsRequest(parent=workspace)
    verify = VerifyAuditEntriesRequest(parent=workspace)

    def described() -> bool:
        listed = ExceptionServiceStub(channel).ListExceptions(exceptions)
        return all(each.description for each in listed.exceptions)

    until(described, 30)
    until(lambda: AuditServiceStub(channel).VerifyAuditEntries(verify).unsealed_count == 0, 30)


def new_workspace(channel: grpc.Channel) -> str:
    request = workspace_service_pb2.CreateWorkspaceRequest(
        parent="organizations/local", workspace_id=f"w{uuid.uuid4().hex}", workspace={}
    )
    return WorkspaceServiceStub(channel).CreateWorkspace(request).name


def hand_over(stack: Any, channel: grpc.Channel, workspace: str) -> grpc.Channel:
    """Makes bob its only owner; his channel."""
    access = AccessServiceStub(channel)
    member = access_service_pb2.CreateMemberRequest(
        parent=workspace, member_id="bob", member=Member(role=ROLE_OWNER)
    )
    access.CreateMember(member)
    token = AccessToken(title="bob's", role=ROLE_OWNER, principal="users/bob")
    made = access.CreateAccessToken(
        access_service_pb2.CreateAccessTokenRequest(parent=workspace, access_token=token)
    )
    bobs = authorized(grpc.insecure_channel(stack.edge), made.token)
    gone = access_service_pb2.DeleteMemberRequest(name=f"{workspace}/members/local")
    AccessServiceStub(bobs).DeleteMember(gone)
    return bobs


class Answer(NamedTuple):
    code: int
    text: str


def by_grpc(neighbours: Neighbours, served: Served, request: Message) -> Iterator[Answer]:
    yield native(neighbours.channel, served, request)


def native(channel: grpc.Channel, served: Served, request: Message) -> Answer:
    try:
        answer = served.callable(channel)(request, timeout=30)
        [message] = islice(answer, 1) if served.is_stream else [answer]
    except grpc.RpcError as error:
        return Answer(error.code().value[0], str(error.details()))
    return Answer(OK, str(message))


def by_grpc_web(neighbours: Neighbours, served: Served, request: Message) -> Iterator[Answer]:
    message = request.SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    kind = {"content-type": "application/grpc-web+proto"}
    with neighbours.http.stream("POST", served.path, content=body, headers=kind) as answer:
        text = next(answer.iter_bytes(), b"").decode(errors="replace")
        said = answer.headers.get("grpc-status")
        found = re.search(r"grpc-status: ?(\d+)", text)
        yield Answer(int(said or (found[1] if found else OK)), f"{answer.headers} {text}")


def by_rest(neighbours: Neighbours, served: Served, request: Message) -> Iterator[Answer]:
    accept = SSE if "EventSource" in served.path else {}
    for verb, path, body in served.paths(request):
        fields = MessageToDict(request, preserving_proto_field_name=True)
        fields.pop(served.declared.named[0] if body != served.declared.named[0] else "", None)
        content = fields if body == "*" else fields.pop(body, None)
        with neighbours.http.stream(
            verb,
            path,
            params={} if body == "*" else fields,
            json=content,
            headers=accept,
        ) as answer:
            text = next(answer.iter_text(), "")
            status = text.removeprefix("data: ").strip()
            yield Answer(OK if answer.is_success else json.loads(status)["code"], text)


Way = Callable[[Neighbours, Served, Message], Iterator[Answer]]
WAYS: list[Way] = [by_grpc, by_grpc_web, by_rest]


def read_all(neighbours: Neighbours) -> dict[str, str]:
    """All that their owner can read there."""
    return {
        served.path: native(
            neighbours.their_channel, served, filled(served, neighbours.theirs)
        ).text
        for served in METHODS
        if served.is_read and not served.is_stream and "AccessToken" not in served.path
    }


@pytest.mark.parametrize("way", WAYS)
def test_what_is_theirs_is_like_what_nobody_has(neighbours: Neighbours, way: Way) -> None:
    before, tried, other = read_all(neighbours), 0, neighbours.theirs["kintsugi/Workspace"]
    for served in METHODS:
        for attempt in about(served, neighbours.theirs):
            answers = list(way(neighbours, served, attempt.request))
            twins = list(way(neighbours, served, attempt.twin))
            for answer, twin in zip(answers, twins, strict=True):
                where = (served.path, attempt.name, answer, twin)
                assert SECRET not in answer.text, where
                if is_about_workspace(served, neighbours.theirs):
                    assert (answer.code, twin.code) == (NOT_FOUND, NOT_FOUND), where
                else:
                    assert other not in answer.text, where
                tried += 1
    assert tried >= len(METHODS)
    assert read_all(neighbours) == before


@pytest.mark.parametrize("way", WAYS)
def test_their_names_in_my_requests_lead_nowhere(neighbours: Neighbours, way: Way) -> None:
    before, tried, other = read_all(neighbours), 0, neighbours.theirs["kintsugi/Workspace"]
    for served in METHODS:
        for attempt in inside(served, neighbours.mine, neighbours.theirs):
            for answer in way(neighbours, served, attempt.request):
                where = (served.path, attempt.what, answer)
                is_ignored = answer.code not in (NOT_FOUND, INVALID) and other not in answer.text
                assert is_ignored or answer.code in (NOT_FOUND, INVALID), where
                assert answer.code not in (2, 13, 14), where
                tried += 1
    assert tried > 5
    assert read_all(neighbours) == before


def test_the_rest_forms_are_the_ones_that_work(neighbours: Neighbours) -> None:
    """Without this, the others could be refused for their form."""
    reads = [served for served in METHODS if served.is_read]
    answers = {
        served.path: [each.code for each in by_rest(neighbours, served, request)]
        for served in reads
        for request in [filled(served, neighbours.mine)]
    }
    assert answers == {served.path: [OK] for served in reads}
