"""What is on disk after a run: the catalog's rows, the engine's points and the blobs, and how they fit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog import collection_rows, recovery, versions
from rag_pipelines.catalog.store import reading
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer
from rag_pipelines_tests.pipeline.zygote import INDEX
from rag_pipelines_tests.project import Project

KEPT_ROWS = {
    "versions": "SELECT number, status, parent, collection, stats FROM index_versions",
    "pointer": "SELECT published, collection, pinned FROM indexes",
    "approvals": "SELECT source, status, decided_by FROM approvals",
    "documents": "SELECT source, uri, live, version, parsed_hash, acl FROM documents",
    "quarantine": "SELECT stage, uri, input FROM quarantine",
    "chunks": "SELECT chunk_id, ordinal, embed_hash FROM chunks",
    "vectors": "SELECT embed_hash, model_fp FROM embeddings",
    "members": "SELECT doc_id, parsed_hash, policy, cluster, representative, similarity FROM members",
    "staged": "SELECT doc_id, chunk_count, point_count, collection, access_key FROM index_documents",
}


def kept_rows(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    """What the catalog says in the end of versions, decisions and documents, but for times and ticks."""
    with project.workspace() as workspace:
        return {name: sorted(_rows(workspace, statement), key=repr) for name, statement in KEPT_ROWS.items()}


def assert_consistent(project: Project) -> None:
    """Engine and catalog hold the same points with the same lifetimes and rights, and nothing is half done."""
    assert_sound_blobs(project)
    with project.workspace() as workspace:
        rows = _rows(workspace, "SELECT collection, point_id, added, removed, dirty FROM points")
        assert [row for row in rows if row[4]] == []
        known = collection_rows.collections_of(workspace.catalog, INDEX)
        engine = project.home / "engine"
        assert {path.name for path in engine.iterdir() if path.is_dir()} == {
            row["collection"] for row in known
        }
        for row in known:
            collection = row["collection"]
            snapshots = {path.name for path in (engine / collection / "snapshots").glob("0*")}
            assert set(row["snapshots"]) <= snapshots
            with opened_writer(workspace, collection) as writer:
                held = {
                    (point.point_id, point.payload["added"], point.payload["removed"])
                    for point in writer.scroll()
                }
            assert held == {row[1:4] for row in rows if row[0] == collection}
        assert recovery.wrong_totals(workspace.catalog, INDEX) == []
        assert _rows(workspace, "SELECT source FROM staging") == []
        assert versions.hidden_documents(workspace.catalog, INDEX) == []
        assert not versions.refresh_requested(workspace.catalog, INDEX)


def assert_sound_blobs(project: Project) -> None:
    """Every blob that a row names is there, and every blob that is there is whole."""
    with project.workspace() as workspace:
        for name in workspace.blobs.iterate():
            workspace.blobs.get(name)
        for raw, parsed in _rows(
            workspace, "SELECT raw_hash, parsed_hash FROM documents WHERE raw_hash IS NOT NULL"
        ):
            workspace.blobs.get(raw)
            workspace.blobs.get_parsed(parsed)


def count_vectors(project: Project) -> int:
    """Vectors that the catalog holds."""
    with project.workspace() as workspace:
        return int(_rows(workspace, "SELECT count(*) FROM embeddings")[0][0])


def lose_unflushed(project: Project, durable: Path) -> None:
    """Put every collection back to its last flush."""
    kept = {path.name for path in durable.iterdir()} if durable.exists() else set()
    for name in kept:
        shard = project.home / "engine" / name / "writer"
        shutil.rmtree(shard, ignore_errors=True)
        subprocess.run(["cp", "-a", durable / name, shard], check=True)


def _rows(workspace: Workspace, statement: str) -> list[tuple[Any, ...]]:
    with reading(workspace.catalog.engine) as tx:
        return [tuple(row) for row in tx.execute(sa.text(statement))]
