"""What an operator has: metrics and their dashboard, logs, a backup, and `kintsugi doctor`."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from server.launch.postgres import url_in
from tests.conftest import KINTSUGI

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "docs" / "grafana.json").read_text())
PAGE = (ROOT / "docs" / "operating.md").read_text()
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
METRIC = re.compile(r"\b(?:grpc_server|kintsugi)_\w+")


def served(stack: Any) -> set[str]:
    """The names of all samples that `/metrics` has."""
    text = httpx.get(stack.metrics).text
    return set(re.findall(r"^(\w+)[{ ]", text, re.MULTILINE))


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def doctor(*words: str, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Its exit code, and the finding of each thing; the worst one where it has several."""
    done = subprocess.run(
        [KINTSUGI, "doctor", "--json", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=_without_settings() | env,
    )
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    order = ["ok", "warning", "wrong"]
    return done.returncode, {
        each["what"]: each for each in sorted(found, key=lambda each: order.index(each["level"]))
    }


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KINTSUGI_")}


@pytest.fixture(scope="module")
def used(stack: Any, until: Any) -> Any:
    """The shared one, after some calls of every kind, and long enough to have looked at itself."""
    stack.http.post(stack.exceptions, json=stack.new_exception("operation")).raise_for_status()
    assert stack.http.get(f"{stack.exceptions}/none").status_code == 404
    with stack.http.stream("GET", f"{stack.exceptions}:watch") as answer:
        next(answer.iter_lines())
    own = {"kintsugi_counts_wrong", "kintsugi_sessions_queued"}
    assert until(lambda: own <= served(stack), 30)
    return stack


def test_every_metric_of_the_dashboard_is_served(used: Any) -> None:
    named = {name for each in expressions() for name in METRIC.findall(each)}
    assert len(named) > 10
    assert named <= served(used)


def test_every_label_of_the_dashboard_is_one(used: Any) -> None:
    text = httpx.get(used.metrics).text
    labels = set(re.findall(r"(\w+)=\"", text))
    named = {
        name
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
        + re.findall(r"(\w+)(?:=|!=|=~|!~)\"", target["expr"])
    }
    assert named <= labels


def test_every_metric_of_the_page_is_served(used: Any) -> None:
    table = PAGE.partition("## Metrics")[2].partition("## Logs")[0]
    named = set(METRIC.findall(table)) - {"grpc_server_handling_seconds"}
    assert len(named) > 10
    assert named <= served(used)


def test_calls_are_counted_in_all_processes_by_kind_method_and_code(used: Any, until: Any) -> None:
    wanted = [
        f'{name}{{grpc_code="{code}",grpc_method="{method}",grpc_service="kintsugi.v1.\\w+"'
        f',grpc_type="{kind}"}} [1-9]'
        for name in ("grpc_server_handled_total", "grpc_server_handling_seconds_count")
        for kind, method, code in (
            ("unary", "CreateException", "OK"),
            ("unary", "GetException", "NOT_FOUND"),
            ("server_stream", "WatchExceptions", "CANCELLED"),
        )
    ]

    def missing() -> list[str]:
        text = httpx.get(used.metrics).text
        return [each for each in wanted if not re.search(each, text)]

    assert until(lambda: not missing(), 10), missing()


def test_a_call_is_found_in_the_log_by_what_its_answer_says(stack: Any, until: Any) -> None:
    secret = "swordfish"
    body = stack.new_exception("operation") | {"message": secret, "execution_id": secret}
    headers = {"traceparent": PARENT}
    answer = stack.http.post(stack.exceptions, json=body, headers=headers)
    request_id = answer.headers["x-request-id"]

    def lines() -> Iterator[dict[str, Any]]:
        for log in (stack.data_dir / "log").glob("server-*.log"):
            yield from map(json.loads, log.read_text().splitlines())

    assert until(lambda: [line for line in lines() if line.get("request_id") == request_id], 10)
    [line] = [line for line in lines() if line.get("request_id") == request_id]
    assert line["method"] == "/kintsugi.v1.ExceptionService/CreateException"
    assert line["principal"].startswith("users/")
    assert line["trace_id"] == PARENT.split("-")[1]
    for log in (stack.data_dir / "log").iterdir():
        assert secret not in log.read_text(), log.name
        assert stack.token not in log.read_text(), log.name


def test_a_deployment_that_is_well_is_told_so(stack: Any) -> None:
    code, found = doctor("--data-dir", str(stack.data_dir))
    database = (
        "database encoding clock durability connections transactions schema cluster pg_trgm counts"
    )
    names = f"settings {database} audit sessions disk servers streams pages envoy".split()
    assert {what: each["level"] for what, each in found.items()} == dict.fromkeys(names, "ok")
    assert "`kintsugi audit verify`" in found["audit"]["found"]  # it looks at the chain's end only
    assert code == 0


def test_the_doctor_speaks_plainly_too(stack: Any) -> None:
    words = [KINTSUGI, "doctor", "--data-dir", str(stack.data_dir)]
    env = _without_settings() | {"KINTSUGI_TREADS": "3"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["wrong", "settings", "KINTSUGI_TREADS", "means", "nothing"]
    assert lines[1].strip() == "-> did you mean KINTSUGI_THREADS?"


def test_wrong_settings_are_named(stack: Any) -> None:
    words = ("--data-dir", str(stack.data_dir))
    code, found = doctor(*words, KINTSUGI_THREADS="many")
    assert (code, "KINTSUGI_THREADS" in found["settings"]["found"]) == (1, True)
    code, found = doctor(*words, KINTSUGI_DEADLINE_SECONDS="60")
    assert (code, found["settings"]["level"]) == (0, "warning")
    code, found = doctor(*words, KINTSUGI_THREADS="256")
    assert (code, found["connections"]["level"]) == (1, "wrong")


def test_where_nothing_runs_it_says_what_to_do(tmp_path: Path) -> None:
    code, found = doctor("--data-dir", str(tmp_path), KINTSUGI_SERVER="127.0.0.1:1")
    assert code == 1
    assert "--database-url" in found["database"]["advice"]
    assert "kintsugi up" in found["envoy"]["advice"]
    code, found = doctor("--database-url", "postgresql://127.0.0.1:1/none?password=swordfish")
    assert found["database"]["level"] == "wrong"
    assert "swordfish" not in str(found)


def test_a_database_without_a_schema_is_told_to_migrate(empty_database: str) -> None:
    _, found = doctor("--database-url", empty_database)
    assert found["schema"]["found"].startswith("version none")
    assert "kintsugi migrate" in found["schema"]["advice"]
    assert found["durability"]["found"] == "fsync, full_page_writes, synchronous_commit off"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(
    database_with: Callable[[str], str], encoding: str
) -> None:
    url = database_with(f"encoding '{encoding}' template template0 locale 'C'")
    advice = "createdb --encoding=UTF8 --template=template0"
    for command in ("migrate", "serve"):
        words = [KINTSUGI, command, "--database-url", url]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert f"the database is in {encoding}" in done.stderr
        assert advice in done.stderr
    _, found = doctor("--database-url", url)
    assert found["encoding"]["level"] == "wrong"
    assert advice in found["encoding"]["advice"]


def test_a_restored_database_is_told_to_migrate(database: str) -> None:
    with psycopg.connect(database) as sql:
        sql.execute("UPDATE clusters SET system_identifier = 1")
    _, found = doctor("--database-url", database)
    assert "kintsugi migrate" in found["cluster"]["advice"]


def test_a_missing_extension_is_a_warning(database: str) -> None:
    with psycopg.connect(database) as sql:
        sql.execute("DROP EXTENSION pg_trgm CASCADE")
    _, found = doctor("--database-url", database)
    assert found["pg_trgm"]["level"] == "warning"


def test_changes_that_nobody_seals_are_a_warning(database: str) -> None:
    with psycopg.connect(database) as sql:
        sql.execute(
            "INSERT INTO changes (workspace, principal, method, resource, after, create_time)"
            " SELECT uid, '', '', 'a/b', '{}', now() - interval '3 minutes' FROM workspaces"
        )
    _, found = doctor("--database-url", database)
    assert found["audit"]["level"] == "warning"


def test_sessions_that_no_worker_takes_are_a_warning(database: str) -> None:
    with psycopg.connect(database) as sql:
        sql.execute(
            "INSERT INTO agent_sessions (workspace, id, exception, automation, run, signal, agent,"
            " creator, start, due_time)"
            " SELECT uid, 'left', '', '', '', '', '', '', 1, now() - interval '1 minute'"
            " FROM workspaces"
        )
    _, found = doctor("--database-url", database)
    assert found["sessions"]["level"] == "warning"
    assert found["sessions"]["found"].startswith("1 agent sessions")


def test_a_forgotten_transaction_is_named_with_what_ends_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.store import condition

    with psycopg.connect(database) as forgotten:
        forgotten.execute("SELECT pg_current_xact_id()")
        [(pid,)] = forgotten.execute("SELECT pg_backend_pid()").fetchall()
        text = condition._LONG.text.replace(b"secs => 30", b"secs => 0")
        monkeypatch.setattr(condition._LONG, "text", text)
        [found] = [each for each in condition.examine(database, 1) if each.what == "transactions"]
    assert found.level == "wrong"
    assert f"pg_terminate_backend({pid})" in found.advice


def test_counts_that_are_wrong_are_repaired_by_the_command_that_it_names(database: str) -> None:
    with psycopg.connect(database) as sql:
        sql.execute("INSERT INTO exception_counts SELECT uid, 'a', '', 1, 1, 7 FROM workspaces")
    _, found = doctor("--database-url", database)
    assert found["counts"]["level"] == "wrong"
    [command] = re.findall("`(.*)`", found["counts"]["advice"])
    words = [KINTSUGI, *command.split()[1:], "--database-url", database]
    subprocess.run(words, check=True, timeout=60)
    _, found = doctor("--database-url", database)
    assert found["counts"]["level"] == "ok"


def test_a_dump_restored_elsewhere_has_everything(start_up: Any) -> None:
    """As docs/operating.md says it."""
    first = start_up("--port", "0", "--workers", "1")
    raised = first.http.post(first.exceptions, json=first.new_exception("dumped")).json()
    created = first.described(raised["name"])
    dump = first.data_dir.parent / "kintsugi.dump"
    _run(r'"\$bin/pg_dump".*', first.data_dir, dump)

    second = start_up("--port", "0", "--workers", "1")
    _run(r'"\$bin/pg_restore".*', second.data_dir, dump)
    assert second.stop() == 0
    code, found = doctor("--data-dir", str(second.data_dir))
    assert (code, set(found)) == (1, {"settings", "disk", "kintsugi up"})
    assert "doesn't run" in found["kintsugi up"]["found"]
    second = start_up("--port", "0", "--workers", "1", data_dir=second.data_dir)
    assert second.http.get(f"{second.rest}/api/v1/{created['name']}").json() == created
    assert doctor("--data-dir", str(second.data_dir))[0] == 0


def _run(command: str, data_dir: Path, dump: Path) -> None:
    """A command of the page, with its variables set."""
    [typed] = re.findall(command, PAGE)
    [bin] = re.findall(r"^bin=.*$", PAGE, re.MULTILINE)
    script = f"{bin}\nurl='{url_in(data_dir)}'\n{typed.replace('kintsugi.dump', str(dump))}"
    subprocess.run(["bash", "-ec", script], check=True, timeout=60, cwd=ROOT)
