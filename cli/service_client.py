"""What the clients of all services share: a stub on a connection, and how it is called.

Each service's own methods are in `client`, `guide_client`, `session_client` and so on.
"""

from typing import Any, ClassVar, Generic, Self, TypeVar

from cli.connection import Connection

Stub = TypeVar("Stub")


class ServiceClient(Generic[Stub]):
    """One service, whose stub a subclass names. Its methods raise ServiceError."""

    STUB: ClassVar[type[Any]]

    def __init__(self, connection: Connection) -> None:
        self._call = connection.call
        self._pages = connection.pages
        self._follow = connection.follow
        self._stub: Stub = self.STUB(connection.channel)

    @classmethod
    def from_environment(cls) -> Self:
        return cls(Connection.from_environment())
