"""What is kept of the streams that are watched, and for how long."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from server.domain.call import Call
from server.interceptors.access import Access
from server.operations.authentication import Caller


class Ending:
    """Knows everybody; does something while it looks a token up."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], Any] = lambda: None

    def caller(self, token: str, *, since: float = 0.0) -> Caller:
        self.meanwhile()
        return Caller("users/ada", "t1", {}, is_everywhere=False, found=since)


def test_nothing_is_kept_of_a_stream_that_ended_while_it_was_looked_at() -> None:
    callers = Ending()
    access = Access(callers)
    metadata = {"authorization": "Bearer secret"}
    rpc: Any = SimpleNamespace(metadata=metadata, pairs=tuple(metadata.items()))
    method: Any = SimpleNamespace()
    stream = access.watched(rpc, method, Call("/s/m", "users/ada", None))
    stream.__enter__()
    callers.meanwhile = lambda: stream.__exit__(None, None, None)
    access.check_streams()
    access.check_streams()
    assert not access._streams
    assert not access._good_for
