"""What the descriptors declare about each method: its permission and what its request must be.

Everything is read once, when a service is registered; a call only looks it up.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from kintsugi.v1 import options_pb2

from server.interceptors.request_rules import RequestRules
from server.interceptors.resource_patterns import Patterns, declared_patterns

_BOUND = re.compile(r"\{([a-z_.]+)=")


class UndeclaredPermission(Exception):
    """A method without the option `(kintsugi.v1.permission)`: it can't be served."""

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} declares no (kintsugi.v1.permission)")


@dataclass(frozen=True)
class Method:
    """One of our methods. `body` is the message that the JSON body of a REST call becomes.

    `named` is the path of the field that says what a request is about; `feature` may be empty.
    """

    path: str
    permission: str
    feature: str
    named: tuple[str, ...]
    rules: RequestRules
    body: Descriptor | None
    starts_agent_work: bool


def declared_methods(services: Iterable[ServiceDescriptor]) -> dict[str, Method]:
    """All methods of the services by their paths. Raises UndeclaredPermission."""
    services = list(services)
    patterns = declared_patterns(service.file for service in services)
    found = [
        _declared(service, method, patterns) for service in services for method in service.methods
    ]
    return {method.path: method for method in found}


def named(method: Method | None, request: Any) -> str:
    """The resource name that says what a request is about; empty where none does."""
    return str(reduce(getattr, method.named, request)) if method and method.named else ""


def _declared(
    service: ServiceDescriptor, method: MethodDescriptor, patterns: Mapping[str, Patterns]
) -> Method:
    path = f"/{service.full_name}/{method.name}"
    options = method.GetOptions().Extensions
    if not options[options_pb2.permission]:
        raise UndeclaredPermission(path)
    return Method(
        path,
        options[options_pb2.permission],
        options[options_pb2.feature],
        _named(method),
        RequestRules(method.input_type, patterns),
        _body(method),
        starts_agent_work=options[options_pb2.starts_agent_work],
    )


def _named(method: MethodDescriptor) -> tuple[str, ...]:
    """The field that the path of its REST form binds."""
    bound = _BOUND.search(_pattern(method))
    return tuple(bound[1].split(".")) if bound else ()


def _pattern(method: MethodDescriptor) -> str:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return str(getattr(rule, verb)) if verb else ""


def _body(method: MethodDescriptor) -> Descriptor | None:
    body = method.GetOptions().Extensions[annotations_pb2.http].body
    if body in ("", "*"):
        return method.input_type if body else None
    return method.input_type.fields_by_name[body].message_type
