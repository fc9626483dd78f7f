"""A message to a thread, out of what was typed, standard input and files.

Where it goes is decided in `events`.
"""

import mimetypes
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from kintsugi.v1 import event_pb2 as pb

MOST_BYTES = 1024 * 1024
"""What a message may hold; that the text alone may hold less is for the service to say."""


def compose(text: str, files: Sequence[Path]) -> pb.UserMessage:
    """The text alone, or a list of the text and the files. Raises click.ClickException."""
    if text == "-":
        text = sys.stdin.buffer.read(MOST_BYTES + 1).decode(errors="replace").removesuffix("\n")
    text = text.encode(errors="surrogateescape").decode(errors="replace")
    if not text and not files:
        raise click.UsageError("There is nothing to say: give a TEXT, or a --file.")
    if not files:
        return pb.UserMessage(content=text)
    items = [pb.InputContent(text=text)] if text else []
    items += [pb.InputContent(file=_file(path)) for path in files]
    if sum(len(item.file.inline.content) for item in items) > MOST_BYTES:
        raise click.ClickException("the files hold more than 1 MiB together, the most that is sent")
    return pb.UserMessage(content_list=pb.InputContentList(items=items))


def _file(path: Path) -> pb.FileInputContent:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise click.ClickException(f"{path} can't be read: {error.strerror}") from None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    name = path.name.encode(errors="surrogateescape").decode(errors="replace")
    inline = pb.FileContent(mime_type=kind, content=content, filename=name)
    return pb.FileInputContent(inline=inline)
