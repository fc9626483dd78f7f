"""The access service as the commands need it: members and tokens.

How it is reached is in `connection`, how answers look is in `members` and `tokens`.
"""

from collections.abc import Iterator

from google.protobuf.field_mask_pb2 import FieldMask
from kintsugi.v1 import access_service_pb2 as service
from kintsugi.v1 import access_token_pb2 as token_pb
from kintsugi.v1 import member_pb2 as pb
from kintsugi.v1.access_service_pb2_grpc import AccessServiceStub

from cli import names
from cli.service_client import ServiceClient


class AccessClient(ServiceClient[AccessServiceStub]):
    """The access service as methods. Each raises ServiceError."""

    STUB = AccessServiceStub

    def members(self, matching: str) -> Iterator[pb.Member]:
        request = service.ListMembersRequest(parent=names.workspace(), filter=matching)
        for page in self._pages(self._stub.ListMembers, request):
            yield from page.members

    def add_member(self, id: str, member: pb.Member) -> pb.Member:
        request = service.CreateMemberRequest(parent=names.workspace(), member_id=id, member=member)
        return self._call(self._stub.CreateMember, request)

    def change_member(self, member: pb.Member, *fields: str) -> pb.Member:
        request = service.UpdateMemberRequest(member=member, update_mask=FieldMask(paths=fields))
        return self._call(self._stub.UpdateMember, request)

    def remove_member(self, name: str) -> None:
        request = service.DeleteMemberRequest(name=name)
        self._call(self._stub.DeleteMember, request)

    def tokens(self, matching: str) -> Iterator[token_pb.AccessToken]:
        request = service.ListAccessTokensRequest(parent=names.workspace(), filter=matching)
        for page in self._pages(self._stub.ListAccessTokens, request):
            yield from page.access_tokens

    def create_token(self, token: token_pb.AccessToken) -> service.CreateAccessTokenResponse:
        """Without the token itself where the call had to be repeated: it is answered once."""
        request = service.CreateAccessTokenRequest(parent=names.workspace(), access_token=token)
        return self._call(self._stub.CreateAccessToken, request)

    def revoke_token(self, name: str) -> token_pb.AccessToken:
        request = service.RevokeAccessTokenRequest(name=name)
        return self._call(self._stub.RevokeAccessToken, request)
