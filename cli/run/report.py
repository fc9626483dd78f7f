"""What a failed attempt says to the service: an exception, with its secrets masked.

How it is sent is not known here.
"""

import os
import re
import shlex
import socket
from collections.abc import Sequence

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import location_pb2

from cli.run import mask
from cli.run.error_line import ANSI, error_line
from cli.run.process import Outcome

LIMIT = 16 * 1024
"""Most bytes of output that are sent; also of the message and of the command."""

_HALF_CHARACTER = re.compile(rb"\A[\x80-\xbf]{1,3}")


def describe(
    outcome: Outcome, command: Sequence[str], run: str, execution_id: str, *, with_output: bool
) -> pb.Exception:
    """The exception to raise. Without output, no byte of what the command wrote is in it."""
    values = mask.secret_values()
    message, location = _fallback(outcome, command, values)
    extra = {
        "exit_code": str(outcome.code),
        "command": _text(_command(command, values)[:LIMIT]),
        "host": socket.gethostname(),
    }
    if with_output:
        capture = outcome.capture
        views = (capture.stdout(), capture.stderr(), capture.both())
        hidden = mask.hidden(views, values)
        extra["output"] = _text(_last(mask.redacted(views[-1], hidden)))
        if line := error_line(capture):
            message = _text(ANSI.sub(b"", mask.redacted(line, hidden)[:LIMIT]))
            location = line.span()
    return pb.Exception(
        run=run,
        execution_id=execution_id,
        message=message,
        location=location_pb2.Location(start_byte=location[0], end_byte=location[1]),
        extra=extra,
    )


def _fallback(
    outcome: Outcome, command: Sequence[str], values: set[bytes]
) -> tuple[str, tuple[int, int]]:
    """Message and place of a failure that said nothing: how it ended, at the end of the output."""
    program = _text(mask.masked(os.fsencode(command[0]), values)[:LIMIT])
    return f"{program} {outcome.ending}", (outcome.capture.size, outcome.capture.size)


def _command(command: Sequence[str], values: set[bytes]) -> bytes:
    words = mask.masked_words([os.fsencode(word) for word in command], values)
    return os.fsencode(shlex.join(os.fsdecode(word) for word in words))


def _last(output: bytes) -> bytes:
    """The last LIMIT bytes, from the beginning of a character."""
    end = output[-LIMIT:]
    return end if end == output else _HALF_CHARACTER.sub(b"", end)


def _text(data: bytes) -> str:
    """As text that a database takes: what isn't UTF-8, and NUL, as the replacement character."""
    return data.decode(errors="replace").replace("\0", "�")
