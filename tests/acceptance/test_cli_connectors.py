"""`kintsugi connectors …` against a running service: kept as files say, and tried on a target."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.following import done, kintsugi
from tests.targets import JSON, Answered, Target, serving


@pytest.fixture
def target() -> Iterator[Target]:
    """A system that answers 200 with what it was sent."""
    with serving(lambda heard: Answered(body=heard.body.encode(), headers=JSON)) as target:
        yield target


@pytest.fixture
def id() -> str:
    return f"c-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def file(tmp_path: Path, target: Target, id: str) -> Path:
    path = tmp_path / "connector.yaml"
    path.write_text(
        f"action_type: {id.replace('-', '_')}\n"
        "title: Process a batch again\n"
        "risk: RISK_LOW\n"
        "http:\n"
        "  method: POST\n"
        f"  url: {target.url}/batches/{{batch}}\n"
        "  body: {batch: '{batch}'}\n"
        "  allow_private: true\n"
    )
    return path


def shown(stack: Any, id: str) -> Any:
    return json.loads(done(stack, "connectors", "show", id, "--json"))


def test_a_connector_is_made_listed_changed_and_deleted(stack: Any, file: Path, id: str) -> None:
    assert "created" in kintsugi(stack, "connectors", "create", id, "--file", str(file)).stderr
    assert shown(stack, id)["title"] == "Process a batch again"
    row = next(line for line in done(stack, "connectors", "list").splitlines() if id in line)
    assert "POST http://127.0.0.1:" in row
    assert "LOW" in row
    change = json.dumps({"title": "Again", "risk": "RISK_HIGH"})
    edited = kintsugi(stack, "connectors", "edit", id, "--file", "-", input=change)
    assert edited.returncode == 0, edited.stderr
    changed = shown(stack, id)
    assert (changed["title"], changed["risk"]) == ("Again", "RISK_HIGH")
    assert changed["http"]["method"] == "POST"
    assert "was deleted" in kintsugi(stack, "connectors", "delete", id).stderr
    assert kintsugi(stack, "connectors", "show", id).returncode == 1


def test_what_is_shown_can_be_edited(stack: Any, file: Path, id: str) -> None:
    done(stack, "connectors", "create", id, "--file", str(file), "--json")
    text = done(stack, "connectors", "show", id).replace("Process a batch", "Run a batch")
    assert not {"name", "revision", "create_time", "update_time"} & yaml.safe_load(text).keys()
    changed = kintsugi(stack, "connectors", "edit", id, "--file", "-", "--json", input=text)
    assert changed.returncode == 0, changed.stderr
    assert json.loads(changed.stdout)["title"] == "Run a batch again"


def test_a_connector_is_tried(stack: Any, file: Path, id: str, target: Target) -> None:
    done(stack, "connectors", "create", id, "--file", str(file))
    words = ("connectors", "test", id, "--parameters", '{"batch": "b-7"}', "--json")
    rendered = json.loads(done(stack, *words))
    assert rendered["request"]["url"].endswith("/batches/b-7")
    assert "result" not in rendered
    sent = json.loads(done(stack, *words, "--send"))
    assert sent["result"]["response"]["body"] == {"batch": "b-7"}
    target.stop()
    failed = kintsugi(stack, *words, "--send")
    assert (failed.returncode, json.loads(failed.stdout)["result"]["success"]) == (1, False)


@pytest.mark.parametrize(
    ("words", "input", "code", "said"),
    [
        (("create", "x", "--file", "-"), "{", 1, "JSON or YAML"),
        (("create", "x", "--file", "-"), "colour: red", 1, "colour is not a field of Connector"),
        (("create", "x", "--file", "-"), "action_type: a", 1, "http"),
        (("create", "x", "--file", "/none"), "", 2, "/none"),
        (("test", "x", "--parameters", "[]"), "", 2, "JSON object"),
        (("show", "a/b"), "", 2, "connector"),
        (("delete", "none"), "", 1, "none"),
    ],
)
def test_what_is_wrong_is_told(
    stack: Any, words: tuple[str, ...], input: str, code: int, said: str
) -> None:
    refused = kintsugi(stack, "connectors", *words, input=input)
    assert refused.returncode == code
    assert said in refused.stderr


def test_an_action_type_stays_as_it_is(stack: Any, file: Path, id: str) -> None:
    done(stack, "connectors", "create", id, "--file", str(file))
    refused = kintsugi(stack, "connectors", "edit", id, "--file", "-", input="action_type: b")
    assert refused.returncode == 1
    assert "can't be changed" in refused.stderr
