"""AccessService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

import grpc
from google.protobuf.empty_pb2 import Empty
from kintsugi.v1 import access_service_pb2 as service
from kintsugi.v1 import access_token_pb2 as token_pb
from kintsugi.v1 import member_pb2 as pb
from kintsugi.v1.access_service_pb2_grpc import AccessServiceServicer

from server.domain.names import AccessTokenName, MemberName, WorkspaceName
from server.operations import access as operations
from server.resources.access_token import ACCESS_TOKEN
from server.resources.collection import Collection
from server.resources.member import MEMBER
from server.store.store import Store


class AccessService(AccessServiceServicer):
    def __init__(self, store: Store) -> None:
        self._members = Collection(store, MEMBER)
        self._tokens = Collection(store, ACCESS_TOKEN)

    def CreateMember(
        self, request: service.CreateMemberRequest, context: grpc.ServicerContext
    ) -> pb.Member:
        return operations.create_member(self._members, request)

    def GetMember(
        self, request: service.GetMemberRequest, context: grpc.ServicerContext
    ) -> pb.Member:
        return self._members.get(MemberName.parse(request.name))

    def ListMembers(
        self, request: service.ListMembersRequest, context: grpc.ServicerContext
    ) -> service.ListMembersResponse:
        response = service.ListMembersResponse()
        parent = WorkspaceName.parse(request.parent)
        self._members.list(parent, request, response, response.members)
        return response

    def UpdateMember(
        self, request: service.UpdateMemberRequest, context: grpc.ServicerContext
    ) -> pb.Member:
        return operations.update_member(self._members, request)

    def DeleteMember(
        self, request: service.DeleteMemberRequest, context: grpc.ServicerContext
    ) -> Empty:
        return operations.delete_member(self._members, request)

    def CreateAccessToken(
        self, request: service.CreateAccessTokenRequest, context: grpc.ServicerContext
    ) -> service.CreateAccessTokenResponse:
        return operations.create_token(self._tokens, request)

    def GetAccessToken(
        self, request: service.GetAccessTokenRequest, context: grpc.ServicerContext
    ) -> token_pb.AccessToken:
        return self._tokens.get(AccessTokenName.parse(request.name))

    def ListAccessTokens(
        self, request: service.ListAccessTokensRequest, context: grpc.ServicerContext
    ) -> service.ListAccessTokensResponse:
        response = service.ListAccessTokensResponse()
        parent = WorkspaceName.parse(request.parent)
        self._tokens.list(parent, request, response, response.access_tokens)
        return response

    def RevokeAccessToken(
        self, request: service.RevokeAccessTokenRequest, context: grpc.ServicerContext
    ) -> token_pb.AccessToken:
        return operations.revoke_token(self._tokens, request)
