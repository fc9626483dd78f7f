"""How long a caller takes for what it is sent: one that is too slow is told so, or hung up on.

The hub looks after all of them; what is sent is not known here.
"""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TypeVar

from server.domain.errors import ReaderTooSlow

T = TypeVar("T")


class Delivery:
    """What goes to one caller, who may take `slow` seconds for each message.

    `hang_up` ends the caller's call, which is the last resort against one that takes nothing.
    """

    def __init__(self, hang_up: Callable[[], object], slow: float) -> None:
        self._hang_up = hang_up
        self._slow = slow
        self._since: float | None = None

    def paced(self, messages: Iterable[T]) -> Iterator[T]:
        """The messages. Control comes back when one was taken. Raises ReaderTooSlow."""
        for message in messages:
            since = self._since = monotonic()
            yield message
            self._since = None
            if monotonic() - since > self._slow:
                raise ReaderTooSlow

    def cut_off(self, now: float) -> None:
        """Hangs up, if a message has not been taken by far."""
        since = self._since
        if since is not None and now - since > 2 * self._slow:
            self._hang_up()
