"""The digest of an action: another one for whatever is different about it."""

from typing import Any

from google.protobuf.struct_pb2 import Struct
from kintsugi.v1 import action_pb2 as pb

from server.domain.digests import digest_of

REQUEST: dict[str, Any] = {
    "method": "POST",
    "url": "https://h/b-7",
    "headers": {"X-A": "1", "X-B": "2"},
    "body": '{"a": 1}',
}


def digest(request: dict[str, Any] | None = None, **changed: Any) -> str:
    given = {
        "action_type": "reprocess",
        "parameters": {"a": 1, "b": {"c": [True, None], "d": "x"}},
        "request": pb.Action.Request(**(REQUEST | (request or {}))),
        "connector": "organizations/o/workspaces/w/connectors/c",
        "revision": 1,
    }
    return digest_of(**(given | changed))


def test_it_is_of_64_hexadecimal_digits_and_stays_what_it_was() -> None:
    assert digest() == "0a53f6824cfd3d86be0ca2d35a1de56d47cc220b0985541e3badce5a74b78e2c"


def test_it_does_not_depend_on_the_order_or_the_kind_of_what_it_is_of() -> None:
    struct = Struct()
    struct.update({"b": {"d": "x", "c": [True, None]}, "a": 1.0})
    assert digest(parameters=struct) == digest()
    assert digest({"headers": {"X-B": "2", "X-A": "1"}}) == digest()


def test_whatever_is_different_makes_it_another_one() -> None:
    found = {
        digest(),
        digest(action_type="replay"),
        digest(parameters={}),
        digest(parameters={"a": "1", "b": {"c": [True, None], "d": "x"}}),
        digest(connector=""),
        digest(revision=2),
        digest_of("reprocess", {}, None, "", 0),
        *(digest({name: f"{value}."}) for name, value in REQUEST.items() if name != "headers"),
        digest({"headers": {"X-A": "1"}}),
        digest({"headers": {"X-A": "2", "X-B": "1"}}),
    }
    assert len(found) == 12
