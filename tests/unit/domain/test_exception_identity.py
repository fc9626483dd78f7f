"""When two raised exceptions are the same one."""

import pytest
from kintsugi.v1 import exception_pb2 as pb

from server.domain.exception_identity import identity


def an_exception(**fields: object) -> pb.Exception:
    known = {"run": "r", "message": "m", "execution_id": "e", "location": {"start_byte": 1}}
    return pb.Exception(**(known | fields))


def test_what_else_is_known_makes_no_difference() -> None:
    other = an_exception(extra={"a": "b"}, assignee="users/ada", state=2, group="missing_values")
    assert identity(other) == identity(an_exception())


@pytest.mark.parametrize(
    "other",
    [
        an_exception(run="r2"),
        an_exception(message="m2"),
        an_exception(execution_id="e2"),
        an_exception(location={"start_byte": 2}),
        an_exception(location={"start_byte": 1, "end_byte": 2}),
        an_exception(message="", execution_id="em"),
        an_exception(message="me", execution_id=""),
    ],
)
def test_anything_that_tells_them_apart_does(other: pb.Exception) -> None:
    assert identity(other) != identity(an_exception())
