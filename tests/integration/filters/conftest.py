"""A database for the filters' own table, in the wheel's server."""

import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from server.launch.postgres import Postgres
from tests.filters_cases import things


@pytest.fixture(scope="session")
def filters_database(postgres: Postgres) -> Iterator[str]:
    name = f"filters_{uuid.uuid4().hex}"
    server = sa.create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
    yield postgres.url(name)
    with server.connect() as connection:
        connection.exec_driver_sql(f"drop database {name} with (force)")
    server.dispose()


@pytest.fixture(scope="session")
def engine(filters_database: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(filters_database)
    things.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """In a transaction that is rolled back."""
    with engine.connect() as made:
        yield made
