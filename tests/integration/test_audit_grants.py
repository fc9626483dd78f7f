"""Servers that use the database as a role of their own can't change what was sealed."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import errors, sql

from server.app import Server
from server.config import Settings
from server.database import CannotRun, migrate
from tests.integration.auditing import Audit
from tests.integration.client import Client

ROLE = 'kintsugi "app"'
SEALED = ("audit_entries", "audit_seals", "pruned_audit_entries")


@pytest.fixture
def app_url(database: str) -> Iterator[str]:
    """The URL of the database for a role that only has what `migrate` grants it."""
    role = sql.Identifier(ROLE)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        migrate(database, ROLE)
        yield re.sub(r"(?<=user=)\w+", quote(ROLE), database)
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture
def client(app_url: str) -> Iterator[Client]:
    server = Server(Settings(database_url=app_url, grpc_port=0, grace_seconds=1))
    client = Client(server.start())
    yield client
    client.channel.close()
    server.stop()


@pytest.fixture
def audited(client: Client, app_url: str) -> Iterator[Audit]:
    """Does all as the role of the servers."""
    made = Audit(client, app_url)
    yield made
    made.close()


def test_a_server_works_with_what_it_is_granted(client: Client, audited: Audit) -> None:
    raised = client.raise_one()
    client.resolve(raised.name, resolution_note="Add the total.")
    assert len(audited.sealed()) == 3
    assert audited.broken() is None


@pytest.mark.parametrize("table", SEALED)
@pytest.mark.parametrize(
    "statement", ["DELETE FROM {}", "UPDATE {} SET hash = ''", "TRUNCATE {}", "DROP TABLE {}"]
)
def test_a_server_can_change_nothing_that_was_sealed(
    client: Client, audited: Audit, table: str, statement: str
) -> None:
    client.raise_one()
    audited.seal()
    with pytest.raises(errors.InsufficientPrivilege):
        audited.sql(statement.format(table))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO pruned_audit_entries VALUES (gen_random_uuid(), 1, '', now())",
        (
            "INSERT INTO audit_seals (workspace, id, hash, epoch, xid, change, create_time)"
            " VALUES (gen_random_uuid(), 1, '', 1, '1', 1, '2000-01-01')"
        ),
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        (
            "CREATE OR REPLACE FUNCTION prune_audit_entries(days integer) RETURNS bigint"
            " LANGUAGE sql RETURN 1"
        ),
        "UPDATE clusters SET epoch = 7",
    ],
)
def test_a_server_can_prepare_no_pruning(audited: Audit, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        audited.sql(statement)


def test_a_server_can_prune_what_is_old_enough(
    client: Client, audited: Audit, database: str
) -> None:
    client.raise_one()
    audited.seal()
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE audit_seals SET create_time = now() - interval '31 days'")
    with pytest.raises(errors.RaiseException):
        audited.sql("SELECT prune_audit_entries(1)")
    assert audited.sql("SELECT prune_audit_entries(30)") == [(1,)]
    assert audited.kept() == []


def test_tables_of_its_own_deceive_no_pruning(client: Client, audited: Audit) -> None:
    client.raise_one()
    audited.seal()
    with psycopg.connect(audited.url) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE audit_seals AS SELECT workspace, id, hash, epoch, xid, change,"
            " timestamptz '2000-01-01' AS create_time FROM audit_seals"
        )
        [(pruned,)] = connection.execute("SELECT prune_audit_entries(30)").fetchall()
    assert pruned == 0
    assert len(audited.kept()) == 1


def test_granting_again_changes_nothing(client: Client, audited: Audit, database: str) -> None:
    migrate(database, ROLE)
    client.raise_one()
    assert len(audited.sealed()) == 1


def test_a_role_that_isnt_there_is_refused(database: str) -> None:
    with pytest.raises(CannotRun, match="there is no role nobody"):
        migrate(database, "nobody")
