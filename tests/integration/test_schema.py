"""The migrations make just the tables that the code believes in, and can be run again."""

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from server.store.migrate import migrate
from server.store.tables import TransactionId, metadata


def declared(name: str | None, kind: str, _parents: object) -> bool:
    """Trigram indexes are there only where the extension is."""
    return not (kind == "index" and str(name).endswith("_trgm"))


def test_the_migrated_schema_is_the_declared_one(database: str) -> None:
    engine = create_engine(database)
    engine.dialect.ischema_names["xid8"] = TransactionId
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": declared}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_again_changes_nothing(database: str) -> None:
    def rows() -> list[tuple[object, ...]]:
        with psycopg.connect(database) as connection:
            return [
                *connection.execute("SELECT * FROM workspaces").fetchall(),
                *connection.execute("SELECT * FROM clusters").fetchall(),
                *connection.execute("SELECT * FROM alembic_version").fetchall(),
            ]

    before = rows()
    migrate(database)
    assert rows() == before
    assert len(before) == 3


def test_a_restored_database_begins_a_new_epoch(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE clusters SET system_identifier = 1")
    migrate(database)
    with psycopg.connect(database) as connection:
        epochs = connection.execute("SELECT epoch FROM clusters ORDER BY epoch").fetchall()
        [(default,)] = connection.execute(
            "SELECT column_default FROM information_schema.columns"
            " WHERE table_name = 'changes' AND column_name = 'epoch'"
        ).fetchall()
    assert epochs == [(1,), (2,)]
    assert default == "2"
