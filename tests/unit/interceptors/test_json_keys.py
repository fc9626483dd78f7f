"""Which top-level keys of a JSON body are refused, and what is said about them."""

import pytest
from kintsugi.v1 import exception_service_pb2

from server.domain.errors import UnknownField
from server.interceptors.json_keys import check_json_keys
from server.interceptors.methods import Method, declared_methods

SERVICE = exception_service_pb2.DESCRIPTOR.services_by_name["ExceptionService"]
METHODS = declared_methods([SERVICE])


def method(name: str) -> Method:
    return METHODS[f"/kintsugi.v1.ExceptionService/{name}"]


def check(name: str, keys: str) -> None:
    check_json_keys(method(name), keys)


@pytest.mark.parametrize("keys", ["", "run,message", "executionId,execution_id", "r%5Cu0075n"])
def test_fields_of_the_message_are_accepted_in_both_spellings(keys: str) -> None:
    check("CreateException", keys)


@pytest.mark.parametrize(
    ("keys", "field", "said"),
    [
        ("run,mesage", "mesage", "did you mean message?"),
        ("n%C3%A4me", "näme", "is not a field of Exception"),
        ("a,*", "*", "more fields than Exception has"),
        ("request_id", "request_id", "is not a field of Exception"),
        ("%5C%22", '"', "is not a field"),
    ],
)
def test_any_other_field_is_named(keys: str, field: str, said: str) -> None:
    with pytest.raises(UnknownField) as error:
        check("CreateException", keys)
    assert said in dict(error.value.violations).get(field, "")


def test_the_whole_request_may_be_the_body() -> None:
    check("BatchCreateExceptions", "requests,request_id,requestId")
    with pytest.raises(UnknownField):
        check("BatchCreateExceptions", "exception")
