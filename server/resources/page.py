"""One page of a list: what is asked for, and how much is answered (AIP-158).

Where the rows come from is the engine's business; how a token looks is `page_token`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from google.protobuf.message import Message

from server.domain.errors import InvalidFields, Violation
from server.resources import page_token
from server.resources.page_token import PageToken

DEFAULT_SIZE = 50
MAX_SIZE = 1000
MAX_BYTES = 4 * 1024 * 1024 - 8 * 1024
"""A page ends early where its messages would be larger together; it has at least one.

gRPC clients take 4 MiB if they aren't told otherwise; the rest is for the token.
"""

M_co = TypeVar("M_co", bound=Message, covariant=True)


class ListRequest(Protocol):
    """A request message of a List method; some have `skip` as well."""

    page_size: int
    page_token: str


class ListResponse(Protocol):
    """A response message of a List method."""

    next_page_token: str
    total_size: int
    total_size_is_lower_bound: bool

    def ByteSize(self) -> int: ...  # noqa: N802 - protobuf's


class Items(Protocol[M_co]):
    """The field of a response that holds the resources."""

    def add(self, **fields: Any) -> M_co: ...
    def __len__(self) -> int: ...
    def __delitem__(self, key: slice) -> None: ...


@dataclass(frozen=True)
class PageRequest:
    """How many rows from where. `token` is None for the first page."""

    size: int
    skip: int
    token: PageToken | None
    binding: bytes

    @classmethod
    def of(cls, request: ListRequest) -> Self:
        """Raises InvalidFields on negative numbers, PageTokenInvalid."""
        skip = getattr(request, "skip", 0)
        _check_not_negative({"page_size": request.page_size, "skip": skip})
        binding = _binding(request)
        text = request.page_token
        token = page_token.decode(text, binding) if text else None
        size = min(request.page_size or DEFAULT_SIZE, MAX_SIZE)
        return cls(size, 0 if token else skip, token, binding)

    def token_after(self, values: Sequence[Any], total: PageToken) -> str:
        token = PageToken(tuple(values), total.total_size, total.is_lower_bound)
        return page_token.encode(token, self.binding)


def _check_not_negative(numbers: dict[str, int]) -> None:
    violations: list[Violation] = [
        (field, f"is {number}; it can't be negative")
        for field, number in numbers.items()
        if number < 0
    ]
    if violations:
        raise InvalidFields(violations)


def _binding(request: Any) -> bytes:
    """All parameters but the two that may differ between the pages of one list."""
    bound = type(request)()
    bound.CopyFrom(request)
    bound.page_size = 0
    bound.page_token = ""
    name: str = bound.DESCRIPTOR.full_name
    return name.encode() + b"\0" + bytes(bound.SerializeToString(deterministic=True))
