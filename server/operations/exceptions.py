"""What can be done to exceptions: raise, resolve, archive, unarchive; each owns its transaction.

Which transitions are legal is said in `domain/exception_state.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from server.domain import exception_state
from server.domain.call import current_call
from server.domain.errors import AlreadyExists, InvalidFields, Violation
from server.domain.exception_identity import identity
from server.domain.exception_rules import violations
from server.domain.ids import new_id
from server.domain.names import ExceptionName, WorkspaceName
from server.operations.guide_entries import draft_of
from server.operations.thread_messages import (
    Columns,
    about_raising,
    tell_changed,
    thread_name,
)
from server.resources.collection import Also, Collection
from server.resources.exception import EXCEPTION
from server.store.changes import MutationRequest, change_parameters, once
from server.store.connection import Transaction
from server.store.errors import Duplicate
from server.store.events import one_parameters
from server.store.exceptions import (
    PENDING_INDEX,
    PENDING_TWIN,
    raise_all_parameters,
    raise_all_statement,
    raise_and_tell_statement,
)
from server.store.query import Query
from server.store.topics import thread_topic

Exceptions = Collection[pb.Exception, ExceptionName]

T = TypeVar("T")

_RAISE_ALL = raise_all_statement(EXCEPTION.columns)
_RAISE_AND_TELL = raise_and_tell_statement(EXCEPTION.columns)


def create(exceptions: Exceptions, request: service.CreateExceptionRequest) -> pb.Exception:
    """Raises one exception, or counts one more occurrence of its pending twin."""
    parent = WorkspaceName.parse(request.parent)
    _check(parent, {"exception": request.exception})
    store, raised = exceptions.store, request.exception
    workspace = store.workspace_key(parent)

    def work() -> pb.Exception:
        recording = change_parameters(request, f"{parent}/exceptions")
        row = _row(workspace, raised)
        statement, parameters = _raising(row, _said(row, raised))
        [stored] = store.database.all(statement, parameters | recording)
        store.notifier.announce(thread_topic(workspace, thread_name(raised.run)))
        return EXCEPTION.read(pb.Exception, str(parent), stored)

    def repeat(names: Sequence[str]) -> pb.Exception:
        return exceptions.get(ExceptionName.parse(names[0]))

    return once(store, workspace, request, work, repeat)


def batch_create(
    exceptions: Exceptions, request: service.BatchCreateExceptionsRequest
) -> service.BatchCreateExceptionsResponse:
    """Raises all of the exceptions or none, each as `create` would (AIP-233)."""
    parent = WorkspaceName.parse(request.parent)
    _check_children(request)
    raised = [child.exception for child in request.requests]
    _check(parent, {f"requests[{i}].exception": one for i, one in enumerate(raised)})
    store = exceptions.store
    workspace = store.workspace_key(parent)
    rows = [_row(workspace, exception) for exception in raised]
    said = [_said(rows[index], exception) for index, exception in enumerate(raised)]
    steps = _steps([row["identity"] for row in rows])
    order = list(chain.from_iterable(steps))

    def work() -> service.BatchCreateExceptionsResponse:
        parameters = [
            raise_all_parameters(
                [rows[index] for index in indexes],
                list(chain.from_iterable(said[index] for index in sorted(indexes))),
            )
            | change_parameters(request, f"{parent}/exceptions", is_first=indexes is steps[0])
            for indexes in steps
        ]
        with store.database.transaction() as transaction:
            stored = transaction.each(_RAISE_ALL, parameters)
        store.notifier.announce(*{thread_topic(workspace, each[0]["thread"]) for each in said})
        response = service.BatchCreateExceptionsResponse()
        for row in _reordered(stored, order):
            EXCEPTION.read(response.exceptions.add, str(parent), row)
        return response

    def repeat(names: Sequence[str]) -> service.BatchCreateExceptionsResponse:
        raised = [exceptions.get(ExceptionName.parse(name)) for name in _reordered(names, order)]
        return service.BatchCreateExceptionsResponse(exceptions=raised)

    return once(store, workspace, request, work, repeat)


def update(exceptions: Exceptions, request: service.UpdateExceptionRequest) -> pb.Exception:
    """Changes fields; a new assignee is told to the run's thread."""
    name = ExceptionName.parse(request.exception.name)
    return exceptions.update(name, request.exception, request, _telling(exceptions, name))


