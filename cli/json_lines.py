"""Messages as REST prints them, one a line, for other programs.

How they look to people is in `table`, `conversation` and `watch`.
"""

import json

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""What some programs take for the end of a line, and JSON lets stand."""


def json_line(message: Message) -> str:
    """The message in JSON: snake_case, defaults printed, without line breaks."""
    fields = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(fields, ensure_ascii=False).translate(_LINE_ENDS)
