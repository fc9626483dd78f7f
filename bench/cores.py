"""Which core is for what is measured, and which for everything around it.

Pinning is left out where the system has none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def split() -> tuple[set[int], set[int]]:
    """The core of the subject, and all others: PostgreSQL's, Envoy's and the load's."""
    ours = sorted(current())
    return set(ours[:1]), set(ours[1:] or ours)


def current() -> set[int]:
    """The cores that we may run on; none where the system doesn't say."""
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set()


@contextmanager
def running_on(cores: set[int]) -> Iterator[None]:
    """Keeps the current thread, and what it starts, on these cores; no cores: on any."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
