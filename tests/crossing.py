"""What somebody may try about a workspace that isn't theirs, of every method.

How it is sent, and what must come of it, is the tests'.
"""

import copy
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from google.api import field_behavior_pb2 as behavior
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.served import Names, Served, behaviors, holds_ours, is_given, name_for, reference

GIVEN: Mapping[str, Any] = {
    "action_type": "replay_usage_events",
    "filter": "state = PENDING",
    "max_count": 10,
    "member_id": "frank",
    "method": "POST",
    "role": 1,
    "url": "https://example.com/",
    "workspace_id": "w-new",
}
"""What required fields hold, where `x` or 1 wouldn't do."""

CHOSEN = ("kintsugi.v1.AgentSession.exception",)
"""Fields of which one of several has to be given, which the protos say in words."""

CHANGED = ("title", "assignee", "default_assignee")
"""What updates change."""

SQL = "x'; DELETE FROM exceptions; --"


class Attempt(NamedTuple):
    """A request that names `name`; `twin` names in its place what doesn't exist, `other`."""

    what: str
    request: Message
    name: str
    twin: Message
    other: str


def filled(served: Served, names: Names) -> Any:
    """A request of the method about what `names` says, with all that is required."""
    request = served.request()
    _fill(request, names, is_update=served.is_update)
    return request


def is_about_workspace(served: Served, names: Names) -> bool:
    return "/workspaces/" in _named(served, filled(served, names))


def about(served: Served, theirs: Names) -> Iterator[Attempt]:
    """Requests about what is theirs, beside what nobody has."""
    request = filled(served, theirs)
    for others in (_elsewhere(theirs, "nowhere"), _nothing(theirs)):
        twin = filled(served, others)
        yield Attempt("about", request, _named(served, request), twin, _named(served, twin))


def anywhere(served: Served, theirs: Names) -> Iterator[Message]:
    """Requests about whatever is in any workspace."""
    yield filled(served, _elsewhere(theirs, "-"))
    names = {type: name.replace("/local/", "/-/") for type, name in theirs.items()}
    yield filled(served, names)


def inside(served: Served, mine: Names, theirs: Names) -> Iterator[Attempt]:
    """Requests about what is mine that name what is theirs somewhere within."""
    nowhere = _elsewhere(theirs, "nowhere")
    for path, field in _texts(served.request(), served.declared.named):
        type = reference(field)
        if type and type != "kintsugi/User":
            name, other = name_for(type, theirs), name_for(type, nowhere)
            request, twin = (_with(served, mine, path, each) for each in (name, other))
            yield Attempt(".".join(path), request, name, twin, other)


def in_every_text(served: Served, mine: Names, text: str) -> Iterator[tuple[str, Message]]:
    """Requests about what is mine with the text in each field in turn."""
    for path, _ in _texts(served.request(), ()):
        yield ".".join(path), _with(served, mine, path, text)


def crossed(served: Served, mine: Names, theirs: Names) -> Message:
    """A request about what would be mine, if ids were enough."""
    own, other = mine["kintsugi/Workspace"], theirs["kintsugi/Workspace"]
    return filled(served, {type: name.replace(other, own) for type, name in theirs.items()})


def _named(served: Served, request: Message) -> str:
    return str(reduce(getattr, served.declared.named, request))


def _elsewhere(names: Names, workspace: str) -> Names:
    own = names["kintsugi/Workspace"]
    other = f"{own.rpartition('/')[0]}/{workspace}"
    return {type: name.replace(own, other) for type, name in names.items()}


def _nothing(names: Names) -> Names:
    """What isn't there in the same workspace."""
    own = names["kintsugi/Workspace"]
    return {
        type: name if name in own else f"{name.rpartition('/')[0]}/nothing"
        for type, name in names.items()
    } | {"kintsugi/User": names["kintsugi/User"]}


def _fill(
    message: Any, names: Names, *, is_update: bool, said: frozenset[str] = frozenset()
) -> None:
    groups = {group.fields[0] for group in message.DESCRIPTOR.oneofs}
    for field in message.DESCRIPTOR.fields:
        is_needed = behavior.REQUIRED in behaviors(field) and field.name not in said
        is_name = is_update and behavior.IDENTIFIER in behaviors(field)
        is_changed = is_update and field.name in CHANGED and is_given(field)
        is_chosen = field in groups or field.full_name in CHOSEN
        if is_needed or is_name or is_changed or (is_chosen and not is_update):
            _set(message, field, names, is_update=is_update)


def _set(message: Any, field: FieldDescriptor, names: Names, *, is_update: bool) -> None:
    if field.message_type is not None:
        one = getattr(message, field.name)
        said = frozenset(message.DESCRIPTOR.fields_by_name) if field.is_repeated else frozenset()
        one = one.add() if field.is_repeated else one
        one.SetInParent()
        if holds_ours(field):
            _fill(one, names, is_update=is_update, said=said)
    elif field.is_repeated:
        getattr(message, field.name).append(_value(field, names))
    else:
        setattr(message, field.name, _value(field, names))


def _value(field: FieldDescriptor, names: Names) -> Any:
    type = reference(field)
    if type:
        return name_for(type, names)
    plain = "x" if field.type == field.TYPE_STRING else 1
    return GIVEN.get(field.name, b"x" if field.type == field.TYPE_BYTES else plain)


def _texts(
    message: Message, but: tuple[str, ...], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldDescriptor]]:
    """The paths of all fields that hold a text, without those that only the server sets."""
    for field in message.DESCRIPTOR.fields:
        here = (*path, field.name)
        if not is_given(field) or here == but:
            continue
        if holds_ours(field):
            holder: Any = getattr(message, field.name)
            inner = holder.add() if field.is_repeated else holder
            yield from _texts(inner, but, here)
        elif field.type == field.TYPE_STRING:
            yield here, field


def _with(served: Served, names: Names, path: tuple[str, ...], text: str) -> Message:
    request = copy.deepcopy(filled(served, names))
    holder: Any = request
    for name in path[:-1]:
        inner = getattr(holder, name)
        is_list = hasattr(inner, "add")
        holder = (inner[0] if inner else inner.add()) if is_list else inner
    value = getattr(holder, path[-1])
    if isinstance(value, str):
        setattr(holder, path[-1], text)
    else:
        value.append(text)
    return request
