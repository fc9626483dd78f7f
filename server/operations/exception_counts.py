"""Counting exceptions by group and by automation, a page at a time.

How many there are in all, the engine knows (`resources/collection.py`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from kintsugi.v1 import exception_group_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from server.domain.names import WorkspaceName
from server.resources.choice import choice
from server.resources.exception import EXCEPTION
from server.resources.exception_group import EXCEPTION_GROUP
from server.resources.page import ListRequest, PageRequest
from server.resources.page_token import PageToken, order_values
from server.store import tables
from server.store.connection import Row
from server.store.counts_by import by_automation, by_group
from server.store.query import Query
from server.store.statements import Choice, kept
from server.store.store import Store

_BY_GROUP = kept(partial(by_group, columns=EXCEPTION_GROUP.columns))
_BY_AUTOMATION = kept(by_automation)
_TOKEN_COLUMNS = (tables.exceptions.c.automation, tables.exceptions.c.number)
"""The types of what a token carries: the last key, and how many exceptions there are in all."""


class _Request(ListRequest, Protocol):
    parent: str


class _Response(Protocol):
    next_page_token: str
    total_size: int
    total_exception_count: int
    counts_are_lower_bounds: bool


def by_groups(
    store: Store, request: service.CountExceptionsByGroupRequest
) -> service.CountExceptionsByGroupResponse:
    """Raises NotFound, InvalidFields, PageTokenInvalid, and what is wrong with the filter."""
    response = service.CountExceptionsByGroupResponse()
    for key, count, *columns in _page(store, request, response, _BY_GROUP):
        group = pb.ExceptionGroup()
        if key:
            group = EXCEPTION_GROUP.read(pb.ExceptionGroup, request.parent, tuple(columns))
        response.group_counts.add(group=group, count=count)
    return response


def by_automations(
    store: Store, request: service.CountExceptionsByAutomationRequest
) -> service.CountExceptionsByAutomationResponse:
    """Raises what `by_groups` does."""
    response = service.CountExceptionsByAutomationResponse()
    for key, count in _page(store, request, response, _BY_AUTOMATION):
        name = f"{request.parent}/automations/{key}"
        response.automation_counts.add(automation=name, count=count)
    return response


def _page(
    store: Store, request: _Request, response: _Response, statement: Callable[[Choice], Query]
) -> Sequence[Row]:
    """The rows of a page without their totals, which `response` gets, as all but the rows."""
    wanted = PageRequest.of(request)
    after, exceptions = _place(wanted.token)
    parameters = {
        "scope_0": store.workspace_key(WorkspaceName.parse(request.parent)),
        "parent": request.parent,
        "after": after,
        "limit": wanted.size + 1,
    }
    rows = store.database.all(statement(choice(request, EXCEPTION)), parameters)
    total = wanted.token
    if total is None:
        keys, exceptions, is_lower_bound = rows[0][2:5] if rows else (0, 0, False)
        total = PageToken((), keys, is_lower_bound)
    if len(rows) > wanted.size:
        last = rows[wanted.size - 1][0]
        response.next_page_token = wanted.token_after([last, exceptions], total)
    response.total_size = total.total_size
    response.total_exception_count = exceptions
    response.counts_are_lower_bounds = total.is_lower_bound
    return [(*row[:2], *row[5:]) for row in rows[: wanted.size]]


def _place(token: PageToken | None) -> tuple[str | None, int]:
    """The key that the page comes after, and how many exceptions there are in all."""
    if token is None:
        return None, 0
    after, exceptions = order_values(token.after, _TOKEN_COLUMNS)
    return after, exceptions
