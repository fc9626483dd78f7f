"""The `kintsugi` command itself: quick to answer, plain in its errors."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))


def type_(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [KINTSUGI, *words], capture_output=True, text=True, check=False, timeout=60
    )


def test_help_names_every_subcommand() -> None:
    shown = type_("--help").stdout
    for command in ("up", "serve", "migrate", "doctor", "exec", "exceptions", "events"):
        assert f"\n  {command} " in shown


def test_help_and_exec_import_nothing_slow() -> None:
    code = (
        "import sys; sys.argv = ['kintsugi', *sys.argv[1:]]\n"
        "from cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*(name for name in sys.modules if name in ('grpc', 'rich', 'sqlalchemy')))"
    )
    for words in (["--help"], ["exec", "--automation", "a", "--", "true"]):
        argv = [sys.executable, "-c", code, *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.splitlines()[-1] == ""


def test_the_version_is_told() -> None:
    assert type_("--version").stdout.startswith("kintsugi 0")


def test_an_unknown_subcommand_is_wrong_use() -> None:
    refused = type_("excetpions")
    assert refused.returncode == 2
    assert "excetpions" in refused.stderr


def test_ctrl_c_leaves_no_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [KINTSUGI, "exceptions", "list"],
            env={"KINTSUGI_SERVER": f"127.0.0.1:{silent.getsockname()[1]}"},
            stderr=subprocess.PIPE,
        )
        silent.accept()[0].recv(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in said
