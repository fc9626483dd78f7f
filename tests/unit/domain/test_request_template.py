"""Requests with places: whatever is put in stays where its place is."""

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import example, given
from hypothesis import strategies as st
from kintsugi.v1 import connector_pb2 as pb
from kintsugi.v1 import exception_pb2

from server.domain.request_template import Rendered, render, values_of, violations
from server.domain.template import RenderFailed

EXCEPTION = exception_pb2.Exception(
    name="organizations/o/workspaces/w/exceptions/e",
    run="organizations/o/workspaces/w/automations/a/runs/r",
    automation="organizations/o/workspaces/w/automations/a",
    message='disk "full"\nof {x}',
    execution_id="x-1",
    number=7,
    extra={"env": "prod", "k8s.io/name": "pod"},
)
HOST = "https://billing.example.com"
ODD = st.text() | st.sampled_from(
    (
        *("..", ".", "", "/", "..%2f", "%2e%2e", "a/../b", "\\..\\", "\r\nX: 1", "?a=b", "#"),
        *("&b=1", "@", "..;", "..;a", "\0", '"}', "{batch}", "ü", "\uff0f", "%", ":80", "a b"),
        *("\u2028", "+"),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=8,
)


def rendered(parameters: Any = None, **fields: Any) -> Rendered:
    http = pb.HttpRequest(**({"method": "POST", "url": f"{HOST}/"} | fields))
    assert violations(http) == []
    return render(http, values_of(parameters or {}, EXCEPTION, "an/action"))


def attempted(http: pb.HttpRequest, parameters: dict[str, Any]) -> Any:
    """The request, or the field that it fails for."""
    try:
        return render(http, values_of(parameters, None, "")).request
    except RenderFailed as failed:
        return failed.field


def failure(parameters: Any = None, **fields: Any) -> tuple[str, str]:
    with pytest.raises(RenderFailed) as raised:
        rendered(parameters, **fields)
    return raised.value.field, raised.value.what


def test_places_are_filled() -> None:
    found = rendered(
        {"batch": "b-7", "count": 3},
        url=HOST + "/v1/batches/{batch}:reprocess?n={count}&env={exception.extra.env}",
        headers={"X-Execution": "of {exception.execution_id}", "X-Action": "{action.name}"},
        body='{"pod": "{exception.extra.k8s.io/name}", "n": "{{{count}}} of {exception.number}"}',
    )
    assert found.request.url == f"{HOST}/v1/batches/b-7:reprocess?n=3&env=prod"
    assert dict(found.request.headers) == {
        "X-Execution": "of x-1",
        "X-Action": "an/action",
        "Content-Type": "application/json",
    }
    assert json.loads(found.request.body) == {"pod": "pod", "n": "{3} of 7"}
    assert (found.target_system, list(found.target_entities)) == (
        "billing.example.com",
        ["b-7", "3"],
    )


@pytest.mark.parametrize("name", ["name", "run", "automation", "message", "execution_id", "number"])
def test_the_fields_of_the_exception_have_places(name: str) -> None:
    body = f'"{{exception.{name}}}"'
    assert json.loads(rendered(body=body).request.body) == getattr(EXCEPTION, name)


def test_what_is_missing_is_named() -> None:
    assert failure(url=HOST + "/{batch}") == ("parameters.batch", "is missing")
    assert failure(body='["{a}"]') == ("parameters.a", "is missing")
    assert failure(headers={"X": "{exception.extra.no}"}) == ("exception.extra.no", "is missing")
    http = pb.HttpRequest(url=HOST + "/{exception.number}")
    with pytest.raises(RenderFailed, match=r"exception\.number: is missing"):
        render(http, values_of({}, None, ""))


def test_a_parameter_cannot_pass_for_a_field_of_the_exception() -> None:
    parameters = {"exception.message": "mine", "action.name": "mine"}
    body = '["{exception.message}", "{action.name}"]'
    assert json.loads(rendered(parameters, body=body).request.body) == [
        EXCEPTION.message,
        "an/action",
    ]


@given(ODD)
def test_a_value_never_leaves_its_segment_of_the_path(value: str) -> None:
    http = pb.HttpRequest(method="GET", url=HOST + "/v1/{x}/of-{x}/end?q={x}")
    found = attempted(http, {"x": value})
    if found in ("parameters.x", "http.url"):
        return
    url = found.url
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "billing.example.com", "")
    segments = parts.path.split("/")
    assert [unquote(each) for each in segments] == ["", "v1", value, f"of-{value}", "end"]
    assert unquote(parts.path).count("/") == 4
    assert ".." not in segments
    assert "." not in segments
    assert "\\" not in unquote(unquote(url))
    assert parts.query.startswith("q=")
    assert unquote(parts.query[2:]) == value
    assert not {"&", "=", "+"} & set(parts.query[2:])
    assert url.isascii()
    assert url.isprintable()


