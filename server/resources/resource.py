"""What a resource is: one declaration that the engine serves the standard methods from.

The declarations themselves are in modules of their own, one each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Table

from filters import Schema
from server.domain.errors import Violation
from server.domain.names import ResourceName, WorkspaceName
from server.store.connection import Row
from server.store.statements import Computed, Key
from server.store.store import Store


class ChildName(Protocol):
    """The name of something that has a parent."""

    @property
    def parent(self) -> ResourceName: ...

    @property
    def id(self) -> str: ...


M = TypeVar("M", bound=Message)
N = TypeVar("N", bound=ChildName)


Make = Callable[..., M]
"""Makes a message of fields: its class, or the `add` of a list, which spares a copy."""


@dataclass(frozen=True)
class Seen:
    """A condition on the rows, and its parameters for a parent and the current call."""

    condition: ColumnElement[bool]
    parameters: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Resource(Generic[M, N]):
    """One kind of resource.

    - `singular`: what a request calls it.
    - `columns`: what a row has, in order; those that lists are ordered by are among them.
      `computed`: what is read in place of some of them.
    - `read`: makes the message of a row, given the parent's name. `write`: a message's columns.
    - `scope`: the columns that hold the parent; `scope_key` finds their values or raises NotFound.
    - `row_id`: the value of the column `id`; raises NotFound where no row can have it.
    - `workspace`: the workspace that the resource is in; `workspace_column` holds its uid.
    - `violations`: what is wrong with a message that a caller changed, by its fields.
    - `mutable`: the fields that an update may change.
    - `filters`: the fields that filters and orders may name.
    - `counts`: of the filters, those that the counts of `store/counts.py` can answer too, on its
      columns; None where nothing is counted there.
    - `order`: the keys that a list is ordered by if nothing is asked for; the last one is unique.
    - `seen`: which of them the caller may see; None means all.
    - `step`: how many rows a list reads at once.
    """

    singular: str
    message: type[M]
    name: type[N]
    table: Table
    columns: tuple[str, ...]
    read: Callable[[Make[M], str, Row], M]
    write: Callable[[M], dict[str, Any]]
    scope: tuple[str, ...]
    scope_key: Callable[[Store, Any], tuple[Any, ...]]
    workspace: Callable[[N], WorkspaceName]
    workspace_column: str
    violations: Callable[[N, M], list[Violation]]
    mutable: tuple[str, ...] = ()
    row_id: Callable[[N], Any] = attrgetter("id")
    computed: Computed = field(default_factory=dict)
    filters: Schema = field(default_factory=Schema)
    counts: Schema | None = None
    order: tuple[Key, ...] = (Key("create_time", descending=True), Key("id", descending=True))
    seen: Seen | None = None
    step: int = 100
