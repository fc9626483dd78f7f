"""What the fuzzer calls with bytes: whatever they are, a filter is compiled or refused in short.

`python -m tests.fuzz.filters FOLDER…` takes libFuzzer's arguments; test_filters.py starts it. What
takes long is put into the folder that SLOW names, to be timed without the instruments.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["filters"]):
    import filters
    from tests.filters_cases import things

SECONDS = 0.05
SLOW = os.environ.get("SLOW")
MESSAGE = things.message(things.rows()[0])


def answer(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    begun = time.thread_time()
    for ask in (_sql, _predicate, _order):
        error = _refusal(ask, text)
        assert error is None or 0 <= error.offset <= len(text)
        assert error is None or len(str(error)) < 300
    if SLOW and time.thread_time() - begun > SECONDS:
        Path(SLOW, hashlib.sha256(data).hexdigest()).write_bytes(data)


def _refusal(ask: Callable[[str], None], text: str) -> filters.FilterError | None:
    try:
        ask(text)
    except filters.FilterError as error:
        return error
    return None


def _sql(text: str) -> None:
    str(filters.compile_sql.__wrapped__(text, things.SCHEMA).where)


def _predicate(text: str) -> None:
    filters.compile_predicate.__wrapped__(text, things.SCHEMA)(MESSAGE)


def _order(text: str) -> None:
    filters.parse_order_by(text, things.SCHEMA)


if __name__ == "__main__":
    atheris.Setup(sys.argv, answer)
    atheris.Fuzz()
