"""Resolving and archiving all exceptions that match a filter, some in each call (AIP-165).

Each is changed as if by itself, in a transaction of its own, by `exceptions.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from google.rpc.status_pb2 import Status
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from sqlalchemy import and_

from server.domain.call import remaining_seconds
from server.domain.errors import (
    DatabaseUnavailable,
    DeadlinePassed,
    InvalidFields,
    KintsugiError,
    TooManyMatches,
)
from server.domain.names import ExceptionName, WorkspaceName
from server.domain.status import status_of
from server.operations.exceptions import Exceptions, archive, resolve
from server.resources.choice import choice
from server.resources.exception import EXCEPTION
from server.resources.page import PageRequest
from server.resources.page_token import PageToken, order_values
from server.store.changes import count_parts, part_id
from server.store.connection import Row
from server.store.counts import COUNTED
from server.store.statements import Choice, Statements
from server.store.tables import PENDING, exceptions

_SAMPLE = 100
_SPARE_SECONDS = 3
"""A call ends when so little of its time is left."""

_STATEMENTS = Statements(
    exceptions, ("create_time", "id", "version"), scope=("workspace",), workspace="workspace"
)
_TOKEN_COLUMNS = (exceptions.c.create_time, exceptions.c.id, exceptions.c.number)
"""The types of what a token carries: the last row's keys, and how many were got to."""


class _Request(Protocol):
    parent: str
    filter: str
    force: bool
    max_count: int
    page_size: int
    page_token: str
    request_id: str


_Response = service.BulkResolveExceptionsResponse | service.BulkArchiveExceptionsResponse


class _One(NamedTuple):
    """An exception as it was when it matched, and the id of the request that changes it."""

    name: str
    etag: str
    request_id: str


_Change = Callable[[_One], object]


def bulk_resolve(
    exceptions: Exceptions, request: service.BulkResolveExceptionsRequest
) -> service.BulkResolveExceptionsResponse:
    """Resolves, or only tells, what matches. Raises NotFound, InvalidFields, TooManyMatches."""
    note = request.resolution_note

    def change(one: _One) -> None:
        single = service.ResolveExceptionRequest(**one._asdict(), resolution_note=note)
        resolve(exceptions, single)

    response = service.BulkResolveExceptionsResponse()
    _run(exceptions, request, response, change)
    return response


def bulk_archive(
    exceptions: Exceptions, request: service.BulkArchiveExceptionsRequest
) -> service.BulkArchiveExceptionsResponse:
    """Archives, or only tells, what matches. Raises what `bulk_resolve` does."""

    def change(one: _One) -> None:
        archive(exceptions, service.ArchiveExceptionRequest(**one._asdict()))

    response = service.BulkArchiveExceptionsResponse()
    _run(exceptions, request, response, change)
    return response


def _run(exceptions: Exceptions, request: _Request, response: _Response, change: _Change) -> None:
    wanted = PageRequest.of(request)
    _check(request)
    work = _Work(exceptions, request, wanted)
    response.match_count = work.total.total_size
    response.match_count_is_lower_bound = work.total.is_lower_bound
    if not request.force:
        response.match_sample.extend(str(name) for name, _ in work.next(_SAMPLE))
        response.remaining_count = response.match_count
        return
    total, is_lower_bound = work.total.total_size, work.total.is_lower_bound
    if is_lower_bound or total > request.max_count:
        raise TooManyMatches(total, request.max_count, is_lower_bound=is_lower_bound)
    work.do(response, change)


def _check(request: _Request) -> None:
    if request.max_count < int(request.force):
        what = f"is {request.max_count}; with force it says how many may be changed, at least 1"
        raise InvalidFields([("max_count", what)])


class _Work:
    """What a call has to do: which rows, from where on, and how many of them at most."""

    def __init__(self, exceptions: Exceptions, request: _Request, wanted: PageRequest) -> None:
        self._database = exceptions.store.database
        self._request = request
        self._wanted = wanted
        self._parent = WorkspaceName.parse(request.parent)
        self._choice = _pending(choice(request, EXCEPTION))
        self._workspace = exceptions.store.workspace_key(self._parent)
        self._bounds = {
            "scope_0": self._workspace,
            "parent": request.parent,
            "skip": 0,
        }
        self._rows: Sequence[Row] = ()
        self._after, done = _place(wanted.token)
        self._done = max(done, self._changed())
        self.total = wanted.token or self._count()

    def next(self, limit: int) -> list[tuple[ExceptionName, str]]:
        """The names and etags of the next exceptions; one more row is read."""
        parameters = {**self._bounds, "limit": limit + 1}
        query = _STATEMENTS.first_page(self._choice)
        if self._after:
            query = _STATEMENTS.next_page(self._choice)
            parameters |= {f"after_{n}": value for n, value in enumerate(self._after)}
        self._rows = self._database.all(query, parameters)
        parent = self._parent
        return [
            (ExceptionName(parent.organization, parent.workspace, id), str(version))
            for _, id, version in self._rows[:limit]
        ]

    def do(self, response: _Response, change: _Change) -> None:
        """Changes a page of them, and says in `response` what became of each."""
        left = max(0, self._request.max_count - self._done)
        for name, etag in self.next(min(self._wanted.size, left)):
            if response.results and remaining_seconds() < _SPARE_SECONDS:
                break
            response.results.add(exception=str(name), status=self._one(name, etag, change))
        got_to = len(response.results)
        self._done += got_to
        response.remaining_count = max(0, response.match_count - self._done)
        if got_to < len(self._rows) and self._done < self._request.max_count:
            create_time, id, _ = self._rows[got_to - 1]
            keys = [create_time, id, self._done]
            response.next_page_token = self._wanted.token_after(keys, self.total)

    def _one(self, name: ExceptionName, etag: str, change: _Change) -> Status:
        one = _One(str(name), etag, part_id(self._request.request_id, name.id))
        try:
            change(one)
        except (DatabaseUnavailable, DeadlinePassed):
            raise
        except KintsugiError as error:
            return status_of(error)
        return Status()

    def _changed(self) -> int:
        """How many this request has changed before: the answer that told so may have been lost."""
        request = self._request
        if not (request.force and request.request_id):
            return 0
        return count_parts(self._database, self._workspace, request.request_id)

    def _count(self) -> PageToken:
        """How many there are to change, and were before the first of them was changed."""
        [(left, is_lower_bound)] = self._database.all(_STATEMENTS.count(self._choice), self._bounds)
        return PageToken((), left + self._done, is_lower_bound)


def _place(token: PageToken | None) -> tuple[Sequence[Any], int]:
    """The keys of the last row that was got to, and how many were by then."""
    if token is None:
        return (), 0
    create_time, id, done = order_values(token.after, _TOKEN_COLUMNS)
    return (create_time, id), done


def _pending(chosen: Choice) -> Choice:
    """Of a choice by a filter, those that can be resolved or archived.

    Raises InvalidFields where it is of all exceptions.
    """
    if chosen.where is None:
        raise InvalidFields([("filter", "is empty: it says which exceptions are meant")])
    counted = chosen.counted
    if counted is not None:
        counted = and_(counted, COUNTED.c.state == pb.EXCEPTION_STATE_PENDING)
    return Choice(and_(chosen.where, PENDING), chosen.order, is_short=False, counted=counted)
