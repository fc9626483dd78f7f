"""`kintsugi members …` against a running service."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))

Type = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def type_(stack: Any) -> Type:
    """Types `kintsugi …`."""

    def type_(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [KINTSUGI, *words],
            env=stack.env | env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return type_


@pytest.fixture
def ada(type_: Type) -> str:
    """The id of a responder."""
    id = f"ada-{uuid.uuid4().hex[:8]}"
    added = type_("members", "add", id, "--role", "responder", "--title", "Ada Lovelace")
    assert added.stderr == f"kintsugi: users/{id} is a member: responder\n"
    return id


def listed(type_: Type) -> dict[str, Any]:
    shown = type_("members", "list", "--json").stdout
    return {one["principal"]: one for one in map(json.loads, shown.splitlines())}


def test_a_member_is_added_changed_and_removed(type_: Type, ada: str) -> None:
    assert listed(type_)[f"users/{ada}"]["role"] == "ROLE_RESPONDER"
    [row] = [row for row in type_("members", "list").stdout.splitlines() if ada in row]
    assert "responder" in row
    assert "Ada Lovelace" in row

    assert "approver now" in type_("members", "set", ada, "--role", "approver").stderr
    assert listed(type_)[f"users/{ada}"]["role"] == "ROLE_APPROVER"
    assert type_("members", "remove", f"users/{ada}").returncode == 0
    assert f"users/{ada}" not in listed(type_)


def test_a_removed_member_is_refused(
    type_: Type, ada: str, until: Callable[[Callable[[], bool], float], bool]
) -> None:
    words = ("tokens", "create", "--user", ada, "--role", "responder", "--title", "hers")
    token = type_(*words).stdout.strip()
    assert type_("exceptions", "list", KINTSUGI_TOKEN=token).returncode == 0
    type_("members", "remove", ada)
    assert until(lambda: type_("exceptions", "list", KINTSUGI_TOKEN=token).returncode == 1, 30)


def test_only_who_manages_the_workspace_sees_its_members(type_: Type, ada: str) -> None:
    words = ("tokens", "create", "--user", ada, "--role", "responder", "--title", "hers")
    token = type_(*words).stdout.strip()
    refused = type_("members", "list", KINTSUGI_TOKEN=token)
    assert refused.returncode == 1
    assert "members.read" in refused.stderr


def test_what_can_not_be_is_refused(type_: Type, ada: str) -> None:
    twice = type_("members", "add", ada, "--role", "viewer")
    assert twice.returncode == 1
    assert ada in twice.stderr
    last = type_("members", "remove", "local")
    assert last.returncode == 1
    assert "owner" in last.stderr
    assert type_("members", "add", "grace", "--role", "king").returncode == 2
    assert type_("members", "add", "no/id", "--role", "viewer").returncode == 2
