"""What can be done to exceptions: update, resolve, archive, unarchive; each owns its transaction.

Which transitions are legal is said in `domain/exception_state.py`.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from server.domain import exception_state
from server.domain.call import current_call
from server.domain.errors import AlreadyExists
from server.domain.exception_identity import identity
from server.domain.names import ExceptionName
from server.operations.guide_entries import draft_of
from server.operations.thread_messages import tell_changed
from server.resources.collection import Also, Collection
from server.store.changes import MutationRequest
from server.store.connection import Transaction
from server.store.errors import Duplicate
from server.store.exceptions import PENDING_INDEX, PENDING_TWIN

Exceptions = Collection[pb.Exception, ExceptionName]


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


def _pending_twin(exceptions: Exceptions, name: ExceptionName) -> ExceptionName | None:
    """The twin, unless it was dealt with in the meantime."""
    store = exceptions.store
    key = {
        "workspace": store.workspace_key(name.parent),
        "identity": identity(exceptions.get(name)),
    }
    row = store.database.one(PENDING_TWIN, key)
    return None if row is None else ExceptionName(name.organization, name.workspace, row[0])
