"""What a person may type for a name."""

import click
import pytest

from cli import names, terminal
from cli.settings import Server

IN = "organizations/local/workspaces/default"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("KINTSUGI_WORKSPACE", "KINTSUGI_SERVER", "KINTSUGI_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("text", ["0193", "exceptions/0193", f"{IN}/exceptions/0193"])
def test_an_exception_may_be_named_by_id_short_or_full(text: str) -> None:
    assert names.exception(text) == f"{IN}/exceptions/0193"


def test_short_names_are_completed_with_the_workspace_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KINTSUGI_WORKSPACE", "organizations/acme/workspaces/billing")
    assert names.exception("1") == "organizations/acme/workspaces/billing/exceptions/1"
    assert names.run("a", "7") == "organizations/acme/workspaces/billing/automations/a/runs/7"


def test_an_id_alone_is_a_workspace_of_the_first_organization(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KINTSUGI_WORKSPACE", "billing")
    assert names.workspace() == "organizations/local/workspaces/billing"


def test_a_name_outside_the_default_workspace_is_never_shortened() -> None:
    assert names.short(f"{IN}/exceptions/1") == "1"
    other = "organizations/acme/workspaces/billing/exceptions/1"
    assert names.short(other) == other


@pytest.mark.parametrize("text", ["", "a/b", "a b", "-", "exceptions/", "users/ada", "a%2Fb"])
def test_what_can_be_no_name_is_refused_before_any_call(text: str) -> None:
    with pytest.raises(click.UsageError, match="not the name of an exception"):
        names.exception(text)


def test_a_refusal_shows_what_would_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    for refused, wrong, right in (
        (lambda: names.member("a/b"), "'a/b'", f"such as ada, or a full name, such as {IN}/"),
        (lambda: names.run("a/b", "7"), "'a/b' is not the name of an automation", "billing"),
        (lambda: names.run("billing", "7/8"), "'7/8' is not the name of a run", "runs/2026-11-22"),
    ):
        with pytest.raises(click.UsageError) as raised:
            refused()
        assert wrong in raised.value.message
        assert right in raised.value.message
        assert "{" not in raised.value.message
    monkeypatch.setenv("KINTSUGI_WORKSPACE", "a/b")
    with pytest.raises(click.UsageError, match=f"KINTSUGI_WORKSPACE is 'a/b'; .* {IN}"):
        names.workspace()


def test_a_run_may_be_named_by_ids_or_in_full() -> None:
    full = f"{IN}/automations/billing/runs/7"
    assert names.run("billing", "7") == full
    assert names.run("automations/billing", "runs/7") == full
    assert names.run("", full) == full
    with pytest.raises(click.UsageError):
        names.run("bil ling", "7")


@pytest.mark.parametrize(
    ("text", "agent", "expected"),
    [
        ("automations/a/runs/7", "", f"{IN}/automations/a/runs/7/agents/kai"),
        ("automations/a/runs/7", "ada", f"{IN}/automations/a/runs/7/agents/ada"),
        (f"{IN}/automations/a/runs/7", "", f"{IN}/automations/a/runs/7/agents/kai"),
        ("automations/a/runs/7/agents/ada", "", f"{IN}/automations/a/runs/7/agents/ada"),
        ("agentSessions/1", "", f"{IN}/agentSessions/1"),
    ],
)
def test_a_thread_may_be_named_by_its_run_its_agent_or_its_session(
    text: str, agent: str, expected: str
) -> None:
    assert not names.is_exception(text)
    assert names.thread(text, agent) == expected


@pytest.mark.parametrize("text", ["runs/7", "automations/a", "automations/a b/runs/7", "users/ada"])
def test_what_names_no_thread_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(click.UsageError, match="names no thread: it must be an exception"):
        names.thread(text)


def test_the_agent_is_named_once() -> None:
    with pytest.raises(click.UsageError, match="leave --agent out"):
        names.thread("automations/a/runs/7/agents/ada", "kai")


@pytest.mark.parametrize("text", ["0193", "exceptions/0193", f"{IN}/exceptions/0193"])
def test_an_exception_is_told_from_a_thread(text: str) -> None:
    assert names.is_exception(text)


def test_a_user_is_completed_and_nobody_stays_nobody() -> None:
    assert [names.user(text) for text in ("ada", "users/ada", "")] == ["users/ada"] * 2 + [""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", Server("127.0.0.1:8080")),
        ("http://127.0.0.1:8080/", Server("127.0.0.1:8080")),
        ("https://kintsugi.example", Server("kintsugi.example:443", tls=True)),
        ("[::1]:8080", Server("[::1]:8080")),
    ],
)
def test_the_server_may_be_given_as_an_address_or_a_url(text: str, expected: Server) -> None:
    assert Server.parse(text) == expected


@pytest.mark.parametrize("text", ["a/b/c", ":80", "host:port", "ftp://host:1", "http://h:1/api"])
def test_a_server_that_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.ClickException, match=r"as in 127\.0\.0\.1:8080"):
        Server.parse(text)


def test_text_of_others_cannot_act_on_the_terminal() -> None:
    assert terminal.printable("\x1b[2Jx\r\ny\x9b1m\tz\n") == "\\x1b[2Jx\ny\\x9b1m\tz\n"


def test_text_of_others_cannot_turn_the_text_around_it() -> None:
    assert (
        terminal.printable("a\u202eb\u2066c\u200fd\u061ceé") == "a\\u202eb\\u2066c\\u200fd\\u061ceé"
    )


def test_the_command_to_resolve_names_a_server_that_is_not_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["bin/kintsugi"])
    assert terminal.resolve_command(f"{IN}/exceptions/1") == "bin/kintsugi exceptions resolve 1"
    monkeypatch.setenv("KINTSUGI_SERVER", "127.0.0.1:9")
    expected = "KINTSUGI_SERVER=127.0.0.1:9 bin/kintsugi exceptions resolve 1"
    assert terminal.resolve_command(f"{IN}/exceptions/1") == expected
