"""Which fields an update changes (AIP-134).

Masks name whole fields: a map is replaced, not merged.
"""

from collections.abc import Collection, Sequence
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.message import Message

from server.domain.errors import InvalidFields

_READ_ONLY = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER}
_EVERYTHING = "*"


def fields_to_change(
    message: Message, paths: Sequence[str], mutable: Collection[str]
) -> Collection[str]:
    """The mutable fields that `paths` name; without any, those that are set in `message`.

    Fields that only the service sets are passed over. Raises InvalidFields for others.
    """
    if not paths:
        return [field.name for field, _ in message.ListFields() if field.name in mutable]
    if _EVERYTHING in paths:
        return mutable
    fields = message.DESCRIPTOR.fields_by_name
    named = [path for path in paths if not _is_ignored(fields.get(path))]
    wrong = [path for path in named if path not in mutable]
    if wrong:
        allowed = ", ".join(mutable)
        raise InvalidFields(
            [("update_mask", f"{path[:100]!r} can't be changed; only {allowed}") for path in wrong]
        )
    return named


def _is_ignored(field: Any) -> bool:
    if field is None:
        return False
    behaviors = set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])
    return field.name == "etag" or bool(_READ_ONLY & behaviors)
