"""What docs/clients.md tells to type does what it says; the other tests here build by its table."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import building
from tests.clients.building import PAGE, ROOT, shell
from tests.clients.program import PATIENCE, Program
from tests.clients.story import Until, raise_one, server_killed, wait_for

BLOCKS = re.findall(r"^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make build/protos.binpb` leaves it."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "proto").symlink_to(ROOT / "proto")
    building.describe(folder / "build")
    return folder


@pytest.fixture
def follow(service: Any, tmp_path: Path) -> Iterator[Any]:
    """Starts something that never ends by itself."""
    started: list[Program] = []

    def follow(*argv: str) -> Program:
        env = with_token(service) | {"PATH": building.PATH, "PYTHONUNBUFFERED": "1"}
        started.append(Program(argv, env, tmp_path / "output"))
        return started[-1]

    yield follow
    for one in started:
        one.kill()


def with_token(service: Any) -> dict[str, str]:
    """The environment behind the page's first line."""
    return service.env | {"KINTSUGI_TOKEN": service.token}


def typed(what: str, service: Any) -> str:
    """The one block of the page that has this in it."""
    [block] = [block for block in BLOCKS if what in block]
    return block.replace("127.0.0.1:8080", service.edge)


@pytest.mark.parametrize("what", ["exceptions?filter=", "ListExceptions\n"])
def test_what_is_pending_is_listed_without_stubs(repository: Path, service: Any, what: str) -> None:
    assert raise_one(service)["name"] in shell(
        typed(what, service), repository, with_token(service)
    )


def test_curl_follows_what_changes(service: Any, follow: Any, until: Until) -> None:
    watching = follow("sh", "-c", f"exec {typed('curl -sN', service)}")
    wait_for('"cursor":', watching, until)
    wait_for(raise_one(service)["name"], watching, until)


def test_a_service_hands_out_its_descriptors(repository: Path, service: Any) -> None:
    shell(typed("-protoset-out", service), repository)
    listed = shell("grpcurl -protoset build/served.binpb list", repository)
    assert "kintsugi.v1.ExceptionService" in listed


def test_python_follows_with_stubs_of_its_own(
    repository: Path, service: Any, follow: Any, until: Until
) -> None:
    shell(typed("--python_out", service), repository)
    program = repository / "build" / "program.py"
    program.write_text(typed("import grpc", service))
    watching = follow("python", str(program))
    wait_for("nothing yet", watching, until)
    wait_for(raise_one(service)["name"], watching, until)


@pytest.mark.skipif(shutil.which("node") is None, reason="it is run by Node.js, which isn't here")
def test_fetch_follows_and_goes_on_where_the_server_was_killed(
    service: Any, follow: Any, until: Until, tmp_path: Path
) -> None:
    program = tmp_path / "program.mjs"
    given = f"const token = {service.token!r};\n"
    program.write_text(given + typed("fetch(", service).replace('"/api', f'"{service.rest}/api'))
    watching = follow("node", str(program))
    assert until(lambda: bool(raise_one(service) and watching.said), PATIENCE)
    with server_killed(service, until):
        pass
    missed = raise_one(service)["name"]
    service.described(missed)
    wait_for(raise_one(service)["name"], watching, until)
    assert watching.said.count(missed) == len(("raised", "described"))
