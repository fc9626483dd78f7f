"""Raising exceptions, one or many; each owns its transaction.

What several calls raise at the same time is written together.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from server.domain.errors import InvalidFields, Violation
from server.domain.exception_identity import identity
from server.domain.exception_rules import violations
from server.domain.ids import new_id
from server.domain.names import ExceptionName, WorkspaceName
from server.operations.exceptions import Exceptions
from server.operations.gathering import Gathering
from server.operations.thread_messages import Columns, about_raising, thread_name
from server.resources.exception import EXCEPTION
from server.store.changes import change_parameters, once
from server.store.connection import Row
from server.store.events import one_parameters
from server.store.exceptions import (
    raise_all_parameters,
    raise_all_statement,
    raise_and_tell_statement,
    raise_new_parameters,
    raise_new_statement,
)
from server.store.store import Store
from server.store.topics import thread_topic

T = TypeVar("T")

_RAISE_ALL = raise_all_statement(EXCEPTION.columns)
_RAISE_NEW = raise_new_statement(EXCEPTION.columns)
_RAISE_AND_TELL = raise_and_tell_statement(EXCEPTION.columns)

_ID = EXCEPTION.columns.index("id")


class _Raised(NamedTuple):
    """What one call raises: columns, the events about it, what is recorded of the call."""

    row: dict[str, Any]
    said: Sequence[Columns]
    recording: dict[str, Any]


class Raising:
    """Raises exceptions, each together with those that other calls raise at the same time."""

    def __init__(self, exceptions: Exceptions) -> None:
        self._exceptions = exceptions
        store = exceptions.store
        self._gathering: Gathering[_Raised, Row] = Gathering(
            lambda one: _store(store, one), lambda many: _store_new(store, many)
        )

    def create(self, request: service.CreateExceptionRequest) -> pb.Exception:
        """Raises one exception, or counts one more occurrence of its pending twin."""
        parent = WorkspaceName.parse(request.parent)
        _check(parent, {"exception": request.exception})
        exceptions, raised = self._exceptions, request.exception
        store = exceptions.store
        workspace = store.workspace_key(parent)

        def work() -> pb.Exception:
            recording = change_parameters(request, f"{parent}/exceptions")
            row = _row(workspace, raised)
            given = _Raised(row, _said(row, raised), recording)
            stored = self._gathering.do(workspace, given, request.ByteSize())
            return EXCEPTION.read(pb.Exception, str(parent), stored)

        def repeat(names: Sequence[str]) -> pb.Exception:
            return exceptions.get(ExceptionName.parse(names[0]))

        return once(store, workspace, request, work, repeat)

    def batch_create(
        self, request: service.BatchCreateExceptionsRequest
    ) -> service.BatchCreateExceptionsResponse:
        """Raises all of the exceptions or none, each as `create` would (AIP-233)."""
        parent = WorkspaceName.parse(request.parent)
        _check_children(request)
        raised = [child.exception for child in request.requests]
        _check(parent, {f"requests[{i}].exception": one for i, one in enumerate(raised)})
        exceptions = self._exceptions
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
            raised = [
                exceptions.get(ExceptionName.parse(name)) for name in _reordered(names, order)
            ]
            return service.BatchCreateExceptionsResponse(exceptions=raised)

        return once(store, workspace, request, work, repeat)


def _store(store: Store, raised: _Raised) -> Row:
    """Counts one more occurrence where it has a pending twin."""
    row, said, recording = raised
    if len(said) > 1:
        [stored] = store.database.all(_RAISE_ALL, raise_all_parameters([row], said) | recording)
    else:
        telling = one_parameters(said[0]["thread"], said[0])
        [stored] = store.database.all(_RAISE_AND_TELL, row | telling | recording)
    _announce(store, [raised])
    return stored


def _store_new(store: Store, raised: Sequence[_Raised]) -> list[Row | None]:
    """None for what has a pending twin, be it one of these.

    In the order of their identities, so that nobody waits for one who waits for them.
    """
    distinct: dict[bytes, _Raised] = {}
    for one in raised:
        distinct.setdefault(one.row["identity"], one)
    chosen = [distinct[key] for key in sorted(distinct)]
    parameters = raise_new_parameters(
        [one.row for one in chosen],
        list(chain.from_iterable(one.said for one in chosen)),
        [one.recording for one in chosen],
    )
    stored = {row[_ID]: row for row in store.database.all(_RAISE_NEW, parameters)}
    _announce(store, chosen)
    return [stored.get(one.row["id"]) for one in raised]


def _announce(store: Store, raised: Sequence[_Raised]) -> None:
    """Tells the followers of the runs' threads."""
    topics = {thread_topic(row["workspace"], said[0]["thread"]) for row, said, _ in raised}
    store.notifier.announce(*topics)


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
