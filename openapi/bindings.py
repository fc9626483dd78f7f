"""The REST calls of a method, out of `google.api.http`: verb, path, what is bound by the path."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import MethodDescriptorProto

from openapi.prose import words

_BINDING = re.compile(r"\{([\w.]+)(?:=([^{}]*))?\}")
_COLLECTION = re.compile(r"([^/{}:]+)/\*")
_ID = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Binding:
    """One of a method's calls.

    - `path`: with a parameter for each id, `…/exceptions/{exception_id}:resolve`.
    - `bound`: the fields that the path sets, `name`, `exception.name`.
    - `body`: the field that the body is, `*` for all that are not bound, empty for none.
    - `of`: what tells it from the method's first call, `OfAgentSession`.
    """

    verb: str
    path: str
    bound: frozenset[str]
    body: str
    of: str = ""

    @property
    def parameters(self) -> list[str]:
        return _ID.findall(self.path)

    @property
    def last_collection(self) -> str:
        """What a list lists: `exceptions` of `…/exceptions:watch`."""
        return self.path.rpartition("/")[2].partition(":")[0]


def of_method(method: MethodDescriptorProto, ids: dict[str, str]) -> Iterator[Binding]:
    """The calls, in the order of their declaration; `ids` as in Protos."""
    first = method.options.Extensions[annotations_pb2.http]
    for rule in (first, *first.additional_bindings):
        if rule.WhichOneof("pattern"):
            yield _binding(rule, ids, "" if rule is first else _difference(rule, first, ids))


def _binding(rule: Any, ids: dict[str, str], of: str) -> Binding:
    verb, path = _pattern(rule)
    bound = frozenset(found[1] for found in _BINDING.finditer(path))
    path = _BINDING.sub(lambda found: found[2] or f"{{{found[1]}}}", path)
    path = _COLLECTION.sub(lambda found: f"{found[1]}/{{{ids[found[1]]}_id}}", path)
    return Binding(verb, path, bound, rule.body, of)


def _pattern(rule: Any) -> tuple[str, str]:
    verb = rule.WhichOneof("pattern")
    return verb, getattr(rule, verb)


def _difference(rule: Any, first: Any, ids: dict[str, str]) -> str:
    known = _COLLECTION.findall(_pattern(first)[1])
    new = [each for each in _COLLECTION.findall(_pattern(rule)[1]) if each not in known]
    return "Of" + "".join(words(ids[each]).title().replace("_", "") for each in new)
