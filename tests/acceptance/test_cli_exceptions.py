"""`kintsugi exceptions …` against a running service, in terminals and in pipes."""

import json
import os
import pty
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def run() -> str:
    return uuid.uuid4().hex


class Client:
    """Types `kintsugi exceptions …`."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def __call__(self, *words: str, **env: str) -> Done:
        return subprocess.run(
            [KINTSUGI, "exceptions", *words],
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def client(stack: Any) -> Client:
    return Client(stack.env)


@pytest.fixture
def raised(client: Client, run: str) -> dict[str, Any]:
    words = ("--automation", "cli", "--run", run, "--message", "KeyError: 'total'")
    found: dict[str, Any] = client.json("create", *words, "--extra", "row=3", "--extra", "a=b=c")
    return found


def id_of(exception: dict[str, Any]) -> str:
    return str(exception["name"]).rpartition("/")[2]


def test_create_raises_and_answers_json_with_defaults(
    stack: Any, raised: dict[str, Any], run: str
) -> None:
    assert raised["run"] == f"{stack.workspace}/automations/cli/runs/{run}"
    assert raised["state"] == "EXCEPTION_STATE_PENDING"
    assert raised["extra"] == {"row": "3", "a": "b=c"}
    assert raised["location"] == {"start_byte": "0", "end_byte": "0"}
    assert raised["assignee"] == ""


def test_get_answers_the_same_json_as_rest(
    stack: Any, client: Client, raised: dict[str, Any]
) -> None:
    stack.described(raised["name"])
    url = f"{stack.rest}/api/v1/{raised['name']}"
    argv = ["curl", "-s", "-H", f"authorization: Bearer {stack.token}", url]
    rest = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    assert client.json("get", id_of(raised)) == json.loads(rest.stdout)


@pytest.mark.parametrize("form", ["{id}", "exceptions/{id}", "{name}"])
def test_an_exception_is_found_by_every_form_of_its_name(
    client: Client, raised: dict[str, Any], form: str
) -> None:
    text = form.format(id=id_of(raised), name=raised["name"])
    assert client.json("get", text)["name"] == raised["name"]


def test_get_shows_all_that_can_be_read(client: Client, raised: dict[str, Any]) -> None:
    shown = client("get", id_of(raised)).stdout
    for text in ("PENDING", "KeyError: 'total'", raised["name"], raised["run"], "b=c"):
        assert text in shown


def test_list_shows_the_newest_first_and_as_many_as_asked(client: Client, run: str) -> None:
    words = ("create", "--automation", "cli", "--run", run)
    names = [client.json(*words, "--message", str(n))["name"] for n in range(3)]
    listed = client("list", "--limit", "3", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in listed] == names[::-1]
    ids = client("list", "--limit", "2", "--ids").stdout.split()
    assert ids == [name.rpartition("/")[2] for name in names[:0:-1]]


def test_list_goes_on_over_pages(stack: Any, client: Client, run: str) -> None:
    code = (
        "import sys; from cli.client import Client, new_exception\n"
        "client = Client.from_environment()\n"
        "for n in range(120): client.create(new_exception(sys.argv[1], str(n), {}))\n"
    )
    name = f"{stack.workspace}/automations/cli/runs/{run}"
    subprocess.run([sys.executable, "-c", code, name], env=stack.env, check=True, timeout=60)
    listed = client("list", "--limit", "115", "--json").stdout.splitlines()
    assert [json.loads(line)["message"] for line in listed] == [str(n) for n in range(119, 4, -1)]


def test_a_table_in_a_pipe_is_neither_cut_nor_coloured(client: Client, run: str) -> None:
    message = "very " * 100 + "long"
    client("create", "--automation", "cli", "--run", run, "--message", message)
    done = client("list", "--limit", "1")
    assert message in done.stdout
    assert "\x1b" not in done.stdout
    assert "more with --limit" in done.stderr


def test_a_terminal_gets_colours_and_no_one_elses_control_characters(
    stack: Any, client: Client, run: str
) -> None:
    message = "\x1b]0;gotcha\x07[red]row 3[/red]"
    client("create", "--automation", "cli", "--run", run, "--message", message)
    child, terminal = pty.fork()
    if child == 0:
        env = stack.env | {"TERM": "xterm-256color", "COLUMNS": "200"}
        os.execve(KINTSUGI, [KINTSUGI, "exceptions", "list", "--limit", "1"], env)
    shown = b""
    try:
        while data := os.read(terminal, 4096):
            shown += data
    except OSError:
        pass
    os.waitpid(child, 0)
    os.close(terminal)
    assert b"\x1b[33m" in shown
    assert b"[red]row 3[/red]" in shown
    assert b"\x1b]0;" not in shown


def test_resolve_archive_unarchive_and_assign(client: Client, raised: dict[str, Any]) -> None:
    id = id_of(raised)
    assert client.json("assign", id, "ada")["assignee"] == "users/ada"
    assert client.json("assign", id, "users/bob")["assignee"] == "users/bob"
    assert client.json("assign", id, "")["assignee"] == ""
    assert client.json("archive", id)["state"] == "EXCEPTION_STATE_ARCHIVED"
    assert client.json("unarchive", id)["state"] == "EXCEPTION_STATE_PENDING"
    resolved = client.json("resolve", id, "--note", "added it")
    assert resolved["state"] == "EXCEPTION_STATE_RESOLVED"
    assert resolved["resolution_note"] == "added it"
    assert resolved["resolver"] == "users/local"


def test_each_change_says_what_was_done(client: Client, raised: dict[str, Any]) -> None:
    id = id_of(raised)
    for words, said in [
        (("assign", id, "ada"), "assigned to users/ada"),
        (("archive", id), "archived"),
        (("unarchive", id), "pending again"),
        (("resolve", id), "resolved"),
    ]:
        done = client(*words)
        assert (done.returncode, said in done.stdout, done.stderr) == (0, True, "")


def test_what_the_service_refuses_is_told_with_its_hint(
    client: Client, raised: dict[str, Any], run: str
) -> None:
    client("resolve", id_of(raised))
    for words, hint in [
        (("archive", id_of(raised)), "PENDING"),
        (("get", "0193"), "0193"),
        (("assign", id_of(raised), "a b"), "assignee"),
        (("create", "--automation", "a", "--run", run, "--message", ""), "exception.message"),
    ]:
        refused = client(*words)
        assert refused.returncode == 1
        assert refused.stderr.startswith("Error: ")
        assert hint in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("get", "a/b"),
        ("get",),
        ("list", "--limit", "0"),
        ("create", "--run", "1", "--message", "m"),
        ("create", "--automation", "a", "--run", "1", "--message", "m", "--extra", "novalue"),
        ("resolv", "0193"),
    ],
)
def test_wrong_use_is_told_in_one_line_with_code_2(client: Client, words: tuple[str, ...]) -> None:
    refused = client(*words)
    assert refused.returncode == 2
    assert [line for line in refused.stderr.splitlines() if line.startswith("Error: ")]


def test_a_service_that_is_away_is_told_with_what_to_do(client: Client) -> None:
    refused = client("list", KINTSUGI_SERVER="127.0.0.1:1")
    assert refused.returncode == 1
    assert "kintsugi up" in refused.stderr
    assert "KINTSUGI_SERVER" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_reader_who_leaves_early_is_no_error_to_read_about(
    stack: Any, raised: dict[str, Any]
) -> None:
    piped = f"{KINTSUGI} exceptions list --json | true"
    done = subprocess.run(
        ["sh", "-c", piped], env=stack.env, capture_output=True, check=False, timeout=60
    )
    assert done.stderr == b""


def test_counts_by_automation_and_by_group(client: Client, raised: dict[str, Any]) -> None:
    automation = f"counted-{uuid.uuid4().hex}"
    words = ("--automation", automation, "--run", "1", "--message")
    for message in ("first", "second"):
        client.json("create", *words, message)
    matching = ("--filter", f"automation = {automation}")
    assert client("counts", "--by", "automation", *matching).stdout.split() == [
        *("2", automation, "2", "in", "all")
    ]
    assert client("counts", *matching).stdout.split() == ["2", "(none)", "2", "in", "all"]
    counted = client.json("counts", "--by", "automation", *matching)
    assert counted["automation"].endswith(f"/automations/{automation}")
    assert counted["count"] == 2


def test_bulk_shows_what_matches_and_then_changes_it(client: Client) -> None:
    automation = f"bulk-{uuid.uuid4().hex}"
    words = ("--automation", automation, "--run", "1", "--message")
    ids = [id_of(client.json("create", *words, message)) for message in ("first", "second")]
    matching = ("--filter", f"automation = {automation}")
    asked = client("bulk", "archive", *matching)
    assert all(id in asked.stdout for id in ids)
    assert client.json("get", ids[0])["state"] == "EXCEPTION_STATE_PENDING"
    done = client("bulk", "resolve", *matching, "--note", "repaired", "--yes")
    assert done.stdout.splitlines()[-1] == "2 resolved", done.stderr
    assert client.json("get", ids[1])["resolution_note"] == "repaired"
    assert client("bulk", "archive", *matching, "--yes").stdout == "nothing was changed\n"


def test_counts_refuse_what_is_no_filter(client: Client) -> None:
    done = client("counts", "--filter", "stat = PENDING")
    assert done.returncode != 0
    assert "there is no field 'stat'" in done.stderr
