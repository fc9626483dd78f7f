"""The digest of an action: another one for whatever is different about it."""

from typing import Any

from google.protobuf.struct_pb2 import Struct
from kintsugi.v1 import action_pb2 as pb
from kintsugi.v1.connector_pb2 import Connector, HttpRequest

from server.domain.digests import digest_of

REQUEST: dict[str, Any] = {
    "method": "POST",
    "url": "https://h/b-7",
    "headers": {"X-A": "1", "X-B": "2"},
    "body": '{"a": 1}',
}


def connector(name: str = "c", **changed: Any) -> Connector:
    """Its fields by their names, and those of its request."""
    fields = {key: changed.pop(key) for key in ("revision", "risk") if key in changed}
    given = {"revision": 1, "risk": 1} | fields
    http = {"method": "POST", "url": "https://h/{batch}"} | changed
    full = f"organizations/o/workspaces/w/connectors/{name}"
    return Connector(name=full, http=HttpRequest(**http), **given)


def digest(request: dict[str, Any] | None = None, **changed: Any) -> str:
    given = {
        "action_type": "reprocess",
        "parameters": {"a": 1, "b": {"c": [True, None], "d": "x"}},
        "request": pb.Action.Request(**(REQUEST | (request or {}))),
        "connector": connector(),
    }
    return digest_of(**(given | changed))


def test_it_is_of_64_hexadecimal_digits_and_stays_what_it_was() -> None:
    assert digest() == "9a8462c9e2a423df91d9be86155e491edd04280e836c4ad996f12d80e491fae6"


def test_it_does_not_depend_on_the_order_or_the_kind_of_what_it_is_of() -> None:
    struct = Struct()
    struct.update({"b": {"d": "x", "c": [True, None]}, "a": 1.0})
    assert digest(parameters=struct) == digest()
    assert digest({"headers": {"X-B": "2", "X-A": "1"}}) == digest()


CONNECTORS = [
    None,
    connector("d"),
    connector(revision=2),
    connector(risk=2),
    connector(url="https://h/{other}"),
    connector(headers={"X-A": "{batch}"}),
    connector(auth={"secret": "env:KINTSUGI_SECRET_A"}),
    connector(timeout={"seconds": 7}),
    connector(retry={"max_attempts": 1}),
    connector(idempotent=True),
    connector(success={"statuses": [500]}),
    connector(allowed_hosts=["h"]),
    connector(allow_private=True),
]


def test_whatever_is_different_makes_it_another_one() -> None:
    found = {
        digest(),
        digest(action_type="replay"),
        digest(parameters={}),
        digest(parameters={"a": "1", "b": {"c": [True, None], "d": "x"}}),
        digest_of("reprocess", {}, None, None),
        *(digest(connector=each) for each in CONNECTORS),
        *(digest({name: f"{value}."}) for name, value in REQUEST.items() if name != "headers"),
        digest({"headers": {"X-A": "1"}}),
        digest({"headers": {"X-A": "2", "X-B": "1"}}),
    }
    assert len(found) == 10 + len(CONNECTORS)
