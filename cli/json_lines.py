"""Messages as REST prints them, one a line, for other programs.

How they look to people is in `table`, `conversation` and `watch`.
"""

import json
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from server.domain.json_values import plain

_ESCAPED = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
"""What acts on terminals, or what some programs take for the end of a line; JSON lets it stand."""


def json_line(message: Message) -> str:
    """The message in JSON: snake_case, defaults printed, without line breaks."""
    fields = fields_of(message, defaults=True)
    return json.dumps(fields, ensure_ascii=False).translate(_ESCAPED)


def fields_of(message: Message, *, defaults: bool) -> dict[str, Any]:
    """The message's fields as REST has them: of a Struct whole numbers, too, have no point."""
    text = MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=defaults
    )
    said: dict[str, Any] = json.loads(text, parse_float=lambda number: plain(float(number)))
    return said
