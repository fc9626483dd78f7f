"""Logs: one JSON object a line, on standard error.

What is logged is said where it happens; every call gets its line from the interceptors.
"""

import atexit
import logging
import re
import secrets
import sys
import threading
import time
from collections import deque
from contextlib import suppress

import structlog
from structlog.typing import EventDict

from server.domain.errors import InternalError

_DETAIL = re.compile(r"\nDETAIL:.*?(?=\n\n(?:The above|During handling)|\Z)", re.DOTALL)
"""Where PostgreSQL's errors show the rows that they are about."""


_DELAY_SECONDS = 0.05


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
            structlog.contextvars.merge_contextvars,  # what the interceptors know of the call
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_rows,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Log()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


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
