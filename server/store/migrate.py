"""Brings a database's schema to the newest version, and notices a restored database.

The steps are in `migrations/versions/`; each is written for one database alone in the world.
Whether it is there is asked in `schema.py`.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from server.domain.exception_groups import GROUPS
from server.store.schema import check_encoding, engine_of

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x6B696E7473756769  # "kintsugi": one process migrates, the others wait
_DEFAULT_WORKSPACE = text(
    """
    WITH made AS (
        INSERT INTO workspaces (uid, organization, id, title, features)
        VALUES (gen_random_uuid(), 'local', 'default', 'Default', '{agent_ai}')
        ON CONFLICT (organization, id) DO NOTHING
        RETURNING uid
    )
    INSERT INTO exception_groups (workspace, id)
    SELECT uid, unnest(CAST(:groups AS text[])) FROM made
    """
)


_GRANTS = """
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
    GRANT USAGE ON SCHEMA {schema} TO {role};
    REVOKE INSERT, UPDATE, DELETE ON alembic_version, clusters FROM {role};
    REVOKE INSERT, UPDATE, DELETE ON pruned_audit_entries FROM {role};
    REVOKE UPDATE, DELETE ON audit_entries FROM {role};
    REVOKE INSERT, UPDATE, DELETE ON audit_seals FROM {role};
    -- Not its time: what seems old could be pruned.
    GRANT INSERT (workspace, id, hash, epoch, xid, change) ON audit_seals TO {role};
    GRANT EXECUTE ON FUNCTION prune_audit_entries TO {role};
"""


class NoSuchRole(Exception):
    """The role that is to use the database doesn't exist."""


def migrate(url: str, app_role: str = "") -> None:
    """Creates or upgrades the schema and the default workspace; does nothing where both are there.

    `app_role` is granted what servers need, and not more: of the audit it can change nothing.
    Raises sqlalchemy.exc.OperationalError where the database can't be reached, WrongEncoding,
    NoSuchRole.
    """
    engine = engine_of(url)
    try:
        with engine.begin() as connection:
            check_encoding(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _begin_epoch_if_restored(connection)
            connection.execute(_DEFAULT_WORKSPACE, {"groups": list(GROUPS)})
            if app_role:
                _grant(connection, app_role)
    finally:
        engine.dispose()


def _begin_epoch_if_restored(connection: Connection) -> None:
    """Transaction numbers start again in another cluster: there, a new epoch goes before them."""
    system = connection.scalar(text("SELECT system_identifier FROM pg_control_system()"))
    newest = connection.execute(
        text("SELECT epoch, system_identifier FROM clusters ORDER BY epoch DESC LIMIT 1")
    ).one_or_none()
    if newest is not None and newest.system_identifier == system:
        return
    epoch = 1 if newest is None else newest.epoch + 1
    connection.execute(
        text("INSERT INTO clusters VALUES (:epoch, :system, now())"),
        {"epoch": epoch, "system": system},
    )
    connection.execute(text(f"ALTER TABLE changes ALTER COLUMN epoch SET DEFAULT {int(epoch)}"))


def _grant(connection: Connection, role: str) -> None:
    known = text("SELECT current_schema() FROM pg_roles WHERE rolname = :role")
    schema = connection.scalar(known, {"role": role})
    if schema is None:
        raise NoSuchRole(role)
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(_GRANTS.format(schema=quote(schema), role=quote(role)))
