"""Fixtures shared by all tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipelines.catalog.store import Catalog, open_catalog
from rag_pipelines_tests.databases import PostgresServer, empty, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server, started once a test process by the first test that needs it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_catalog_url(postgres: PostgresServer) -> str:
    """URL of the database that the tests of one process share, one after the other."""
    return postgres.create_database()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """URL of an empty Postgres database."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database: a test that asks for it runs on both engines."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog file with its schema and nothing else; copying it is cheaper than making it again."""
    path = tmp_path_factory.mktemp("sqlite") / "catalog.sqlite"
    open_catalog(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog: a test that asks for it runs on both engines."""
    if request.param == "sqlite":
        copied = shutil.copy(request.getfixturevalue("empty_sqlite"), tmp_path / "catalog.sqlite")
        opened = open_catalog(f"sqlite:///{copied}")
        yield opened
        opened.close()
        return
    opened = open_catalog(request.getfixturevalue("postgres_catalog_url"))
    empty(opened)
    yield opened
    opened.close()
