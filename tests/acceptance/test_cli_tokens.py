"""`kintsugi tokens …` against a running service, and which token the commands call with."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))
TOKEN = "KINTSUGI_TOKEN"

Type = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the commands look for the token that `kintsugi up` keeps."""
    folder = tmp_path / "kintsugi"
    folder.mkdir()
    return folder / "token"


@pytest.fixture
def type_(stack: Any, kept: Path) -> Type:
    """Types `kintsugi …`."""
    given = {TOKEN: stack.token, "KINTSUGI_TOKEN_FILE": "", "XDG_DATA_HOME": str(kept.parents[1])}

    def type_(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [KINTSUGI, *words],
            env=stack.env | given | env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return type_


def make(type_: Type, title: str, *words: str) -> str:
    made = type_("tokens", "create", "--role", "viewer", "--title", title, *words)
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() not in made.stderr
    return made.stdout.strip()


def listed(type_: Type, title: str) -> Any:
    shown = type_("tokens", "list", "--filter", f'title = "{title}"', "--json").stdout
    [token] = map(json.loads, shown.splitlines())
    return token


def test_a_token_is_shown_once_and_good_until_it_is_revoked(
    type_: Type, until: Callable[[Callable[[], bool], float], bool]
) -> None:
    token = make(type_, "to revoke", "--days", "30")
    assert type_("exceptions", "list", **{TOKEN: token}).returncode == 0
    known = listed(type_, "to revoke")
    assert token not in json.dumps(known)
    assert (known["principal"], known["role"]) == ("users/local", "ROLE_VIEWER")
    assert known["expire_time"] > known["create_time"]

    id = known["name"].rpartition("/")[2]
    assert f"token {id} is revoked" in type_("tokens", "revoke", id).stderr
    assert until(lambda: type_("exceptions", "list", **{TOKEN: token}).returncode == 1, 30)
    refused = type_("exceptions", "list", **{TOKEN: token}).stderr
    assert "revoked" in refused
    assert f"that of {TOKEN}" in refused
    [row] = [row for row in type_("tokens", "list").stdout.splitlines() if id in row]
    assert "users/local" in row
    assert "revoked" in row


def test_a_token_may_only_what_its_role_may(type_: Type) -> None:
    token = make(type_, "to read")
    words = ("exceptions", "create", "--automation", "a", "--run", "1", "--message", "it broke")
    refused = type_(*words, **{TOKEN: token})
    assert refused.returncode == 1
    assert "exceptions.create" in refused.stderr
    more = type_("tokens", "create", "--role", "owner", "--title", "more", **{TOKEN: token})
    assert more.returncode == 1
    assert not more.stdout


def test_without_a_token_nothing_is_served(type_: Type) -> None:
    refused = type_("exceptions", "list", **{TOKEN: ""})
    assert refused.returncode == 1
    assert "needs an access token" in refused.stderr
    assert "set KINTSUGI_TOKEN" in refused.stderr
    nothing = type_("tokens", "print", **{TOKEN: ""})
    assert nothing.returncode == 1
    assert "KINTSUGI_TOKEN_FILE" in nothing.stderr


def test_the_token_of_this_machine_is_found(type_: Type, stack: Any, kept: Path) -> None:
    kept.write_text(f"{stack.token}\n")
    assert type_("tokens", "print", **{TOKEN: ""}).stdout == f"{stack.token}\n"
    assert type_("exceptions", "list", **{TOKEN: ""}).returncode == 0
    other = {TOKEN: "", "KINTSUGI_TOKEN_FILE": str(kept), "XDG_DATA_HOME": "/nowhere"}
    assert type_("exceptions", "list", **other).returncode == 0


def test_the_token_of_this_machine_is_sent_to_no_other(type_: Type, stack: Any, kept: Path) -> None:
    """127.1 leads to this machine too, but is a name as any other host's is, and not known here."""
    kept.write_text(f"{stack.token}\n")
    port = stack.grpc[0].rpartition(":")[2]
    elsewhere = {TOKEN: "", "KINTSUGI_SERVER": f"127.1:{port}", "GRPC_DNS_RESOLVER": "native"}
    refused = type_("exceptions", "list", **elsewhere)
    assert refused.returncode == 1
    assert "needs an access token" in refused.stderr
    assert type_("tokens", "print", **elsewhere).returncode == 1
    assert type_("exceptions", "list", **elsewhere | {TOKEN: stack.token}).returncode == 0
