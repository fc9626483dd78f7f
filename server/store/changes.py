"""The change record: one row for each resource that a mutation changes, written with it.

It is what makes a repeated `request_id` harmless (AIP-155), and what followers read.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Insert,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from server.domain.call import current_call
from server.domain.errors import DatabaseUnavailable, DeadlinePassed, KintsugiError, RequestIdReused
from server.store.connection import Database, Parameters
from server.store.errors import Duplicate
from server.store.query import Query
from server.store.store import Store
from server.store.tables import MASKED, changes
from server.store.topics import workspace_topic

T = TypeVar("T")

_OF_REQUEST = ("request_id", "body_digest")
_OF_CALL = ("principal", "token", "address", "method", *_OF_REQUEST)
_WRITTEN = ("workspace", "resource", *_OF_CALL, "before", "after")

PREFIX = "change_"
"""What the parameters for them begin with."""

OF_CALL: dict[str, TypeEngine[Any]] = {name: changes.c[name].type for name in _OF_CALL}
"""What is recorded of the call that changed something, and its request."""

_first = changes.alias()
_EARLIER = Query(
    select(changes.c.resource, _first.c.body_digest)
    .join(_first, and_(changes.c.epoch == _first.c.epoch, changes.c.xid == _first.c.xid))
    .where(
        changes.c.workspace == _first.c.workspace,
        *(
            _first.c[name] == bindparam(name)
            for name in ("workspace", "principal", "method", "request_id")
        ),
    )
    # A statement may carry out more than one request: the one with the id comes first.
    .order_by(changes.c.id != _first.c.id, changes.c.id)
)

_begin, _id = bindparam("begin", type_=Text), changes.c.request_id
_PARTS = Query(
    select(func.count()).where(
        *(changes.c[name] == bindparam(name) for name in ("workspace", "principal", "method")),
        _id > _begin,
        _id < bindparam("end", type_=Text),
        _id == _begin.concat(func.split_part(_id, "/", -1)),
    )
)
"""Between `R/` and `R0`, which is next in C's order, are the parts of `R` and of any `R/…`."""


class MutationRequest(Protocol):
    """A request message of a method that changes something."""

    request_id: str

    def SerializeToString(self, *, deterministic: bool) -> bytes: ...  # noqa: N802 - protobuf's


class _Further:
    request_id = ""

    def SerializeToString(self, *, deterministic: bool) -> bytes:  # noqa: ARG002, N802 - protobuf's
        return b""


FURTHER: MutationRequest = _Further()
"""For a change that is part of a request of which another change carries the id."""


_NO_FIELDS: ColumnElement[Any] = literal_column("'{}'::jsonb")


class Caller(NamedTuple):
    """Whose change it is: the columns of OF_CALL, of what `matches` the changed row."""

    columns: Mapping[str, ColumnElement[Any]]
    matches: ColumnElement[bool] = true()


def current_caller(_: CTE) -> Caller:
    """The call that is being served, by the parameters of `change_parameters`."""
    return Caller({name: bindparam(f"{PREFIX}{name}", type_=OF_CALL[name]) for name in OF_CALL})


def current_caller_of(row: CTE, is_first: ColumnElement[bool]) -> Caller:
    """The same of many rows: the one that is the first has the request's id."""
    given = current_caller(row).columns
    first = {name: case((is_first, cast(given[name], OF_CALL[name]))) for name in _OF_REQUEST}
    return Caller({**given, **first})


def _nothing(_: CTE) -> ColumnElement[Any]:
    return null()


