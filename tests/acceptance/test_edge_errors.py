"""Every error over HTTP is a google.rpc.Status, whoever found it: Envoy or the server."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.edges import reason

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def http(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.exceptions, headers=stack.headers, timeout=30) as client:
        yield client


def assert_status(answer: httpx.Response, http_code: int, code: int) -> dict[str, Any]:
    assert answer.status_code == http_code, answer.text
    assert answer.headers["content-type"] == "application/json"
    status: dict[str, Any] = answer.json()
    assert set(status) == {"code", "message", "details"}
    assert status["code"] == code
    assert status["message"]
    assert reason(status)
    return status


@pytest.mark.parametrize(
    ("method", "path", "code", "why"),
    [
        ("GET", "/nope", 404, "UNKNOWN_METHOD"),
        ("GET", "/", 404, "UNKNOWN_METHOD"),
        ("GET", "/api/v1/nope", 404, "UNKNOWN_METHOD"),
        ("GET", "/api/v2/organizations/local/workspaces/default/exceptions", 404, "UNKNOWN_METHOD"),
        ("PUT", "/api/v1/organizations/local/workspaces/default/exceptions", 404, "UNKNOWN_METHOD"),
        (
            "DELETE",
            "/api/v1/organizations/local/workspaces/default/exceptions/e",
            404,
            "UNKNOWN_METHOD",
        ),
        (
            "OPTIONS",
            "/api/v1/organizations/local/workspaces/default/exceptions",
            404,
            "UNKNOWN_METHOD",
        ),
        (
            "POST",
            "/api/v1/organizations/local/workspaces/default/exceptions/e:nope",
            404,
            "UNKNOWN_METHOD",
        ),
        ("POST", "/kintsugi.v1.ExceptionService/GetException", 404, "UNKNOWN_METHOD"),
        (
            "GET",
            "/api/v1/organizations/local/workspaces/default/exceptions?nope=1",
            400,
            "MALFORMED_REQUEST",
        ),
        (
            "GET",
            "/api/v1/organizations/local/workspaces/default/exceptions?page_size=x",
            400,
            "MALFORMED_REQUEST",
        ),
        (
            "GET",
            "/api/v1/organizations/local/workspaces/default/exceptions?page_size=-1",
            400,
            "INVALID_FIELDS",
        ),
        (
            "GET",
            "/api/v1/organizations/local/workspaces/default/exceptions/none",
            404,
            "RESOURCE_NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/organizations/local/workspaces/none/exceptions",
            404,
            "RESOURCE_NOT_FOUND",
        ),
    ],
)
def test_paths_methods_and_parameters(
    stack: Any, method: str, path: str, code: int, why: str
) -> None:
    answer = stack.http.request(method, f"{stack.rest}{path}", timeout=30)
    assert reason(assert_status(answer, code, {404: 5, 400: 3}[code])) == why


def test_an_unknown_parameter_is_named(http: httpx.Client) -> None:
    assert "nope" in assert_status(http.get("?nope=1"), 400, 3)["message"]


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "nope",
        '{"message": }',
        "[]",
        "3",
        '{"message": {}}',
        '{"location": "x"}',
        b'{"a":"\xff"}',
    ],
)
def test_malformed_bodies(http: httpx.Client, body: str | bytes) -> None:
    assert_status(http.post("", content=body, headers=JSON), 400, 3)


@pytest.mark.parametrize(
    "body",
    ['{"mesage": "m"}', "{'mesage': 'm'}", "{mesage: 'm'}", '{"message": "m", "mesage": "m"}'],
)
def test_an_unknown_field_is_named(http: httpx.Client, body: str) -> None:
    status = assert_status(http.post("", content=body, headers=JSON), 400, 3)
    assert "mesage" in json.dumps(status)
    assert reason(status) == "UNKNOWN_FIELD"


def test_more_fields_than_any_method_has_are_refused(http: httpx.Client) -> None:
    body = json.dumps({f"f{n}": n for n in range(1000)})
    assert_status(http.post("", content=body, headers=JSON), 400, 3)


def test_a_field_in_camel_case_is_known(http: httpx.Client) -> None:
    status = assert_status(http.post("", content='{"executionId": "e"}', headers=JSON), 400, 3)
    assert "exception.run" in json.dumps(status)
    assert "executionId" not in json.dumps(status)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_four_megabytes(http: httpx.Client, chunked: bool) -> None:
    body = b'{"message":"%s"}' % (b"a" * 4 * 1024 * 1024)
    answer = http.post("", content=iter([body]) if chunked else body, headers=JSON)
    assert "4194304 bytes" in assert_status(answer, 413, 8)["message"]


def test_a_header_above_the_limit(http: httpx.Client) -> None:
    assert_status(http.get("", headers={"x-long": "a" * 20_000}), 431, 3)


def test_a_path_above_the_limit(http: httpx.Client) -> None:
    assert_status(http.get(f"?page_token={'a' * 20_000}"), 431, 3)


def test_a_long_header_below_the_limit_passes(http: httpx.Client) -> None:
    for _ in range(5):
        assert http.get("", headers={"x-long": "a" * 15_000}).status_code == 200


def test_a_header_with_an_underscore(http: httpx.Client) -> None:
    status = assert_status(http.get("", headers={"x_under": "1"}), 400, 3)
    assert "underscore" in status["message"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_cannot_write(http: httpx.Client, site: str) -> None:
    foreign = {"sec-fetch-site": site, "content-type": "text/plain"}
    status = assert_status(http.post("", content="{}", headers=foreign), 403, 7)
    assert reason(status) == "ORIGIN_REFUSED"
    assert http.get("", headers=foreign).status_code == 200


@pytest.mark.parametrize("host", ["localhost:1", "[::1]:8080", "kintsugi.example", "evil.example"])
def test_a_name_that_leads_here_is_served_with_a_token_only(http: httpx.Client, host: str) -> None:
    """A page of evil.example that leads its own name here (DNS rebinding) brings none."""
    assert http.get("", headers={"host": host}).status_code == 200
    refused = httpx.get(http.base_url, headers={"host": host}, timeout=30)
    assert_status(refused, 401, 16)
    assert refused.headers["www-authenticate"] == "Bearer"


def test_nobody_can_say_that_they_call_from_elsewhere(http: httpx.Client) -> None:
    assert http.get("", headers={"x-auth-address": "192.0.2.7"}).status_code == 200


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("GET / HTTP/1.0\r\nHost: x\r\n\r\n", 426),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET nope HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GARBAGE\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\ncontent-length: x\r\n\r\n", 400),
    ],
)
def test_what_is_hardly_http(stack: Any, request_text: str, code: int) -> None:
    host, port = stack.edge.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request_text.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert head.split()[1] == str(code)
    assert json.loads(body)["code"] == 3
    assert json.loads(body)["message"]
    assert reason(json.loads(body)) == "MALFORMED_REQUEST"


def test_errors_come_over_http2_too(stack: Any) -> None:
    with httpx.Client(http1=False, http2=True, timeout=30) as http2:
        assert_status(http2.get(f"{stack.rest}/nope"), 404, 5)
        assert_status(http2.get(f"{stack.exceptions}?nope=1"), 400, 3)
