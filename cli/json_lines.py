"""Messages as REST prints them, one a line, for other programs.

How they look to people is in `table`, `conversation` and `watch`.
"""

import json

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from server.domain.json_values import plain

_ESCAPED = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
"""What acts on terminals, or what some programs take for the end of a line; JSON lets it stand."""


def json_line(message: Message) -> str:
    """The message in JSON: snake_case, defaults printed, whole numbers without a point, and all
    without line breaks."""
    text = MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    fields = json.loads(text, parse_float=lambda number: plain(float(number)))
    return json.dumps(fields, ensure_ascii=False).translate(_ESCAPED)
