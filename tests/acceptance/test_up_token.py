"""The owner's token that `kintsugi up` makes, shows and keeps."""

import json
import stat
import subprocess
import sys
from pathlib import Path

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))
FLAGS = ("--port", "0", "--workers", "1")


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def files_with(text: str, directory: Path) -> list[Path]:
    files = [file for file in directory.rglob("*") if file.is_file()]
    return [file for file in files if text.encode() in file.read_bytes()]


def test_the_token_is_shown_once_and_kept_where_only_the_user_reads_it(start_up, until):
    first = start_up(*FLAGS)
    kept = first.data_dir / "token"
    assert kept.read_text() == f"{first.token}\n"
    assert mode(kept) == 0o600
    assert json.loads(first.ready_file.read_text())["token"] == first.token
    assert mode(first.ready_file) == 0o600
    assert until(lambda: first.token in first.output.read_text(), 10)
    assert first.output.read_text().count(first.token) == 1

    damaged = f"{first.token[:-1]}!"
    assert first.http.get(first.exceptions).status_code == 200
    wrong = {"authorization": f"Bearer {damaged}"}
    assert first.http.get(first.exceptions, headers=wrong).status_code == 401
    assert first.stop() == 0
    assert files_with(first.token[:-1], first.data_dir) == [kept]

    second = start_up(*FLAGS, data_dir=first.data_dir)
    assert second.token == first.token
    assert until(lambda: "Ctrl-C" in second.output.read_text(), 10)
    assert second.token not in second.output.read_text()
    assert second.http.get(second.exceptions).status_code == 200


def test_a_token_that_was_revoked_is_replaced_at_the_next_start(start_up, until):
    first = start_up(*FLAGS)
    tokens = f"{first.rest}/api/v1/{first.workspace}/accessTokens"
    [made] = first.http.get(tokens).json()["access_tokens"]
    revoke = [KINTSUGI, "tokens", "revoke", made["name"]]
    subprocess.run(revoke, env=first.env, check=True, timeout=60)
    assert first.stop() == 0

    second = start_up(*FLAGS, data_dir=first.data_dir)
    assert second.token != first.token
    assert until(lambda: second.token in second.output.read_text(), 10)
    assert second.output.read_text().count(second.token) == 1
    assert mode(second.data_dir / "token") == 0o600
    assert second.http.get(second.exceptions).status_code == 200
    old = {"authorization": f"Bearer {first.token}"}
    assert second.http.get(second.exceptions, headers=old).status_code == 401
