"""docs/security.md says what is so."""

import re
from pathlib import Path

from server.resources.document import SECURITY, with_roles

TEXT = SECURITY.read_text()
TESTS = Path(__file__).parents[2]


def test_the_table_of_roles_is_the_one_that_holds() -> None:
    assert with_roles(TEXT) == TEXT
    assert "| `exceptions.resolve` |  | yes | yes | yes | yes |  |" in TEXT


def test_the_tests_that_it_names_are_there() -> None:
    named = re.findall(r"`(test_\w+)`", TEXT)
    assert len(named) > 5
    assert [name for name in named if not list(TESTS.glob(f"**/{name}.py"))] == []
