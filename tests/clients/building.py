"""Builds a client in a copy of its folder, as docs/clients.md says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import google.rpc

ROOT = Path(__file__).parents[2]
INCLUDED = Path(next(iter(google.rpc.__path__))).parents[1]
MADE = shutil.ignore_patterns("gen", "target", "dist", "node_modules")

Build = Callable[..., Path]


def build(repository: Path, language: str, *commands: str) -> Path:
    """Runs the commands in the copy of the client's folder, and gives that."""
    describe(repository / "build")
    folder = repository / "clients" / language
    shutil.copytree(ROOT / "clients" / language, folder, ignore=MADE)
    for command in commands:
        run(command.split(), folder)
    return folder


def describe(folder: Path) -> None:
    """What `make build/protos.binpb` does."""
    folder.mkdir()
    protos = sorted(str(path) for path in (ROOT / "proto/kintsugi").rglob("*.proto"))
    options = ["--include_imports", "--include_source_info", "--descriptor_set_out=protos.binpb"]
    includes = ["-I", str(ROOT / "proto"), "-I", str(INCLUDED)]
    run([sys.executable, "-m", "grpc_tools.protoc", *includes, *options, *protos], folder)


def run(argv: list[str], folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv,
        check=False,
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
