"""The published event paths, POST, GET one and GET list, field for field as JSON shows them."""

import base64
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CSV = {"mime_type": "text/csv", "content": base64.b64encode(b"a,b\n1,2\xff").decode()}
CONTENTS = {
    "user_message",
    "agent_message",
    "tool_call_request",
    "tool_call_result",
    "thinking",
    "system_message",
    "completion_response",
}


@pytest.fixture(scope="module")
def http(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{stack.rest}/api/v1/", headers=stack.headers, timeout=30
    ) as client:
        yield client


@pytest.fixture
def thread(stack: Any) -> str:
    """A thread of the test's own."""
    return f"{stack.workspace}/automations/billing/runs/{uuid.uuid4().hex}/agents/kai"


def answered(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


def say(http: httpx.Client, thread: str, message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return answered(http.post(f"{thread}/events", json={"user_message": message} | fields))


def refusal(http: httpx.Client, thread: str, event: dict[str, Any]) -> dict[str, str]:
    """What is wrong, by fields."""
    answer = http.post(f"{thread}/events", json=event)
    assert answer.status_code == 400, answer.text
    status = answer.json()
    assert status["code"] == 3
    bad = [each for each in status["details"] if each["@type"].endswith("BadRequest")]
    return {one["field"]: one["description"] for each in bad for one in each["field_violations"]}


def raised(http: httpx.Client, stack: Any, thread: str, **fields: Any) -> dict[str, Any]:
    run = thread.partition("/agents/")[0]
    body = {"run": run, "location": {}, "message": "boom"} | fields
    return answered(http.post(f"{stack.workspace}/exceptions", json=body))


def assert_shape(event: dict[str, Any], content: str, *, about_exception: bool = False) -> None:
    """An event has the published fields, ours, and of the contents only its own."""
    expected = {"name", "state", "create_time", "update_time", "exception", "kind", content}
    assert set(event) == expected
    assert event["state"] == "STATE_COMPLETE"
    assert event["kind"] == f"EVENT_KIND_{content.upper()}"
    assert TIME.fullmatch(event["create_time"])
    assert TIME.fullmatch(event["update_time"])
    assert bool(event["exception"]) is about_exception


def test_a_text_is_said_and_read(http: httpx.Client, thread: str) -> None:
    said = say(http, thread, {"content": "Shall I run it again?"})
    assert_shape(said, "user_message")
    assert said["name"] == f"{thread}/events/1"
    assert said["user_message"] == {"user": "users/local", "content": "Shall I run it again?"}
    assert answered(http.get(said["name"])) == said
    assert answered(http.get(f"{thread}/events")) == {
        "events": [said],
        "next_page_token": "",
        "total_size": 1,
        "total_size_is_lower_bound": False,
    }


def test_texts_and_files_are_said_and_read(http: httpx.Client, thread: str) -> None:
    items = [
        {"text": "this one:"},
        {"file": {"inline": CSV | {"filename": "invoices.csv"}}},
        {"file": {"remote": "https://example.com/invoices.csv"}},
    ]
    said = say(http, thread, {"content_list": {"items": items}})
    assert_shape(said, "user_message")
    assert said["user_message"] == {"user": "users/local", "content_list": {"items": items}}
    assert answered(http.get(said["name"])) == said


def test_a_file_without_a_name_prints_the_default(http: httpx.Client, thread: str) -> None:
    said = say(http, thread, {"content_list": {"items": [{"file": {"inline": CSV}}]}})
    [item] = said["user_message"]["content_list"]["items"]
    assert item == {"file": {"inline": CSV | {"filename": ""}}}


def test_names_of_fields_may_be_camel_case(http: httpx.Client, thread: str) -> None:
    event = {"userMessage": {"contentList": {"items": [{"text": "x"}]}}}
    said = answered(http.post(f"{thread}/events", json=event))
    assert said["user_message"]["content_list"] == {"items": [{"text": "x"}]}


@pytest.mark.parametrize("content", sorted(CONTENTS - {"user_message"}))
def test_other_contents_are_refused_by_name(http: httpx.Client, thread: str, content: str) -> None:
    assert refusal(http, thread, {content: {}}) == {
        f"event.{content}": "is written by agents and the service; only user_message can be created"
    }


@pytest.mark.parametrize("content", ["%%%", "YQ=", "Y", "YWJj=", "ä", "YWJj*"])
def test_what_is_no_base64_is_refused(http: httpx.Client, thread: str, content: str) -> None:
    file = {"mime_type": "text/csv", "content": content}
    event = {"user_message": {"content_list": {"items": [{"file": {"inline": file}}]}}}
    answer = http.post(f"{thread}/events", json=event)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == 3


@pytest.mark.parametrize("content", ["+/+/YQ==", "+/+/YQ", "-_-_YQ==", "-_-_YQ"])
def test_base64_of_either_alphabet_with_or_without_padding_is_taken(
    http: httpx.Client, thread: str, content: str
) -> None:
    file = {"mime_type": "text/csv", "content": content}
    said = say(http, thread, {"content_list": {"items": [{"file": {"inline": file}}]}})
    [item] = said["user_message"]["content_list"]["items"]
    assert item["file"]["inline"]["content"] == "+/+/YQ=="


def test_too_large_files_are_refused_with_the_limit(http: httpx.Client, thread: str) -> None:
    file = CSV | {"content": base64.b64encode(b"x" * 600 * 1024).decode()}
    items = [{"file": {"inline": file}}] * 2
    assert refusal(http, thread, {"user_message": {"content_list": {"items": items}}}) == {
        "event.user_message.content_list.items": (
            "carry files of 1228800 bytes; at most 1048576 are allowed"
        )
    }


def test_files_as_large_as_allowed_come_back_a_few_a_page(http: httpx.Client, thread: str) -> None:
    file = CSV | {"content": base64.b64encode(bytes(range(256)) * 4096).decode(), "filename": "x"}
    message = {"content_list": {"items": [{"file": {"inline": file}}]}}
    names = [say(http, thread, message)["name"] for _ in range(5)]
    page = answered(http.get(f"{thread}/events", params={"page_size": 1000}))
    rest = answered(
        http.get(
            f"{thread}/events", params={"page_size": 1000, "page_token": page["next_page_token"]}
        )
    )
    events = page["events"] + rest["events"]
    assert [event["name"] for event in reversed(events)] == names
    assert len(page["events"]) == 3
    assert all(event["user_message"]["content_list"] == message["content_list"] for event in events)


def test_what_the_service_says_about_an_exception_is_listed(
    http: httpx.Client, stack: Any, thread: str
) -> None:
    exception = raised(http, stack, thread, extra={"output": "Traceback …"})
    resolve = http.post(f"{exception['name']}:resolve", json={"resolution_note": "fixed"})
    assert resolve.status_code == 200
    drafted, resolved, output, told = answered(http.get(f"{thread}/events"))["events"]
    for event, content in ((each, "system_message") for each in (drafted, resolved, told)):
        assert_shape(event, content, about_exception=True)
    assert_shape(output, "tool_call_result", about_exception=True)
    assert told["system_message"] == {"content": "Raised: `boom`"}
    assert set(output["tool_call_result"]) == {"tool_call_id", "result"}
    assert output["tool_call_result"]["result"] == "Traceback …"
    assert resolved["system_message"] == {"content": "Resolved by users/local: `fixed`"}
    assert {event["exception"] for event in (drafted, resolved, output, told)} == {
        exception["name"]
    }


def test_the_published_filters(http: httpx.Client, stack: Any, thread: str) -> None:
    first, second = (raised(http, stack, thread, message=message) for message in ("a", "b"))
    say(http, thread, {"content": "x"})
    ids = [each["name"].rpartition("/")[2] for each in (first, second)]
    for filter, count in {
        f'exception = "{ids[0]}"': 1,
        f'exception = "{ids[0]}" OR exception = "{ids[1]}"': 2,
        f'exception = "{first["name"]}"': 1,
        f'exception != "{ids[0]}"': 2,
        f'NOT (exception = "{ids[0]}" OR exception = "{ids[1]}")': 1,
        'exception = "exc-123"': 0,
        "kind = USER_MESSAGE": 1,
        "state = STATE_COMPLETE": 3,
        'create_time > "2025-01-01T00:00:00Z"': 3,
    }.items():
        page = answered(http.get(f"{thread}/events", params={"filter": filter}))
        assert (len(page["events"]), page["total_size"]) == (count, count), filter
    answer = http.get(f"{thread}/events", params={"filter": "exception ="})
    assert answer.status_code == 400


def test_pages_go_on_where_the_last_one_ended(http: httpx.Client, thread: str) -> None:
    names = [say(http, thread, {"content": str(number)})["name"] for number in range(5)]
    seen: list[str] = []
    parameters: dict[str, Any] = {"page_size": 2}
    while True:
        page = answered(http.get(f"{thread}/events", params=parameters))
        assert page["total_size"] == 5
        seen += [event["name"] for event in page["events"]]
        if not page["next_page_token"]:
            break
        parameters["page_token"] = page["next_page_token"]
    assert seen == names[::-1]
    assert http.get(f"{thread}/events", params={"page_size": -1}).status_code == 400
    assert http.get(f"{thread}/events", params={"page_token": "x"}).status_code == 400


def test_a_repeated_message_is_said_once(http: httpx.Client, thread: str) -> None:
    body, parameters = {"user_message": {"content": "x"}}, {"request_id": str(uuid.uuid4())}
    answers = [http.post(f"{thread}/events", params=parameters, json=body) for _ in range(2)]
    assert answered(answers[0]) == answered(answers[1])
    assert answered(http.get(f"{thread}/events"))["total_size"] == 1


def test_what_is_not_there_is_not_found(http: httpx.Client, stack: Any, thread: str) -> None:
    session = f"{stack.workspace}/agentSessions/s1"
    say(http, thread, {"content": "x"})
    for path in (f"{thread}/events/2", f"{thread}/events/first", f"{session}/events/1"):
        assert http.get(path).status_code == 404, path
    for parent in (session, thread.replace(stack.workspace, "organizations/o/workspaces/w")):
        assert http.get(f"{parent}/events").status_code == 404, parent
        body = {"user_message": {"content": "x"}}
        assert http.post(f"{parent}/events", json=body).status_code == 404, parent


def test_a_thread_that_nobody_wrote_to_is_empty(http: httpx.Client, thread: str) -> None:
    assert answered(http.get(f"{thread}/events")) == {
        "events": [],
        "next_page_token": "",
        "total_size": 0,
        "total_size_is_lower_bound": False,
    }


def test_the_path_says_which_thread_is_meant(http: httpx.Client, thread: str) -> None:
    other = thread.replace("/agents/kai", "/agents/other")
    body = {"user_message": {"content": "x"}}
    answer = http.post(f"{thread}/events", params={"parent": other}, json=body)
    assert answered(answer)["name"].startswith(thread)
    listed = answered(http.get(f"{thread}/events", params={"parent": other}))
    assert listed["total_size"] == 1
