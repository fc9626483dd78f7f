"""The engine: get, list and update of any resource, from its declaration.

Creating is an operation of its own; so is every transition, by means of `change`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from server.domain.errors import EtagMismatch, IllegalTransition, InvalidFields, NotFound
from server.domain.names import ResourceName
from server.resources.choice import choice
from server.resources.field_mask import fields_to_change
from server.resources.page import (
    MAX_BYTES,
    Items,
    ListRequest,
    ListResponse,
    PageRequest,
)
from server.resources.page_token import PageToken, order_values
from server.resources.resource import ChildName, M, N, Resource
from server.store.changes import MutationRequest, change_parameters, once
from server.store.connection import Row, Transaction
from server.store.statements import Choice, Statements
from server.store.store import Store


class UpdateRequest(MutationRequest, Protocol):
    """A request message of an Update method, but for the resource, which each calls otherwise."""

    @property
    def update_mask(self) -> FieldMask: ...


Parent = ResourceName | ChildName

Also = Callable[[Transaction, M, M], Iterable[str]]
"""What else a change does: given the resource before and after, answers topics to announce."""


def nothing_else(_transaction: Transaction, _before: M, _after: M) -> Iterable[str]:
    return ()


def _as_it_is(_before: Message, _after: Message) -> None:
    pass


def _no_more(_transaction: Transaction, _before: Message) -> None:
    pass


class Collection(Generic[M, N]):
    """All resources of one kind in one store."""

    def __init__(self, store: Store, resource: Resource[M, N]) -> None:
        self.store = store
        self.resource = resource
        self._statements = Statements(
            resource.table,
            resource.columns,
            scope=resource.scope,
            workspace=resource.workspace_column,
            computed=resource.computed,
            seen=resource.seen.condition if resource.seen else None,
        )

    def get(self, name: N, transaction: Transaction | None = None) -> M:
        """One resource (AIP-131), as the transaction sees it if there is one. Raises NotFound."""
        source = transaction or self.store.database
        row = source.one(self._statements.one, self._key(name))
        return self._read_found(name, row)

    def list(
        self, parent: Parent, request: ListRequest, response: ListResponse, items: Items[M]
    ) -> None:
        """Fills `response`, and its field `items`, with a page of a parent's resources (AIP-132).

        Raises InvalidFields, PageTokenInvalid, FilterSyntaxRefused, FilterTypeRefused.
        """
        wanted = PageRequest.of(request)
        chosen = choice(request, self.resource)
        bounds = {**self._scope(parent), "parent": str(parent)}
        total = wanted.token or self._count(chosen, bounds)
        last = self._fill(response, items, chosen, wanted, bounds)
        if last is not None:
            response.next_page_token = wanted.token_after(self._keys_of(last, chosen), total)
        response.total_size = total.total_size
        response.total_size_is_lower_bound = total.is_lower_bound

    def update(
        self,
        name: N,
        message: M,
        request: UpdateRequest,
        also: Also[M] = nothing_else,
        revise: Callable[[M, M], None] = _as_it_is,
    ) -> M:
        """Changes fields (AIP-134); where they differ then, `revise`, given the resource as it was
        and as it will be, may change further ones.

        Raises NotFound, EtagMismatch, InvalidFields.
        """
        fields = fields_to_change(message, request.update_mask.paths, self.resource.mutable)

        def take_over(stored: M) -> None:
            before = type(stored)()
            before.CopyFrom(stored)
            for field in fields:
                stored.ClearField(field)
            FieldMask(paths=fields).MergeMessage(message, stored)
            self._check(name, stored)
            if self.resource.write(stored) != self.resource.write(before):
                revise(before, stored)

        return self.change(name, request, _etag(message), take_over, also)

    def change(
        self,
        name: N,
        request: MutationRequest,
        etag: str,
        apply: Callable[[M], None],
        also: Also[M] = nothing_else,
    ) -> M:
        """Loads one resource, lets `apply` change the message, and stores what differs.

        The way of every mutation of one existing resource. What `also` does is done in the same
        transaction, and the topics that it answers are announced after it. A repeated request
        changes nothing and is answered with the resource as it is now.
        """

        def work() -> M:
            with self.store.database.transaction() as transaction:
                before = self.locked(transaction, name, etag)
                after = self.replace(transaction, name, request, before, apply)
                topics = also(transaction, before, after)
            self.store.notifier.announce(*topics)
            return after

        workspace = self.store.workspace_key(self.resource.workspace(name))
        return once(self.store, workspace, request, work, lambda _: self.get(name))

    def delete(
        self,
        name: N,
        request: MutationRequest,
        etag: str,
        also: Callable[[Transaction, M], None] = _no_more,
    ) -> None:
        """Deletes one resource for good (AIP-135); `also` is done in the same transaction.

        Raises NotFound, EtagMismatch.
        """

        def work() -> None:
            with self.store.database.transaction() as transaction:
                before = self.locked(transaction, name, etag)
                parameters = self._key(name) | change_parameters(
                    request, str(name).rpartition("/")[0]
                )
                transaction.one(self._statements.delete, parameters)
                also(transaction, before)

        workspace = self.store.workspace_key(self.resource.workspace(name))
        once(self.store, workspace, request, work, lambda _: None)

    def locked(self, transaction: Transaction, name: N, etag: str = "") -> M:
        """One resource, which nobody else changes before the transaction ends.

        Raises NotFound, EtagMismatch.
        """
        found = self._read_found(
            name, transaction.one(self._statements.one_locked, self._key(name))
        )
        if etag and etag != _etag(found):
            raise EtagMismatch(name, _etag(found))
        return found

    def replace(  # noqa: PLR0913 - what it is about, and what is done
        self,
        transaction: Transaction,
        name: N,
        request: MutationRequest,
        before: M,
        apply: Callable[[M], None],
        *,
        is_touched: bool = False,
    ) -> M:
        """Lets `apply` change a locked resource and stores what differs, as a part of something
        larger; one that `is_touched` is another version even if nothing does. Whoever calls it
        announces the workspace's topic after the commit."""
        after = type(before)()
        after.CopyFrom(before)
        try:
            apply(after)
        except IllegalTransition as error:
            raise error.about(name) from None
        old, new = self.resource.write(before), self.resource.write(after)
        changed = [column for column in new if new[column] != old[column]]
        is_touched = is_touched or bool(changed)
        if not is_touched and not request.request_id:
            return before
        replaced = {column: _recorded(old[column]) for column in changed}
        parameters = {
            **self._key(name),
            **{f"new_{column}": new[column] for column in changed},
            **change_parameters(request, str(name).rpartition("/")[0]),
            "before": replaced | _update_time(before) if is_touched else {},
        }
        statement = self._statements.update(changed, is_touched=is_touched)
        return self._read_found(name, transaction.one(statement, parameters))

    def _check(self, name: N, message: M) -> None:
        found = self.resource.violations(name, message)
        if found:
            singular = self.resource.singular
            raise InvalidFields([(f"{singular}.{field}", what) for field, what in found])

    def _fill(
        self,
        response: ListResponse,
        items: Items[M],
        chosen: Choice,
        wanted: PageRequest,
        bounds: Mapping[str, Any],
    ) -> Row | None:
        """Adds the page to `items`; its last row, if there are more behind it.

        Reads in steps, so that many large rows never are in memory at once.
        """
        place: Sequence[Any] | None = wanted.token.after if wanted.token else None
        skip, last = wanted.skip, None
        while True:
            asked, before = min(wanted.size - len(items), self.resource.step), len(items)
            rows = self._rows(chosen, place, {**bounds, "limit": asked + 1, "skip": skip})
            for row in rows[:asked]:
                self.resource.read(items.add, bounds["parent"], row)
            while response.ByteSize() > MAX_BYTES and len(items) > 1:
                del items[-1:]
            kept = len(items) - before
            if kept == len(rows):
                return None
            last = rows[kept - 1] if kept else last
            if last is None or kept < asked or len(items) == wanted.size:
                return last
            place, skip = self._keys_of(last, chosen), 0

    def _rows(
        self, chosen: Choice, place: Sequence[Any] | None, parameters: dict[str, Any]
    ) -> Sequence[Row]:
        if place is None:
            return self.store.database.all(self._statements.first_page(chosen), parameters)
        columns = [self.resource.table.c[key.column] for key in chosen.order]
        for number, value in enumerate(order_values(place, columns)):
            parameters[f"after_{number}"] = value
        return self.store.database.all(self._statements.next_page(chosen), parameters)

    def _keys_of(self, row: Row, chosen: Choice) -> Sequence[Any]:
        columns = self.resource.columns
        return [row[columns.index(key.column)] for key in chosen.order]

    def _count(self, chosen: Choice, bounds: Mapping[str, Any]) -> PageToken:
        [row] = self.store.database.all(self._statements.count(chosen), bounds)
        return PageToken((), *row)

    def _key(self, name: N) -> dict[str, Any]:
        return {**self._scope(name.parent), "id": self.resource.row_id(name)}

    def _scope(self, parent: Parent) -> dict[str, Any]:
        values = self.resource.scope_key(self.store, parent)
        found = {f"scope_{number}": value for number, value in enumerate(values)}
        seen = self.resource.seen
        return found | seen.parameters(parent) if seen else found

    def _read_found(self, name: N, row: Row | None) -> M:
        if row is None:
            raise NotFound(name)
        return self.resource.read(self.resource.message, str(name.parent), row)


def _recorded(value: Any) -> Any:
    """As PostgreSQL's to_jsonb has it."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return value.isoformat() if isinstance(value, datetime) else value


def _update_time(message: Any) -> dict[str, str]:
    """As a column; not every resource tells it."""
    if "update_time" not in message.DESCRIPTOR.fields_by_name:
        return {}
    return {"update_time": message.update_time.ToJsonString()}


def _etag(message: Any) -> str:
    etag: str = message.etag
    return etag
