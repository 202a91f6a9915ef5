"""Opening, upgrading, refusing; transactions and what they leave behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from rag_pipelines.catalog import documents, store
from rag_pipelines.catalog.control_tables import metadata
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import HEAD, Catalog, open_catalog, reading
from rag_pipelines.core.errors import CatalogError
from rag_pipelines_tests.catalog.rows import listed, save

OPEN_ON_SIGNAL = """
import sys
from rag_pipelines.catalog.store import open_catalog
import alembic.command
print("ready", flush=True)
sys.stdin.readline()
catalog = open_catalog(sys.argv[1])
with catalog.begin() as tx:
    print(tx.exec_driver_sql("SELECT version_num FROM alembic_version").scalar(), flush=True)
"""


def migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    return config


def test_the_migrations_make_the_tables_of_the_code(catalog: Catalog) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    with catalog.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        assert set(sa.inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_the_newest_revision_is_the_one_that_the_code_names() -> None:
    assert ScriptDirectory.from_config(migrations()).get_current_head() == HEAD


def test_the_migrations_can_be_taken_back(database_url: str) -> None:
    catalog = open_catalog(database_url)
    config = migrations()
    with catalog.engine.begin() as tx:
        config.attributes["connection"] = tx
        command.downgrade(config, "base")
    with catalog.engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    open_catalog(database_url).close()
    save(catalog, listed("a.md"))
    catalog.close()


def test_a_catalog_of_an_earlier_version_is_brought_up_to_date(database_url: str) -> None:
    """What was staged before lacks what points are rebuilt from: it is kept, and staged anew."""
    config, engine = migrations(), store.create_engine(database_url)
    with engine.begin() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, "0001")
        tx.execute(sa.text("INSERT INTO sources (source, shards) VALUES ('handbook', 4)"))
        tx.execute(
            sa.text(
                "INSERT INTO index_documents (index_name, doc_id, source, shard, chunk_count, staged_key)"
                " VALUES ('knowledge', 'a', 'handbook', 0, 2, 'key')"
            )
        )
    engine.dispose()
    catalog = open_catalog(database_url)
    with catalog.begin() as tx:
        rows = tx.execute(sa.text("SELECT doc_id, chunk_count, point_count, staged_key FROM index_documents"))
        assert [tuple(row) for row in rows] == [("a", 2, 0, None)]
        assert tx.execute(sa.text("SELECT tick FROM sources")).scalar() == 0
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    catalog.close()


def test_opening_again_keeps_what_is_there(database_url: str) -> None:
    first = open_catalog(database_url)
    save(first, listed("a.md"))
    second = open_catalog(database_url)
    assert documents.source_row(second, "handbook") is not None
    first.close()
    second.close()


def test_opening_from_several_processes_at_once_makes_one_schema(database_url: str) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_ON_SIGNAL, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    outcomes = [opener.communicate(timeout=120) for opener in openers]
    assert [(out, error) for out, error in outcomes] == [(f"{HEAD}\n", "")] * 4
    catalog = open_catalog(database_url)
    with catalog.begin() as tx:
        assert tx.execute(sa.text("SELECT count(*) FROM alembic_version")).scalar() == 1
    catalog.close()


def test_a_catalog_of_a_newer_program_is_left_alone(database_url: str) -> None:
    catalog = open_catalog(database_url)
    with catalog.begin() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    catalog.close()
    with pytest.raises(CatalogError, match=r"has schema 9999, which this version does not know; install"):
        open_catalog(database_url)


def test_postgres_is_driven_by_psycopg2(postgres_url: str) -> None:
    assert postgres_url.startswith("postgresql://")
    catalog = open_catalog(postgres_url)
    assert catalog.dialect == "postgresql"
    assert catalog.engine.url.drivername == "postgresql+psycopg2"
    catalog.close()


def test_sqlite_writes_ahead_and_durably(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path / 'new' / 'folder' / 'catalog.sqlite'}")
    with catalog.begin() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    catalog.close()


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(CatalogError) as caught:
        open_catalog("postgresql://ana:hunter2@127.0.0.1:1/rag")
    assert str(caught.value).startswith(
        "the catalog at postgresql+psycopg2://ana:***@127.0.0.1:1/rag cannot be opened: "
    )
    assert "Connection refused" in str(caught.value)
    assert "check RAG_DATABASE_URL, that the server runs" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "RAG_DATABASE_URL is not a database URL; write sqlite:////absolute/path or"),
        ("postgresql://host:hunter2/rag", "RAG_DATABASE_URL is not a database URL"),
        ("mysql://host/rag", r"the catalog runs on SQLite or Postgres \(through psycopg2\), not on mysql"),
        ("postgresql+asyncpg://host/rag", r"not on postgresql\+asyncpg; write sqlite:"),
        ("sqlite://", "a catalog in memory would be a different one in every thread"),
        ("sqlite:///:memory:", "a catalog in memory would be a different one in every thread"),
    ],
)
def test_a_wrong_url_is_explained(url: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message) as caught:
        open_catalog(url)
    assert caught.value.__cause__ is None
    assert "hunter" not in f"{caught.value}{caught.value.__context__}"


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"somebody's letters" * 1000)
    with pytest.raises(
        CatalogError, match=r"cannot be opened: file is not a database; check .* is a catalog"
    ):
        open_catalog(f"sqlite:///{path}")
    assert path.read_bytes() == b"somebody's letters" * 1000


def test_a_folder_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").mkdir()
    with pytest.raises(CatalogError, match="cannot be opened: unable to open database file; check that"):
        open_catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


def test_a_folder_that_cannot_be_created_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match=r"file/home cannot be created: Not a directory; set RAG_HOME to"):
        open_catalog(f"sqlite:///{tmp_path / 'file' / 'home' / 'catalog.sqlite'}")


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may write anywhere: step down to a user who may not, for the length of the block."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_cannot_be_written_is_explained(existing: bool) -> None:
    with tempfile.TemporaryDirectory() as home:
        url = f"sqlite:///{home}/catalog.sqlite"
        if existing:
            sqlite3.connect(f"{home}/catalog.sqlite").execute("CREATE TABLE other (id INTEGER)")
        Path(home).chmod(0o555)
        try:
            with somebody_else(), pytest.raises(CatalogError) as caught:
                open_catalog(url)
        finally:
            Path(home).chmod(0o755)
    assert str(caught.value).startswith(f"the catalog at {url} cannot be opened: ")
    assert "check that the folder is writable" in str(caught.value)


def test_an_exception_leaves_nothing(catalog: Catalog) -> None:
    def fail() -> None:
        with catalog.begin() as tx:
            register_source(tx, "handbook", 4)
            documents.save_listed(tx, [listed(f"{number}.md") for number in range(600)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert documents.source_row(catalog, "handbook") is None
    with reading(catalog.engine) as tx:
        assert list(documents.live_documents(tx, "handbook")) == []


def test_readers_do_not_wait_for_a_writer_and_do_not_see_its_work(catalog: Catalog) -> None:
    save(catalog, listed("a.md"))
    with catalog.begin() as tx:
        documents.update_source(tx, "handbook", error="half done")
        before = documents.source_row(catalog, "handbook")
        assert before is not None
        assert before["error"] is None
    after = documents.source_row(catalog, "handbook")
    assert after is not None
    assert after["error"] == "half done"


def test_a_reader_sees_one_state_however_long_it_reads(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    save(catalog, listed("a.md"))
    with reading(catalog.engine) as tx:
        assert len(list(documents.live_documents(tx, "handbook"))) == 1
        save(catalog, listed("b.md"))
        assert len(list(documents.live_documents(tx, "handbook"))) == 1
    catalog.close()


def test_the_url_that_people_see_has_no_password(tmp_path: Path) -> None:
    catalog = Catalog(store.create_engine("postgresql://ana:hunter2@db/rag"))
    assert catalog.url == "postgresql+psycopg2://ana:***@db/rag"
    catalog.close()
