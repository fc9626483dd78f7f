"""Two of everything and more in a workspace, so that every method has something to be about.

Where a new resource type comes, two of it are made here: the tests out of the descriptors ask.
"""

from collections.abc import Callable

import grpc
from kintsugi.v1 import (
    access_service_pb2,
    action_service_pb2,
    agent_session_service_pb2,
    audit_service_pb2,
    connector_service_pb2,
    event_service_pb2,
    guide_entry_service_pb2,
)
from kintsugi.v1.access_service_pb2_grpc import AccessServiceStub
from kintsugi.v1.access_token_pb2 import AccessToken
from kintsugi.v1.action_pb2 import Action
from kintsugi.v1.action_service_pb2_grpc import ActionServiceStub
from kintsugi.v1.agent_session_pb2 import AgentSession
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceStub
from kintsugi.v1.audit_service_pb2_grpc import AuditServiceStub
from kintsugi.v1.connector_pb2 import Connector
from kintsugi.v1.connector_service_pb2_grpc import ConnectorServiceStub
from kintsugi.v1.event_pb2 import Event
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub
from kintsugi.v1.exception_pb2 import Exception as Raised
from kintsugi.v1.exception_service_pb2 import CreateExceptionRequest
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.guide_entry_pb2 import GuideEntry
from kintsugi.v1.guide_entry_service_pb2_grpc import GuideEntryServiceStub
from kintsugi.v1.location_pb2 import Location
from kintsugi.v1.member_pb2 import ROLE_VIEWER, Member
from kintsugi.v1.workspace_service_pb2 import GetWorkspaceRequest
from kintsugi.v1.workspace_service_pb2_grpc import WorkspaceServiceStub

from server.domain.exception_groups import GROUPS
from tests.integration.waiting import until
from tests.served import Names

SECRET = "kept by its owner"
"""Stands in all texts, and in no name."""


def fill(channel: grpc.Channel, workspace: str, analyse: Callable[[str], None]) -> Names:
    """Makes two of everything, and answers the name of one of each type.

    `analyse` takes the name of an agent session, and brings it to where it waits for approval.
    """
    first, *_ = runs = [
        f"{workspace}/automations/{id}/runs/1" for id in ("billing", "ordering", "shipping")
    ]
    thread = f"{first}/agents/kai"
    for id in ("dan", "erin"):
        _member(channel, workspace, id)
    for _ in range(2):
        _token(channel, workspace)
        _event(channel, thread)
    sessions = [_session(channel, workspace) for _ in range(2)]
    for session in sessions:
        analyse(session)
    return {
        "kintsugi/Workspace": workspace,
        "kintsugi/Automation": f"{workspace}/automations/billing",
        "kintsugi/Run": first,
        "kintsugi/RunAgent": thread,
        "kintsugi/User": "users/carol",
        "kintsugi/ExceptionGroup": f"{workspace}/exceptionGroups/internal_error",
        "kintsugi/Exception": [
            _exception(channel, *each) for each in zip(GROUPS, reversed(runs), strict=True)
        ].pop(),
        "kintsugi/GuideEntry": [_entry(channel, first) for _ in runs].pop(),
        "kintsugi/Connector": [
            _connector(channel, workspace, id) for id in ("replay", "reprocess")
        ].pop(),
        "kintsugi/AgentSession": sessions[-1],
        "kintsugi/Action": [_action(channel, session) for session in sessions * 2].pop(),
        "kintsugi/Event": _event(channel, thread),
        "kintsugi/Member": _member(channel, workspace, "carol"),
        "kintsugi/AccessToken": _token(channel, workspace),
        "kintsugi/AuditEntry": _audit_entry(channel, workspace),
    }


def is_outside(channel: grpc.Channel, workspace: str) -> bool:
    """Whether the caller is no member, or no longer, which a server knows within a second."""
    try:
        WorkspaceServiceStub(channel).GetWorkspace(GetWorkspaceRequest(name=workspace))
    except grpc.RpcError as error:
        return bool(error.code() is grpc.StatusCode.NOT_FOUND)
    return False


def _exception(channel: grpc.Channel, group: str, run: str) -> str:
    raised = Raised(run=run, location=Location(), message=SECRET, group=group)
    request = CreateExceptionRequest(parent=_workspace(run), exception=raised)
    return ExceptionServiceStub(channel).CreateException(request).name


def _event(channel: grpc.Channel, thread: str) -> str:
    event = Event(user_message={"content": SECRET})
    request = event_service_pb2.CreateEventRequest(parent=thread, event=event)
    return EventServiceStub(channel).CreateEvent(request).name


def _entry(channel: grpc.Channel, run: str) -> str:
    """One in two versions, which an update of it needs, too."""
    stub = GuideEntryServiceStub(channel)
    entry = GuideEntry(title=SECRET, root_cause=SECRET)
    made = stub.CreateGuideEntry(
        guide_entry_service_pb2.CreateGuideEntryRequest(
            parent=run.rpartition("/runs/")[0], guide_entry=entry
        )
    )
    approved = guide_entry_service_pb2.ApproveGuideEntryRequest(name=made.name)
    stub.ApproveGuideEntry(approved)
    changed = GuideEntry(name=made.name, resolution_notes=SECRET)
    stub.UpdateGuideEntry(guide_entry_service_pb2.UpdateGuideEntryRequest(guide_entry=changed))
    return made.name


def _connector(channel: grpc.Channel, workspace: str, id: str) -> str:
    """One that can't be reached, however it is tried."""
    connector = Connector(
        action_type=id, title=SECRET, http={"method": "GET", "url": "http://127.0.0.1:9/"}
    )
    request = connector_service_pb2.CreateConnectorRequest(
        parent=workspace, connector_id=id, connector=connector
    )
    return ConnectorServiceStub(channel).CreateConnector(request).name


def _session(channel: grpc.Channel, workspace: str) -> str:
    """About a signal, as another method may resolve the exception."""
    given = AgentSession(signal={"title": SECRET, "message": SECRET})
    request = agent_session_service_pb2.CreateAgentSessionRequest(
        parent=workspace, agent_session=given
    )
    return AgentSessionServiceStub(channel).CreateAgentSession(request).name


def _action(channel: grpc.Channel, session: str) -> str:
    action = Action(action_type="manual_review", description=SECRET)
    request = action_service_pb2.CreateActionRequest(parent=session, action=action)
    return ActionServiceStub(channel).CreateAction(request).name


def _member(channel: grpc.Channel, workspace: str, id: str) -> str:
    member = Member(title=SECRET, role=ROLE_VIEWER)
    request = access_service_pb2.CreateMemberRequest(parent=workspace, member_id=id, member=member)
    return AccessServiceStub(channel).CreateMember(request).name


def _token(channel: grpc.Channel, workspace: str) -> str:
    token = AccessToken(title=SECRET, role=ROLE_VIEWER)
    request = access_service_pb2.CreateAccessTokenRequest(parent=workspace, access_token=token)
    return AccessServiceStub(channel).CreateAccessToken(request).access_token.name


def _audit_entry(channel: grpc.Channel, workspace: str) -> str:
    """The newest, when all that was done here has become one."""
    stub = AuditServiceStub(channel)
    verify = audit_service_pb2.VerifyAuditEntriesRequest(parent=workspace)
    until(lambda: stub.VerifyAuditEntries(verify).unsealed_count == 0, 30)
    newest = audit_service_pb2.ListAuditEntriesRequest(parent=workspace, page_size=1)
    return stub.ListAuditEntries(newest).audit_entries[0].name


def _workspace(name: str) -> str:
    return "/".join(name.split("/")[:4])
