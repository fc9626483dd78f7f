"""Which variables of the environment mean something."""

import pytest

from server.config import unknown_variables


def test_a_mistyped_setting_is_told_and_a_secret_of_a_connector_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("KINTSUGI_SECRETS_DIRS", "KINTSUGI_SECRET_BILLING", "KINTSUGI_SECRETS_DIR"):
        monkeypatch.setenv(name, "x")
    found = unknown_variables()
    assert "KINTSUGI_SECRETS_DIRS" in found
    assert not {"KINTSUGI_SECRET_BILLING", "KINTSUGI_SECRETS_DIR"} & set(found)
