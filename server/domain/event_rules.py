"""What must be true of an event that a caller creates, beyond what the protos say.

Whether the exception that it names exists is looked up elsewhere.
"""

import re
from collections.abc import Iterator

from kintsugi.v1 import event_pb2 as pb

from server.domain.errors import Violation
from server.domain.names import ExceptionName, ThreadName

MAX_INLINE_BYTES = 1024 * 1024
"""What the files that one event carries along may have together."""

_CREATED = "user_message"
_NOT_CREATED = "is written by agents and the service; only user_message can be created"
_MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;[ -~]*)?")
_SEPARATORS = ("/", "\\")
_ITEMS = "user_message.content_list.items"


def violations(thread: ThreadName, event: pb.Event, caller: str) -> list[Violation]:
    """All that is wrong, by fields of the event; empty when nothing is."""
    return [*_content_violations(event, caller), *_exception_violations(thread, event.exception)]


def _content_violations(event: pb.Event, caller: str) -> Iterator[Violation]:
    given = event.WhichOneof("event_data")
    if given is None:
        yield _CREATED, "is required"
    elif given != _CREATED:
        yield given, _NOT_CREATED
    else:
        yield from _message_violations(event.user_message, caller)


def _message_violations(message: pb.UserMessage, caller: str) -> Iterator[Violation]:
    if message.user not in ("", caller):
        yield "user_message.user", f"must be empty or the caller, {caller}"
    match message.WhichOneof("input"):
        case None:
            yield "user_message", "needs content or content_list"
        case "content" if not message.content:
            yield "user_message.content", "must not be empty"
        case "content_list":
            yield from _list_violations(message.content_list)


def _list_violations(content: pb.InputContentList) -> Iterator[Violation]:
    for index, item in enumerate(content.items):
        for field, what in _item_violations(item):
            yield f"{_ITEMS}[{index}]{field}", what
    size = sum(len(item.file.inline.content) for item in content.items)
    if size > MAX_INLINE_BYTES:
        yield _ITEMS, f"carry files of {size} bytes; at most {MAX_INLINE_BYTES} are allowed"


def _item_violations(item: pb.InputContent) -> Iterator[Violation]:
    match item.WhichOneof("content"), item.file.WhichOneof("source"):
        case None, _:
            yield "", "needs text or file"
        case "text", _:
            if not item.text:
                yield ".text", "must not be empty"
        case _, None:
            yield ".file", "needs remote or inline"
        case _, "remote":
            if not item.file.remote:
                yield ".file.remote", "must not be empty"
        case _:
            yield from _file_violations(item.file.inline)


def _file_violations(file: pb.FileContent) -> Iterator[Violation]:
    # That there is a type and a content is declared in the proto.
    if file.mime_type and not _MIME_TYPE.fullmatch(file.mime_type):
        shown = repr(file.mime_type[:100])
        yield ".file.inline.mime_type", f"{shown} doesn't have the form type/subtype"
    if any(separator in file.filename for separator in _SEPARATORS):
        yield ".file.inline.filename", "must be a name without a path"


def _exception_violations(thread: ThreadName, exception: str) -> Iterator[Violation]:
    if exception and ExceptionName.parse(exception).parent != thread.parent:
        yield "exception", f"must be an exception of the thread's workspace, {thread.parent}"
