"""`kintsugi guides …` against a running service, in pipes and with an editor."""

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))

Done = subprocess.CompletedProcess[str]


class Client:
    """Types `kintsugi guides …`."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = {name: env[name] for name in env if name not in ("EDITOR", "VISUAL")}

    def __call__(self, *words: str, input: str = "", **env: str) -> Done:
        return subprocess.run(
            [KINTSUGI, "guides", *words],
            env=self.env | env,
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def json(self, *words: str, **options: str) -> Any:
        done = self(*words, "--json", **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def client(stack: Any) -> Client:
    return Client(stack.env)


@pytest.fixture
def automation() -> str:
    return f"cli-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def entry(stack: Any, automation: str) -> dict[str, Any]:
    """An entry that a resolved exception drafted."""
    api = f"{stack.rest}/api/v1"
    raised = stack.http.post(stack.exceptions, json=stack.new_exception(automation)).json()
    note = {"resolution_note": "Add the total.\nRun again."}
    stack.http.post(f"{api}/{raised['name']}:resolve", json=note).raise_for_status()
    path = f"{api}/{stack.workspace}/automations/{automation}/guideEntries"
    [drafted] = stack.http.get(path).json()["guide_entries"]
    found: dict[str, Any] = drafted
    return found


def id_of(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rpartition("/")[2]


def editor(path: Path, script: str) -> str:
    """An editor that runs a line of Python over the `text` of the file."""
    path.write_text(
        "import sys, pathlib\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "text = file.read_text()\n"
        f"{script}\n"
        "file.write_text(text)\n"
    )
    return f"{sys.executable} {path}"


def test_a_draft_is_listed_shown_and_approved(
    client: Client, entry: dict[str, Any], automation: str
) -> None:
    listed = client("list", "--automation", automation)
    for text in (id_of(entry), "PENDING_APPROVAL", "0.1", automation, "KeyError: 'total'"):
        assert text in listed.stdout
    shown = client("show", id_of(entry)).stdout
    for text in ("PENDING_APPROVAL", "Add the total.\nRun again.", entry["source_run"]):
        assert text in shown
    done = client("approve", id_of(entry))
    assert (done.returncode, done.stderr) == (0, "")
    assert "approved as 1.0" in done.stdout
    assert client.json("show", id_of(entry))["approved_version"] == "1.0"


@pytest.mark.parametrize(
    "form", ["{id}", "guideEntries/{id}", "automations/{automation}/guideEntries/{id}", "{name}"]
)
def test_an_entry_is_found_by_every_form_of_its_name(
    client: Client, entry: dict[str, Any], automation: str, form: str
) -> None:
    text = form.format(id=id_of(entry), name=entry["name"], automation=automation)
    assert client.json("show", text) == entry


def test_list_takes_what_rest_takes(client: Client, entry: dict[str, Any], automation: str) -> None:
    of_it = ("list", "--automation", automation)
    assert client.json(*of_it, "--filter", "resolution_steps:TOTAL") == entry
    assert client(*of_it, "--filter", "state = APPROVED", "--json").stdout == ""
    assert client("list", "--ids", "--filter", f"automation = {automation}").stdout.split() == [
        id_of(entry)
    ]
    refused = client("list", "--filter", "stat = APPROVED")
    assert refused.returncode == 1
    assert "did you mean 'state'" in refused.stderr


def test_a_deleted_entry_is_listed_where_that_is_asked_for(
    stack: Any, client: Client, entry: dict[str, Any], automation: str
) -> None:
    stack.http.delete(f"{stack.rest}/api/v1/{entry['name']}").raise_for_status()
    assert client("list", "--automation", automation, "--ids").stdout == ""
    shown = client("list", "--automation", automation, "--deleted").stdout
    assert "ARCHIVED" in shown


def test_reject_says_what_was_done_and_what_is_wrong(client: Client, entry: dict[str, Any]) -> None:
    assert "rejected 0.1" in client("reject", id_of(entry)).stdout
    again = client("approve", id_of(entry))
    assert again.returncode == 1
    assert "PENDING_APPROVAL" in again.stderr


def test_edit_changes_what_its_options_say(client: Client, entry: dict[str, Any]) -> None:
    id = id_of(entry)
    words = ("--title", "No total", "--notes", "Ask accounting.", "--steps", "-")
    changed = client.json("edit", id, *words, input="first\nsecond\n")
    assert changed["title"] == "No total"
    assert changed["resolution_steps"] == "first\nsecond"
    assert changed["resolution_notes"] == "Ask accounting."
    assert changed["version"] == "0.2"
    assert "resolution_notes" not in client.json("edit", id, "--notes", "")
    assert "0.4 is to be approved" in client("edit", id, "--code", "x = 1").stdout


def test_edit_says_when_nothing_was_changed(client: Client, entry: dict[str, Any]) -> None:
    client("approve", id_of(entry))
    left = client("edit", id_of(entry), "--title", entry["title"])
    assert (left.returncode, left.stdout) == (1, "")
    assert "nothing was changed" in left.stderr


def test_edit_opens_an_editor(client: Client, entry: dict[str, Any], tmp_path: Path) -> None:
    id = id_of(entry)
    command = editor(tmp_path / "editor.py", "text = text.replace('Add', 'Do add')")
    changed = client.json("edit", id, EDITOR=command)
    assert changed["resolution_steps"] == "Do add the total.\nRun again."
    assert (changed["title"], changed["version"]) == ("KeyError: 'total'", "0.2")
    for script in ("pass", "text = text.replace('=== title ===', '')", "text = ''"):
        left = client("edit", id, EDITOR=editor(tmp_path / "editor.py", script))
        assert left.returncode == 1
        assert "nothing was changed" in left.stderr
    assert client.json("show", id) == changed


def test_what_was_written_is_kept_when_somebody_was_faster(
    client: Client, entry: dict[str, Any], tmp_path: Path
) -> None:
    id = id_of(entry)
    faster = (
        "import subprocess\n"
        f"subprocess.run([{KINTSUGI!r}, 'guides', 'edit', {id!r}, '--title', 'faster'], check=True,"
        " stdout=subprocess.DEVNULL)\n"
        "text = text.replace('Add', 'Do add')"
    )
    late = client("edit", id, EDITOR=editor(tmp_path / "editor.py", faster), TMPDIR=str(tmp_path))
    assert late.returncode == 1
    assert "changed since" in late.stderr
    [kept] = tmp_path.glob("kintsugi-guide-*.md")
    assert str(kept) in late.stderr
    assert "Do add the total." in kept.read_text()
    assert client.json("show", id)["title"] == "faster"


def test_history_lists_the_versions_and_show_shows_one(
    client: Client, entry: dict[str, Any]
) -> None:
    id = id_of(entry)
    client("approve", id)
    client("edit", id, "--steps", "better")
    lines = client("history", id).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1.1", "1.0", "0.1"]
    assert "APPROVED, in use" in lines[2]
    versions = client("history", id, "--json").stdout.splitlines()
    assert [json.loads(line)["version"] for line in versions] == ["1.1", "1.0", "0.1"]
    assert client.json("show", id, "--version", "1.0")["resolution_steps"].startswith("Add")
    missing = client("show", id, "--version", "7.0")
    assert missing.returncode == 1
    assert "7.0" in missing.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "0193"), 1),
        (("show", "a/b"), 2),
        (("edit", "0193"), 2),
        (("edit", "0193", "--steps", "-", "--code", "-"), 2),
        (("list", "--automation", "a/b/c"), 2),
        (("list", "--limit", "0"), 2),
    ],
)
def test_wrong_use_is_told_in_one_line(client: Client, words: tuple[str, ...], code: int) -> None:
    refused = client(*words)
    assert refused.returncode == code
    assert [line for line in refused.stderr.splitlines() if line.startswith("Error: ")]


def test_an_approval_says_what_it_lets_happen(client: Client, entry: dict[str, Any]) -> None:
    id = id_of(entry)
    words = ("--action-type", "retry_run", "--action-risk", "medium")
    assert client.json("edit", id, *words)["action_risk"] == "RISK_MEDIUM"
    approved = client("approve", id)
    assert "this proposes retry_run, which somebody approves each time" in approved.stderr
    client("edit", id, "--action-parameters", '{"batch": "b-7"}')
    approved = client("approve", id, "--self-resolving")
    said = 'this lets retry_run {"batch": "b-7"} run by itself, with MEDIUM risk at most'
    assert said in approved.stderr
    assert client.json("show", id)["self_resolving"]
