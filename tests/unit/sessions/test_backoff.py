"""How long an action that is to be repeated rests."""

import pytest
from kintsugi.v1 import connector_pb2

from server.sessions import execution


@pytest.mark.parametrize(
    ("first", "number", "most"), [(None, 1, 1.5), (None, 3, 6), (0.1, 1, 0.15), (50, 9, 90)]
)
def test_a_pause_doubles_and_is_about_a_minute_at_most(
    first: float | None, number: int, most: float
) -> None:
    http = connector_pb2.HttpRequest()
    if first is not None:
        http.retry.initial_backoff.FromMilliseconds(round(first * 1000))
    assert most / 3 <= execution._backoff(http, number) <= most