def recorded(  # noqa: PLR0913 (what is known of a change)
    write: Insert | Update | Delete,
    workspace: str,
    *,
    before: Callable[[CTE], Any] = _nothing,
    without: Collection[str] = (),
    id: str = "id",
    caller: Callable[[CTE], Caller] = current_caller,
) -> tuple[CTE, CTE]:
    """Makes `write` append the change of the row it writes: the row, and the insert beside it.

    `workspace` is the column that names the row's workspace; `before` are the columns that
    changed with their old values, as jsonb, NULL for a row that is new; of one that is deleted
    they are all, and nothing comes after it. `without` are the columns that are too large to be
    kept twice, and masked ones never are; `id` is the one that ends the resource's name; `caller`
    says whose change it is. Needs the parameters of `change_parameters`.
    """
    row = write.returning(write.table).cte("row")
    whose = caller(row)
    masked = {column.key for column in write.table.c if column.info.get(MASKED)}
    image = _as_json(row, {*without, *masked})
    was, becomes = (image, _NO_FIELDS) if isinstance(write, Delete) else (before(row), image)
    values = {
        "workspace": row.c[workspace],
        "resource": bindparam("change_collection", type_=Text) + cast(row.c[id], Text),
        **whose.columns,
        "before": was,
        "after": becomes,
    }
    chosen: list[ColumnElement[Any]] = [values[name] for name in _WRITTEN]
    rows = select(*chosen).where(whose.matches)
    return row, insert(changes).from_select(list(_WRITTEN), rows).cte("change")


def _as_json(row: CTE, without: Collection[str]) -> ColumnElement[Any]:
    if not without:
        return func.to_jsonb(row.table_valued())
    kept: list[tuple[ColumnElement[Any], ColumnElement[Any]]] = [
        (literal_column(f"'{column.key}'"), column) for column in row.c if column.key not in without
    ]
    return func.jsonb_build_object(*chain.from_iterable(kept))


def change_parameters(
    request: MutationRequest, collection: str, *, is_first: bool = True
) -> dict[str, Any]:
    """What a recorded statement needs to know of the current call.

    `collection` is the name of the resource without its id. Only the first change of a request
    carries its id.
    """
    call = current_call()
    has_id = bool(request.request_id) and is_first
    return {
        "change_collection": f"{collection}/",
        "change_principal": call.principal,
        "change_token": call.token,
        "change_address": call.address,
        "change_method": call.method,
        "change_request_id": request.request_id if has_id else None,
        "change_body_digest": _digest(request) if has_id else None,
    }


def once(
    store: Store,
    workspace: str,
    request: MutationRequest,
    work: Callable[[], T],
    repeat: Callable[[Sequence[str]], T],
) -> T:
    """Does the work, or, where the same request was carried out before, only answers again.

    When the work is done, and so committed, the followers of the workspace are told.

    The unique index of the change record decides: the work of a repetition fails, be it there or
    at what the first one left behind, and is undone. Then `repeat` answers with the resources
    that the first one changed, by their names, in its order. Raises RequestIdReused.
    """
    try:
        done = work()
    except (DatabaseUnavailable, DeadlinePassed):
        raise
    except (KintsugiError, Duplicate):
        earlier = _find_earlier(store.database, workspace, request) if request.request_id else []
        if not earlier:
            raise
        return repeat(earlier)
    store.notifier.announce(workspace_topic(workspace))
    return done


def part_id(request_id: str, part: str) -> str:
    """The id of a request that is a part of one with an id, or with none."""
    return f"{request_id}/{part}" if request_id else ""


def count_parts(database: Database, workspace: str, request_id: str) -> int:
    """How many parts of a request with an id have changed something until now."""
    call = current_call()
    key: Parameters = {
        "workspace": workspace,
        "principal": call.principal,
        "method": call.method,
        "begin": f"{request_id}/",
        "end": f"{request_id}0",
    }
    [[count]] = database.all(_PARTS, key)
    return int(count)


def _find_earlier(database: Database, workspace: str, request: MutationRequest) -> list[str]:
    call = current_call()
    key: Parameters = {
        "workspace": workspace,
        "principal": call.principal,
        "method": call.method,
        "request_id": request.request_id,
    }
    rows = database.all(_EARLIER, key)
    if rows and rows[0][1] != _digest(request):
        raise RequestIdReused
    return [resource for resource, _ in rows]


def _digest(request: MutationRequest) -> bytes:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
