"""A message as readers are sent it, over gRPC or as a server-sent event.

It is made once for all of them.
"""

from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToJson
from kintsugi.v1.event_service_pb2 import StreamEventsResponse
from kintsugi.v1.exception_service_pb2 import WatchExceptionsResponse

Response = StreamEventsResponse | WatchExceptionsResponse

CONTENT_TYPE = "text/event-stream"


class Sent:
    """A response, and, once somebody asks for it, its frame."""

    __slots__ = ("_frame", "response")

    def __init__(self, response: Any) -> None:
        self.response: Any = response
        self._frame: HttpBody | None = None

    @property
    def frame(self) -> HttpBody:
        if self._frame is None:
            self._frame = HttpBody(content_type=CONTENT_TYPE, data=_frame(self.response))
        return self._frame


def _frame(response: Response) -> bytes:
    """The cursor as `id`, and the response as `data` unless it is a cursor alone."""
    lines = [f"id: {response.cursor}"]
    if len(response.ListFields()) > 1:
        data = MessageToJson(
            response,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
            indent=None,
            ensure_ascii=False,
        )
        lines.append(f"data: {data}")
    return ("\n".join(lines) + "\n\n").encode()
