"""How the processes that live long import what they are made of.

What they import, and when, is in their own modules.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def for_good() -> Iterator[None]:
    """What is imported here stays, so that it is never looked through for garbage.

    That would take a sixth of the time to start, and much of every later look at all there is.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