@pytest.mark.parametrize(
    "value", ["", ".", "..", "..;a", "a/b", "a\\b", "%2f", "%2E%2e", "a\r\nb", "\0", "\x7f"]
)
def test_what_servers_might_take_for_another_path_is_refused(value: str) -> None:
    assert failure({"x": value}, url=HOST + "/v1/{x}/y")[0] in ("parameters.x", "http.url")


@pytest.mark.parametrize("url", ["/v1/.{x}/y", "/v1/{x}./y", "/v1/%2e{x}/y", "/v1/{x}{x}"])
def test_dots_that_only_come_together_there_are_refused(url: str) -> None:
    assert failure({"x": "."}, url=HOST + url) == ("http.url", "would have the segment . or ..")


def test_an_empty_value_may_be_in_a_query_only() -> None:
    assert rendered({"x": ""}, url=HOST + "/?q={x}").request.url == f"{HOST}/?q="
    assert failure({"x": ""}, url=HOST + "/{x}") == (
        "parameters.x",
        "is empty, which it can't be in a path",
    )


@given(ODD)
def test_a_value_never_makes_another_header(value: str) -> None:
    http = pb.HttpRequest(method="GET", url=HOST, headers={"X-A": "a {x}"})
    found = attempted(http, {"x": value})
    if any((ord(each) < 32 and each != "\t") or each == "\x7f" for each in value):
        assert found == "http.headers.X-A"
    else:
        assert dict(found.headers) == {"X-A": f"a {value}"}


@given(ODD, JSON)
@example('", "admin": true, "x": "', {"a": ['"}']})
def test_a_value_never_changes_the_form_of_the_body(text: str, value: Any) -> None:
    http = pb.HttpRequest(
        method="POST", url=HOST, body='{"t": "a {t}", "v": "{v}", "fix": [1, null, "{{v}}"]}'
    )
    values = values_of({"t": text, "v": value}, None, "")
    filled = json.loads(render(http, values).request.body)
    assert filled == {"t": f"a {text}", "v": values["v"], "fix": [1, None, "{v}"]}
    assert type(filled["v"]) is type(values["v"])


@given(ODD)
def test_a_value_in_a_host_is_of_a_host_and_among_those_allowed(value: str) -> None:
    http = pb.HttpRequest(
        method="GET", url="https://{x}.example.com:8080/", allowed_hosts=["*.example.com"]
    )
    found = attempted(http, {"x": value})
    if isinstance(found, str):
        return
    parts = urlsplit(found.url)
    assert parts.netloc == f"{value}.example.com:8080"
    assert (parts.hostname or "").endswith(".example.com")
    assert parts.path == "/"


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("https://{x}/", "evil.example.net"),
        ("https://{x}/", "billing.example.com.evil.net"),
        ("https://{x}/", "evil.net/billing.example.com"),
        ("https://{x}.example.com/", "evil.net#"),
        ("https://{x}.example.com/", "a@b"),
        ("https://billing.example.com{x}/", ".evil.net"),
        ("https://billing.example.com:{x}/", "99"),
    ],
)
def test_a_host_that_is_not_allowed_is_refused(url: str, value: str) -> None:
    allowed = ["billing.example.com:443", "*.example.com:443"]
    assert failure({"x": value}, url=url, allowed_hosts=allowed)


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_only_a_whole_text_of_the_body_takes_more_than_texts_and_numbers(value: Any) -> None:
    what = "must be a text, a number or a boolean here"
    assert failure({"x": value}, url=HOST + "/{x}") == ("parameters.x", what)
    assert failure({"x": value}, headers={"X": "{x}"}) == ("parameters.x", what)
    assert failure({"x": value}, body='"a {x}"') == ("parameters.x", what)
    assert json.loads(rendered({"x": value}, body='"{x}"').request.body) == value


