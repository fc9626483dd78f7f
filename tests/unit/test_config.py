"""Which variables of the environment mean something."""

import pytest
from pydantic import ValidationError

from server.config import Settings, unknown_variables, wrong_values


def test_a_mistyped_setting_is_told_and_a_secret_of_a_connector_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("KINTSUGI_SECRETS_DIRS", "KINTSUGI_SECRET_BILLING", "KINTSUGI_SECRETS_DIR"):
        monkeypatch.setenv(name, "x")
    found = unknown_variables()
    assert "KINTSUGI_SECRETS_DIRS" in found
    assert not {"KINTSUGI_SECRET_BILLING", "KINTSUGI_SECRETS_DIR"} & set(found)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("KINTSUGI_THREADS", "many", "must be a valid integer"),
        ("KINTSUGI_LOG_LEVEL", "loud", "must be 'debug', 'info', 'warning' or 'error'"),
        ("KINTSUGI_AUDIT_RETENTION_DAYS", "3", "must be 0, for ever, or at least 30"),
    ],
)
def test_a_setting_with_a_wrong_value_is_told_by_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as raised:
        Settings(database_url="postgresql:///")
    assert wrong_values(raised.value) == [f"{variable} {told}"]
