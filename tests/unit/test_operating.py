"""docs/operating.md says what is so."""

from server import document
from server.config import Settings

PAGE = document.DOCUMENT.read_text()


def test_the_table_of_settings_is_the_generators() -> None:
    assert document.written(PAGE) == PAGE
    assert document.written(PAGE.replace("| `16` |", "| `17` |")) == PAGE


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert f"| `KINTSUGI_{name.upper()}` |" in PAGE
        assert field.description
