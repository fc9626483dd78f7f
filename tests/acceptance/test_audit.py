"""Who did what, over REST and in the terminal."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))


@pytest.fixture
def entries(stack: Any) -> str:
    return f"{stack.workspace}/auditEntries"


@pytest.fixture
def raised(
    stack: Any, http: httpx.Client, entries: str, until: Callable[..., bool]
) -> dict[str, Any]:
    """An exception that a person raised and archived, when both are sealed."""
    raised: dict[str, Any] = http.post(
        stack.exceptions, json=stack.new_exception(uuid.uuid4().hex)
    ).json()
    http.post(f"{raised['name']}:archive", json={}).raise_for_status()
    asked = {"filter": of(raised)}
    assert until(lambda: http.get(entries, params=asked).json()["total_size"] == 2, 30)
    return raised


def of(raised: dict[str, Any]) -> str:
    """What people did to it: an agent describes it at any time."""
    return f'resource = "{raised["name"]}" AND principal = "users/local"'


def run(stack: Any, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KINTSUGI, "audit", *words],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_entries_are_listed_newest_first(
    http: httpx.Client, entries: str, raised: dict[str, Any]
) -> None:
    page = http.get(entries, params={"filter": of(raised), "page_size": 1}).json()
    [newest] = page["audit_entries"]
    assert newest["type"] == "exception.archive"
    assert newest["before"]["state"] == "EXCEPTION_STATE_PENDING"
    assert newest["address"] == "127.0.0.1"
    assert newest["token"]
    assert http.get(newest["name"]).json() == newest
    rest = {"filter": of(raised), "page_size": 1, "page_token": page["next_page_token"]}
    [first] = http.get(entries, params=rest).json()["audit_entries"]
    assert first["type"] == "exception.create"
    assert "before" not in first
    assert first["after"]["message"] == raised["message"]


def test_an_export_is_one_entry_a_line(
    http: httpx.Client, entries: str, raised: dict[str, Any]
) -> None:
    answer = http.get(f"{entries}:export", params={"filter": of(raised)})
    assert answer.headers["content-type"] == "application/x-ndjson"
    exported = [json.loads(line)["audit_entry"] for line in answer.text.splitlines()]
    assert [each["type"] for each in exported] == ["exception.create", "exception.archive"]


def test_an_export_of_nothing_is_empty(http: httpx.Client, entries: str) -> None:
    answer = http.get(f"{entries}:export", params={"filter": 'principal = "users/nobody"'})
    assert (answer.status_code, answer.text) == (200, "")


def test_an_error_of_an_export_is_a_line_too(http: httpx.Client, entries: str) -> None:
    answer = http.get(f"{entries}:export", params={"filter": "sequenz = 1"})
    assert answer.status_code == 400
    assert json.loads(answer.text)["details"][0]["reason"] == "FILTER_TYPE"


def test_the_chain_is_verified(http: httpx.Client, entries: str, raised: dict[str, Any]) -> None:
    found = http.post(f"{entries}:verify", json={}).json()
    assert found["done"] is True
    assert "broken_link" not in found
    assert int(found["verified_count"]) >= 2
    again = http.post(f"{entries}:verify", json={"checkpoint": found["checkpoint"]}).json()
    assert "broken_link" not in again
    forged = found["checkpoint"].partition(":")[0] + ":" + "0" * 64
    refuted = http.post(f"{entries}:verify", json={"checkpoint": forged}).json()
    assert refuted["broken_link"]["audit_entry"].startswith(f"{entries}/")


def test_metrics_say_how_much_isnt_sealed(stack: Any, raised: dict[str, Any]) -> None:
    assert "kintsugi_audit_unsealed_entries" in httpx.get(stack.metrics).text


def test_the_terminal_lists_entries(stack: Any, raised: dict[str, Any]) -> None:
    done = run(stack, "list", "--filter", of(raised))
    assert done.returncode == 0, done.stderr
    _, newest, first = done.stdout.splitlines()
    short = raised["name"].removeprefix(f"{stack.workspace}/")
    for line, type in ((newest, "exception.archive"), (first, "exception.create")):
        assert line.split()[3:] == ["users/local", type, "OK", "1", short]


@pytest.mark.parametrize(
    "words", [("export",), ("list", "--json", "--order-by", "sequence", "--limit", "2")]
)
def test_the_terminal_prints_lines(
    stack: Any, http: httpx.Client, entries: str, raised: dict[str, Any], words: tuple[str, ...]
) -> None:
    done = run(stack, *words, "--filter", of(raised))
    assert done.returncode == 0, done.stderr
    asked = {"filter": of(raised), "order_by": "sequence"}
    there = http.get(entries, params=asked).json()["audit_entries"]
    assert [json.loads(line) for line in done.stdout.splitlines()] == there


def test_the_terminal_verifies(stack: Any, raised: dict[str, Any]) -> None:
    done = run(stack, "verify")
    assert done.returncode == 0, done.stderr
    checkpoint = done.stdout.strip()
    assert "entries are as they were sealed" in done.stderr
    assert run(stack, "verify", "--checkpoint", checkpoint).returncode == 0
    forged = checkpoint.partition(":")[0] + ":" + "0" * 64
    refuted = run(stack, "verify", "--checkpoint", forged)
    assert refuted.returncode == 1
    assert "is not what the checkpoint says" in refuted.stderr
