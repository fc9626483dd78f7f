"""A database for the filters' own table, in FILTERS_TEST_DATABASE_URL or the wheel's server."""

import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.filters_cases import things


@pytest.fixture(scope="session")
def filters_database(request: pytest.FixtureRequest) -> Iterator[sa.URL]:
    given = os.environ.get("FILTERS_TEST_DATABASE_URL")
    url = sa.make_url(given or request.getfixturevalue("postgres").url("postgres"))
    name = f"filters_{uuid.uuid4().hex}"
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
        yield url.set(database=name)
        connection.exec_driver_sql(f"drop database {name} with (force)")
    server.dispose()


@pytest.fixture(scope="session")
def engine(filters_database: sa.URL) -> Iterator[sa.Engine]:
    made = sa.create_engine(filters_database)
    things.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """In a transaction that is rolled back."""
    with engine.connect() as made:
        yield made
