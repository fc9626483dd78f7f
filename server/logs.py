"""Logs: one JSON object a line, on standard error.

What is logged is said where it happens; every call gets its line from the interceptors.
"""

import logging
import secrets
import sys
from contextlib import suppress

import structlog

from server.domain.errors import InternalError


class _Log:
    """Standard error, except that a full disk loses lines instead of failing calls."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure(level: str) -> None:
    """`level` is debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Log()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def internal_error(method: str) -> InternalError:
    """Logs the exception that is being handled, and answers all that its caller is told of it."""
    reference = secrets.token_hex(4)
    structlog.get_logger().exception("internal error", reference=reference, method=method)
    return InternalError(reference)
