"""`kintsugi workspaces …` against a running service."""

import json
import uuid
from typing import Any

import pytest

from tests.acceptance.following import done, kintsugi

ORGANIZATION = "organizations/local"


@pytest.fixture
def billing(stack: Any) -> str:
    """The id of a new workspace."""
    id = f"billing-{uuid.uuid4().hex[:8]}"
    made = kintsugi(stack, "workspaces", "create", id, "--title", "Billing")
    assert made.stderr.endswith(f"KINTSUGI_WORKSPACE={ORGANIZATION}/workspaces/{id}\n")
    return id


def shown(stack: Any, *words: str) -> Any:
    return json.loads(done(stack, "workspaces", "show", *words, "--json"))


def test_a_workspace_is_made_listed_and_shown(stack: Any, billing: str) -> None:
    name = f"{ORGANIZATION}/workspaces/{billing}"
    listed = map(json.loads, done(stack, "workspaces", "list", "--json").splitlines())
    [found] = [one for one in listed if one["name"] == name]
    assert (found["title"], found["features"]) == ("Billing", ["agent_ai"])
    assert shown(stack, billing) == shown(stack, name) == found
    [row] = [row for row in done(stack, "workspaces", "list").splitlines() if name in row]
    assert row.split()[1] == "agent_ai"
    assert "Billing" in done(stack, "workspaces", "show", billing)


def test_the_one_in_use_is_shown_unless_another_is_named(stack: Any) -> None:
    assert shown(stack)["name"] == stack.workspace


def test_agents_are_switched_off_and_on_and_the_title_stays(stack: Any, billing: str) -> None:
    switched = kintsugi(stack, "workspaces", "set", billing, "--features", "")
    assert switched.stderr.endswith("is 'Billing' now, with no features\n")
    assert shown(stack, billing)["features"] == []
    done(stack, "workspaces", "set", billing, "--features", "agent_ai", "--title", "Bills")
    assert (shown(stack, billing)["features"], shown(stack, billing)["title"]) == (
        ["agent_ai"],
        "Bills",
    )


def test_what_can_not_be_is_refused(stack: Any, billing: str) -> None:
    twice = kintsugi(stack, "workspaces", "create", billing)
    assert (twice.returncode, billing in twice.stderr) == (1, True)
    unknown = kintsugi(stack, "workspaces", "set", billing, "--features", "agents")
    assert (unknown.returncode, "agent_ai" in unknown.stderr) == (1, True)
    assert kintsugi(stack, "workspaces", "set", billing).returncode == 2
    assert kintsugi(stack, "workspaces", "create", "no/id").returncode == 2
