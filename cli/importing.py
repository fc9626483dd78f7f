"""How the processes that live long import what they are made of.

What they import, and when, is in their own modules.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 10_000
"""Objects."""


@contextmanager
def for_good() -> Iterator[None]:
    """What is imported here stays, so that it is never looked through for garbage.

    That would take a sixth of the time to start, and much of every later look at all there is.
    What is new is looked at less often than Python would: a call leaves hardly any rings behind.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_YOUNG)
        gc.enable()