def test_numbers_are_the_same_from_a_struct_and_from_json() -> None:
    given: dict[str, Any] = {"b": 7, "a": {"z": [1, 2.5, True, None], "y": 1e300, "x": 2**70}}
    struct = Struct()
    struct.update(given)
    body = '{"b": "{b}", "a": "{a}"}'
    assert rendered(struct, body=body) == rendered(given, body=body)
    assert rendered(struct, url=HOST + "/{b}").request.url == f"{HOST}/7"


def test_what_is_no_number_is_refused() -> None:
    for value in (float("nan"), float("inf"), 10**400):
        assert failure({"x": [value]}, body='"{x}"') == (
            "parameters.x",
            "a number is too large",
        )


def test_what_becomes_too_long_is_refused_before_it_is_made() -> None:
    parameters = {"x": "y" * 60_000}
    assert "http.body" in failure(parameters, body=json.dumps(["{x}"] * 5000))
    assert "http.headers.X" in failure(parameters, headers={"X": "{x}"})
    assert "http.url" in failure(parameters, url=HOST + "/{x}")
    assert "http.url" in failure({"x": "ü" * 2000}, url=HOST + "/{x}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "https://h/{x"),
        ("url", "https://h/x}"),
        ("url", "https://h/{}"),
        ("url", "https://h/{exception.state}"),
        ("url", "https://h/{exception.extra.}"),
        ("url", "https://h/{x y}"),
        ("url", "{scheme}://h/"),
        ("url", "ftp://h/"),
        ("url", "https:///x"),
        ("url", "//h/x"),
        ("url", "https://user:pass@h/"),
        ("url", "https://{x}@h/"),
        ("url", "https://h:0/"),
        ("url", "https://h:65536/"),
        ("url", "https://h/#x"),
        ("url", "https://h/../x"),
        ("url", "https://h/{action.name}"),
        ("url", "https://h/x/{exception.automation}?a"),
        ("url", "https://h/%2e%2e/x"),
        ("url", "https://h/%"),
        ("url", "https://h/%{x}"),
        ("url", "https://h/%2{x}"),
        ("url", "https://h/a b"),
        ("url", "https://h/\r\n"),
        ("url", "https://hü/"),
        ("url", "https://h/\ue000"),
        ("url", "https://h\\evil.net/"),
        ("body", "{"),
        ("body", '{"a": {x}}'),
        ("body", "NaN"),
        ("body", "1e999"),
        ("body", '"\\ud800"'),
        ("body", '["{x"]'),
        ("body", "[" * 1000 + "]" * 1000),
        ("body", "[" * 60_000),
        ("body", "1" * 60_000),
    ],
)
def test_what_is_no_template_is_refused(field: str, value: str) -> None:
    fields = {"url": HOST, field: value}
    assert [where for where, _ in violations(pb.HttpRequest(**fields))] == [field]


def test_a_header_that_would_be_two_is_refused() -> None:
    found = violations(pb.HttpRequest(url=HOST, headers={"X": "a\r\nY: b"}))
    assert [where for where, _ in found] == ["headers.X"]


def test_what_is_refused_when_it_is_made_is_refused_when_it_is_filled() -> None:
    for fields in ({"url": "https://h/{x"}, {"body": "{"}, {"headers": {"X": "{"}}):
        with pytest.raises(RenderFailed):
            render(pb.HttpRequest(**({"url": HOST} | fields)), {})
