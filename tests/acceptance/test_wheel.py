"""The built wheel, installed into an empty environment elsewhere, starts by itself."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from server.launch import child
from server.launch.child import Child

ROOT = Path(__file__).resolve().parents[2]


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=300)


@pytest.fixture
def environment(tmp_path):
    """An environment that has the wheel and what it needs, and nothing of this repository."""
    python = sys.executable
    run(python, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    [wheel] = tmp_path.glob("*.whl")
    uv = str(Path(python).with_name("uv"))  # takes a sixth of pip's time
    run(uv, "venv", "--python", python, str(tmp_path / "environment"))
    run(uv, "pip", "install", "--python", str(tmp_path / "environment"), str(wheel))
    return tmp_path / "environment"


@pytest.mark.timeout(400)
def test_an_installed_wheel_serves(environment, tmp_path, until):
    ready = tmp_path / "ready.json"
    argv = [str(environment / "bin/kintsugi"), "up", "--port", "0", "--ready-file", str(ready)]
    env = {"HOME": str(tmp_path), "PATH": os.defpath}
    up = Child("kintsugi up", [*argv, "--workers", "1"], log=tmp_path / "up.log", env=env)
    up.start()
    try:
        assert until(ready.exists, 60), up.last_words()
        served = json.loads(ready.read_text())
        headers = {"authorization": f"Bearer {served['token']}"}
        url = f"{served['rest']}/api/v1/{served['workspace']}"
        workspace = httpx.get(url, headers=headers).json()
        assert workspace["name"] == served["workspace"]
        assert "Kintsugi API" in httpx.get(f"{served['rest']}/docs").text
        assert "paths" in httpx.get(f"{served['rest']}/openapi.json").json()
    finally:
        child.stop([up], [(signal.SIGINT, 10), (signal.SIGKILL, 1)])
