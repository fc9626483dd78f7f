"""Random requests to every method, out of the descriptors: valid ones, odd ones, and bytes.

Names, page tokens, cursors and etags that were answered are asked about again, so that calls get
deeper than to the first check.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from google.api import field_behavior_pb2 as behavior
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from kintsugi.v1 import options_pb2

from tests.served import Served, behaviors, holds_ours, is_given, is_map, name_for, reference

TEXTS = [
    *(
        "",
        "x",
        "a-b",
        "-",
        "*",
        "users/ada",
        "1",
        "0",
        "null",
        "é",
        "東京",
        "🔥",
        "\ufeff",
        "\u202e",
    ),
    *("'; DROP TABLE exceptions; --", "' OR '1'='1", "\\", '"', "%s %(workspace)s", "{0}", "$1"),
    *("\x00", "\x7f", "\r\n", "a" * 300, "é" * 40_000, "../../etc/passwd", "%2e%2e%2f", "\\u0000"),
]
ODD_FILTERS = [
    *("x", "state =", "(" * 500, "NOT -x OR y AND z", "create_time > 9999", "title, title"),
    *("create_time > 2025-13-01T00:00:00Z", "extra.a = 1", 'title : "\'; --"', "nope desc"),
]
LANGUAGES = {
    "filter": ["", "state = PENDING", 'title = "*a*"', "create_time > 2025-01-01T00:00:00Z"],
    "order_by": ["", "create_time", "create_time desc", "title", "update_time desc, create_time"],
}
ONES_OWN = {
    "page_token": "next_page_token",
    "after": "cursor",
    "etag": "etag",
    "request_id": "request_id",
}
"""Fields that hold what was answered before, and how that was called there."""

WORDS = ("x", "w1", "w2", "ada", "billing", "agent_ai", "internal_error", "2d9f")
NUMBERS = (3, 1000, 1001, -1, 2**31 - 1, -(2**31))
FAR = (*NUMBERS, 2**63 - 1, -(2**63), 253402300799, 253402300800, -62135596801, 10**12)


class Requests:
    """Makes them; `learn` from the answers."""

    def __init__(self, seed: int, names: dict[str, str]) -> None:
        self.random = random.Random(seed)
        self._oddness = 0.0
        self._names: dict[str, list[str]] = {type: [name] for type, name in names.items()}
        self._kept: dict[str, list[str]] = defaultdict(list, request_id=["r1", "r2"])

    def message(self, served: Served) -> Message:
        """One that has the right form, mostly with values that make sense."""
        request = served.request()
        self._oddness = self.random.choice((0, 0, 0, 0.03, 0.3))
        self._fill(request, depth=0)
        return request

    def data(self, served: Served) -> bytes:
        """Bytes that may be anything."""
        rng = self.random
        if rng.random() < 0.3:
            return rng.randbytes(rng.randrange(60))
        data = bytearray(self.message(served).SerializeToString())
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        return bytes(data)

    def learn(self, message: Message) -> None:
        """Keeps what can be asked about."""
        for field, value in message.ListFields():
            if field.name in ONES_OWN.values():
                self._keep(self._kept[field.name], value)
            elif holds_ours(field):
                for each in value if field.is_repeated else [value]:
                    self.learn(each)
            elif field.type == field.TYPE_STRING and not field.is_repeated:
                type = reference(field)
                if type and not type.startswith("^"):
                    self._keep(self._names.setdefault(type, []), value)

    def _keep(self, known: list[str], value: str) -> None:
        if len(known) < 100:
            known.append(value)
        else:
            known[self.random.randrange(100)] = value

    def _fill(self, message: Message, depth: int, said: Collection[str] = ()) -> None:
        """Sets some of its fields; `said` are those that the batch around it has."""
        chosen = [self.random.choice(group.fields) for group in message.DESCRIPTOR.oneofs]
        if self.random.random() < 0.6:
            chosen = [group.fields[0] for group in message.DESCRIPTOR.oneofs]
        for field in message.DESCRIPTOR.fields:
            is_other = field.containing_oneof is not None and field not in chosen
            is_strange = is_other or not is_given(field) or field.name in said
            if self._is_odd() if is_strange else self.random.random() < self._share(field):
                self._set(message, field, depth)

    def _share(self, field: FieldDescriptor) -> float:
        if behavior.REQUIRED in behaviors(field) or behavior.IDENTIFIER in behaviors(field):
            return 0.97
        return 0.2 if field.name in ONES_OWN else 0.5

    def _is_odd(self) -> bool:
        return self.random.random() < self._oddness

    def _set(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if is_map(field):
            entries: Any = getattr(message, field.name)
            for _ in range(70 if self._is_odd() else self.random.randrange(4)):
                self._set_entry(entries, field)
        elif field.message_type is not None:
            self._set_message(message, field, depth)
        elif field.is_repeated:
            getattr(message, field.name).extend(self._values(field))
        else:
            setattr(message, field.name, self._value(field))

    def _set_entry(self, entries: Any, field: FieldDescriptor) -> None:
        key, value = (self._value(each) for each in field.message_type.fields)
        entries[key] = value

    def _set_message(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        holder: Any = getattr(message, field.name)
        count = self.random.choice((0, 1, 2, 5)) if field.is_repeated else 1
        for _ in range(count):
            one = holder.add() if field.is_repeated else holder
            one.SetInParent()
            if isinstance(one, Timestamp):
                one.seconds = self._number(FAR)
                one.nanos = self._number((999_999_999, -1, 2**31 - 1))
            elif isinstance(one, FieldMask):
                one.paths.extend(self._paths(message))
            elif holds_ours(field) and depth < 5:
                said = message.DESCRIPTOR.fields_by_name if field.is_repeated else ()
                self._fill(one, depth + 1, said)

    def _paths(self, request: Message) -> list[str]:
        """Of fields of the resource that the request updates, mostly."""
        names = ["*"]
        if self._is_odd():
            names += ["", "nope", "name.x", "\x00", *request.DESCRIPTOR.fields_by_name]
        for field in request.DESCRIPTOR.fields:
            if holds_ours(field):
                names += field.message_type.fields_by_name
        return self.random.sample(names, self.random.randrange(3))

    def _values(self, field: FieldDescriptor) -> list[Any]:
        return [self._value(field) for _ in range(self.random.randrange(4))]

    def _value(self, field: FieldDescriptor) -> Any:
        kinds = {
            field.TYPE_STRING: self._text,
            field.TYPE_BYTES: lambda _: self.random.randbytes(self.random.randrange(20)),
            field.TYPE_BOOL: lambda _: self.random.random() < 0.5,
            field.TYPE_ENUM: self._enum,
            field.TYPE_INT64: lambda _: self._number(FAR),
            field.TYPE_DOUBLE: lambda _: self.random.choice((0.0, -1.5, 1e308, float("nan"))),
            field.TYPE_FLOAT: lambda _: self.random.choice((0.0, -1.5, 1e30, float("inf"))),
        }
        return kinds.get(field.type, lambda _: self._number(NUMBERS))(field)

    def _number(self, odd: Sequence[int]) -> int:
        return self.random.choice(odd if self._is_odd() else (0, 1, 2, 50))

    def _enum(self, field: FieldDescriptor) -> int:
        enum: Any = field.enum_type
        return int(self.random.choice([99, -1] if self._is_odd() else [*enum.values_by_number]))

    def _text(self, field: FieldDescriptor) -> str:
        rng, type = self.random, reference(field)
        if field.name in LANGUAGES:
            return rng.choice(ODD_FILTERS if self._is_odd() else LANGUAGES[field.name])
        if self._is_odd():
            limit = field.GetOptions().Extensions[options_pb2.limit].max_bytes
            return rng.choice([*TEXTS, "b" * limit, "b" * (limit + 1)])
        if type:
            return self._name(type)
        if field.name in ONES_OWN:
            return rng.choice(self._kept[ONES_OWN[field.name]] or [""])
        return rng.choice(WORDS)

    def _name(self, type: str) -> str:
        known = self._names.get(type.removeprefix("^"), [])
        if not known:
            return self.random.choice(TEXTS)
        name = name_for(type, {type.removeprefix("^"): self.random.choice(known)})
        if self._is_odd():
            segments = name.split("/")
            segments[self.random.randrange(len(segments))] = self.random.choice(TEXTS)
            name = "/".join(segments)
        return name
