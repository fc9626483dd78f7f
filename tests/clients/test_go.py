"""The client in Go, built by the go command."""

import shutil
from typing import Any

import pytest

from tests.clients import story
from tests.clients.building import Build
from tests.clients.story import Start, Until

pytestmark = [
    pytest.mark.skipif(shutil.which("go") is None, reason="it is built by go, which isn't here"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def program(build: Build) -> list[str]:
    return build("go")


def test_it_finds_follows_and_resolves_an_exception(
    start: Start, service: Any, until: Until
) -> None:
    story.finds_follows_and_resolves(start, service, until)


def test_it_goes_on_where_the_server_was_killed(start: Start, service: Any, until: Until) -> None:
    story.goes_on_where_the_server_was_killed(start, service, until)


def test_it_says_why_it_fails(start: Start, service: Any) -> None:
    story.says_why_it_fails(start, service)
