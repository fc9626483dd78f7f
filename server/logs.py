"""Logs: one JSON object a line, on standard error.

What is logged is said where it happens; every call gets its line from the interceptors.
"""

import atexit
import json
import logging
import re
import secrets
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from contextvars import ContextVar

import structlog
from structlog.typing import EventDict

from server.domain.errors import InternalError

_DETAIL = re.compile(r"\nDETAIL:.*?(?=\n\n(?:The above|During handling)|\Z)", re.DOTALL)
"""Where PostgreSQL's errors show the rows that they are about."""


_DELAY_SECONDS = 0.05


_encode = json.JSONEncoder(default=repr).encode
"""structlog's own renderer makes an encoder for each line."""

_known: ContextVar[dict[str, str]] = ContextVar("known")
_NOTHING: dict[str, str] = {}


class _Log:
    """Standard error, a moment later: a write of its own would cost a call more than all it logs.

    A full disk loses lines instead of failing calls.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self._write_out)

    def write(self, text: str) -> None:
        self._lines.append(text)

    def flush(self) -> None:
        """Asked for after every line."""

    def _run(self) -> None:
        while True:
            time.sleep(_DELAY_SECONDS)
            self._write_out()

    def _write_out(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines:
            with suppress(OSError):
                sys.stderr.write("".join(lines))
                sys.stderr.flush()


def configure(level: str) -> None:
    """`level` is debug, info, warning or error."""
    structlog.configure(
        processors=[
            with_call,
            structlog.processors.add_log_level,
            structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_rows,
            _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Log()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def begin(**known: str) -> None:
    """What the lines of this thread say from now on, besides what each has to say."""
    _known.set(known)


def add(**known: str) -> None:
    """More of it."""
    _known.get().update(known)


def known() -> dict[str, str]:
    """What the lines of this thread say besides."""
    return _known.get(_NOTHING)


def with_call(_logger: object, _name: str, event: EventDict) -> EventDict:
    """Adds what is known of the call that a line is about."""
    return {**known(), **event}


def _as_json(_logger: object, _name: str, event: EventDict) -> str:
    return _encode(event)


def without_rows(_logger: object, _name: str, event: EventDict) -> EventDict:
    """Takes what callers have written out of the traceback of a database's error."""
    if "exception" in event:
        event["exception"] = _DETAIL.sub("", event["exception"])
    return event


def internal_error(method: str) -> InternalError:
    """Logs the exception that is being handled, and answers all that its caller is told of it."""
    reference = secrets.token_hex(4)
    structlog.get_logger().exception("internal error", reference=reference, method=method)
    return InternalError(reference)
