"""What a log line may hold."""

import psycopg
import pytest
import structlog

from server.logs import without_rows


def test_the_traceback_of_a_databases_error_shows_no_row(database: str) -> None:
    with psycopg.connect(database) as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute(
            "INSERT INTO exception_groups (workspace, id, default_assignee)"
            " SELECT uid, 'swordfish\nand\n\nmore', NULL FROM workspaces"
        )
    error = raised.value
    line = structlog.processors.format_exc_info(None, "error", {"exc_info": error})
    assert "swordfish" in line["exception"]
    written = without_rows(None, "error", line)["exception"]
    assert "swordfish" not in written
    assert "more" not in written
    assert "default_assignee" in written