def resolve(exceptions: Exceptions, request: service.ResolveExceptionRequest) -> pb.Exception:
    """PENDING → RESOLVED; the caller becomes the resolver. A note is drafted as a guide entry."""
    name = ExceptionName.parse(request.name)
    workspace = exceptions.store.workspace_key(name.parent)

    def apply(exception: pb.Exception) -> None:
        exception.state = exception_state.resolve(exception.state)
        exception.resolver = current_call().principal
        exception.resolution_note = request.resolution_note

    def also(transaction: Transaction, before: pb.Exception, after: pb.Exception) -> Iterable[str]:
        entry = draft_of(transaction, workspace, request, after)
        drafted = entry.name if entry else ""
        return tell_changed(transaction, workspace, before, after, drafted)

    return exceptions.change(name, request, request.etag, apply, also)


def archive(exceptions: Exceptions, request: service.ArchiveExceptionRequest) -> pb.Exception:
    """PENDING → ARCHIVED."""

    def apply(exception: pb.Exception) -> None:
        exception.state = exception_state.archive(exception.state)

    return _change(exceptions, request, apply)


def unarchive(exceptions: Exceptions, request: service.UnarchiveExceptionRequest) -> pb.Exception:
    """ARCHIVED → PENDING, unless the same exception was raised again and is pending."""
    name = ExceptionName.parse(request.name)

    def apply(exception: pb.Exception) -> None:
        exception.state = exception_state.unarchive(exception.state)

    try:
        return _change(exceptions, request, apply)
    except Duplicate as error:
        if error.index != PENDING_INDEX:
            raise
        twin = _pending_twin(exceptions, name)
        message = f"the same exception was raised again and is pending: {twin or 'try again'}"
        raise AlreadyExists(twin or name, message) from error


def _raising(row: dict[str, Any], said: Sequence[Columns]) -> tuple[Query, dict[str, Any]]:
    if len(said) > 1:
        return _RAISE_ALL, raise_all_parameters([row], said)
    return _RAISE_AND_TELL, row | one_parameters(said[0]["thread"], said[0])


class _Transition(MutationRequest, Protocol):
    name: str
    etag: str


def _change(
    exceptions: Exceptions, request: _Transition, apply: Callable[[pb.Exception], None]
) -> pb.Exception:
    name = ExceptionName.parse(request.name)
    return exceptions.change(name, request, request.etag, apply, _telling(exceptions, name))


def _telling(exceptions: Exceptions, name: ExceptionName) -> Also[pb.Exception]:
    workspace = exceptions.store.workspace_key(name.parent)
    return lambda transaction, *change: tell_changed(transaction, workspace, *change)


def _row(workspace: str, exception: pb.Exception) -> dict[str, Any]:
    return EXCEPTION.write(exception) | {
        "workspace": workspace,
        "id": new_id(),
        "identity": identity(exception),
        "state": pb.EXCEPTION_STATE_PENDING,
    }


def _said(row: dict[str, Any], exception: pb.Exception) -> list[Columns]:
    """The events about an exception, as `raise_all_parameters` takes them."""
    place = {"identity": row["identity"], "thread": thread_name(exception.run)}
    return [event | place for event in about_raising(exception)]


def _steps(identities: Sequence[bytes]) -> list[list[int]]:
    """The indexes of what one statement raises, which is nothing twice.

    First all that come for the first time, then for the second … in the order of their identities,
    so that no two batches wait for each other.
    """
    steps: list[list[int]] = []
    seen: Counter[bytes] = Counter()
    for index in sorted(range(len(identities)), key=identities.__getitem__):
        number = seen[identities[index]]
        seen[identities[index]] += 1
        steps += [[]] if number == len(steps) else []
        steps[number].append(index)
    return steps


def _reordered(stored: Sequence[T], order: Sequence[int]) -> list[T]:
    """Undoes the sorting: `stored[n]` belongs to the request at `order[n]`."""
    by_index = dict(zip(order, stored, strict=True))
    return [by_index[index] for index in range(len(stored))]


def _pending_twin(exceptions: Exceptions, name: ExceptionName) -> ExceptionName | None:
    """The twin, unless it was dealt with in the meantime."""
    store = exceptions.store
    key = {
        "workspace": store.workspace_key(name.parent),
        "identity": identity(exceptions.get(name)),
    }
    row = store.database.one(PENDING_TWIN, key)
    return None if row is None else ExceptionName(name.organization, name.workspace, row[0])


def _check(parent: WorkspaceName, exceptions: dict[str, pb.Exception]) -> None:
    found: list[Violation] = [
        (f"{path}.{field}", what)
        for path, exception in exceptions.items()
        for field, what in violations(parent, exception)
    ]
    if found:
        raise InvalidFields(found)


def _check_children(request: service.BatchCreateExceptionsRequest) -> None:
    found: list[Violation] = []
    for index, child in enumerate(request.requests):
        if child.parent not in ("", request.parent):
            found.append((f"requests[{index}].parent", "must be empty or the parent of the batch"))
        if child.request_id:
            found.append((f"requests[{index}].request_id", "must be empty; the batch has its own"))
    if found:
        raise InvalidFields(found)
