"""Builds a client in a copy of its folder, by what docs/clients.md says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import google.rpc

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clients.md").read_text()
INCLUDED = Path(next(iter(google.rpc.__path__))).parents[1]
MADE = shutil.ignore_patterns("gen", "target", "dist", "node_modules")

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
"""With buf and python in front, as after the page's first lines."""

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Maven ends before it would gain from what Java optimizes, which takes half of the time."""

Build = Callable[[str], list[str]]


def build(repository: Path, language: str) -> list[str]:
    """Builds it in a repository with nothing else in it; gives what starts the program."""
    [(commands, run)] = re.findall(
        rf"^\| `clients/{language}` \| `(.+?)` \| `(.+?) list` \|", PAGE, re.M
    )
    describe(repository / "build")
    folder = repository / "clients" / language
    shutil.copytree(ROOT / "clients" / language, folder, ignore=MADE)
    shell(commands, folder)
    return ["sh", "-c", f'cd {folder} && exec {run} "$@"', "sh"]


def describe(folder: Path) -> None:
    """What `make build/protos.binpb` does."""
    folder.mkdir()
    includes = f"-I {ROOT / 'proto'} -I {INCLUDED}"
    options = "--include_imports --include_source_info --descriptor_set_out=protos.binpb"
    protos = f"{ROOT / 'proto'}/kintsugi/v1/*.proto"
    shell(f"python -m grpc_tools.protoc {includes} {options} {protos}", folder)


def shell(commands: str, folder: Path, env: Mapping[str, str] = os.environ) -> str:
    """Types commands that must succeed; gives what they said."""
    done = subprocess.run(
        ["sh", "-ec", commands],
        check=False,
        cwd=folder,
        env={**env, "PATH": PATH, "MAVEN_OPTS": QUICK_JAVA},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
