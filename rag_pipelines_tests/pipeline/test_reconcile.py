"""The engine is a copy: lost or changed behind the catalog's back, it is made right again without embedding."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import collection_rows, versions
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.tables import collection_totals, documents, embeddings, points
from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.ports import CollectionWriter
from rag_pipelines.core.types import CURRENT, FloatArray, Point, StoredPoint
from rag_pipelines.index.edge_shard import EdgeWriter
from rag_pipelines.index.server import ServerEngine
from rag_pipelines.pipeline import compare
from rag_pipelines.pipeline import reconcile as reconciling
from rag_pipelines.pipeline.rebuild import alike
from rag_pipelines.pipeline.reconcile import COUNTS, ReconcileReport, reconcile
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer
from rag_pipelines_tests.pipeline.conftest import LEAVE
from rag_pipelines_tests.pipeline.prepared import one_version, rolled_back_while_busy, three_versions
from rag_pipelines_tests.project import STAFF, Project

STRAY = "00000000-0000-4000-8000-000000000000"


def reconciled(project: Project, *, repair: bool = True) -> ReconcileReport:
    with project.workspace() as workspace:
        return reconcile(workspace, "knowledge", repair=repair)


def faults(report: ReconcileReport) -> dict[str, int]:
    """Every count that is not 0, less those of what is there."""
    found = report.as_json()
    return {name: found[name] for name in (*COUNTS[2:], "embedded", "unrepairable_count") if found[name]}


@contextmanager
def behind_the_back(project: Project) -> Iterator[tuple[CollectionWriter, dict[str, StoredPoint]]]:
    """The writer of the live collection and its points by uri, for one chunk a document."""
    with project.workspace() as workspace, opened_writer(workspace, collection_of(workspace)) as writer:
        yield writer, {str(point.payload["uri"]): point for point in writer.scroll(with_vectors=True)}


def collection_of(workspace: Workspace) -> str:
    live = versions.pointer(workspace.catalog, "knowledge")
    assert live is not None
    return live.collection


def vectors(project: Project, version: int) -> dict[str, tuple[FloatArray, list[int]]]:
    """chunk_id -> dense vector and terms."""
    with project.searchers() as searchers:
        _, reader, shown = searchers.get("knowledge").scroll_reader(version)
        return {
            str(point.payload["chunk_id"]): (point.dense, point.sparse.indices.tolist())
            for point in reader.scroll(shown, with_vectors=True)
            if point.dense is not None and point.sparse is not None
        }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One version."""
    return one_version(tmp_path)


@pytest.fixture
def grown(tmp_path: Path) -> Project:
    """Three versions."""
    return three_versions(tmp_path)


def test_a_healthy_index_is_right_and_left_alone(grown: Project) -> None:
    with grown.workspace() as workspace:
        before = versions.pointer(workspace.catalog, "knowledge")

    report = reconciled(grown)

    assert report.right
    assert faults(report) == {}
    (part,) = report.collections
    assert part.counts["points"] == part.counts["engine_points"] > len(grown.visible())
    with grown.workspace() as workspace:
        assert versions.pointer(workspace.catalog, "knowledge") == before


def test_a_lost_engine_is_rebuilt_for_every_version_without_embedding(grown: Project) -> None:
    before = {number: grown.visible(number) for number in (1, 2, 3)}
    meant = {number: vectors(grown, number) for number in (1, 2, 3)}
    assert before[1] != before[2] != before[3]
    shutil.rmtree(grown.environment.engine_dir)

    report = reconciled(grown)

    (part,) = report.collections
    assert part.dropped
    assert part.lost_snapshot
    assert faults(report) == {"missing": part.counts["points"]}
    assert {number: grown.visible(number) for number in (1, 2, 3)} == before
    for number in (1, 2, 3):
        again = vectors(grown, number)
        assert again.keys() == meant[number].keys()
        for chunk, (dense, terms) in meant[number].items():
            assert float(np.dot(dense, again[chunk][0])) > 0.9995
            assert again[chunk][1] == terms
    assert reconciled(grown).right
    assert grown.sync()["sources"]["docs"]["embedded"] == 0


def test_points_changed_behind_the_back_are_put_right(project: Project) -> None:
    before = project.visible()
    with behind_the_back(project) as (writer, there):
        writer.delete([there["travel.md"].point_id])
        writer.set_payload([there["pump.md"].point_id], {"text": "Nothing is blocked.", "acl": ["*"]})
        writer.set_payload([there["leave.md"].point_id], {"removed": 1})
        stray = there["travel.md"]
        assert stray.dense is not None
        writer.upsert([Point(STRAY, stray.dense, None, {**stray.payload, "text": "made up"})])

    report = reconciled(project)

    assert faults(report) == {
        "missing": 1,
        "stray": 1,
        "wrong_payload": 1,
        "wrong_rights": 1,
        "wrong_versions": 1,
    }
    assert project.visible() == before
    assert reconciled(project).right


def test_an_extra_key_and_a_vector_of_zeros_are_wrong(project: Project) -> None:
    before = project.visible()
    meant = vectors(project, 1)
    with behind_the_back(project) as (writer, there):
        writer.set_payload([there["travel.md"].point_id], {"classified": "no"})
        pump = there["pump.md"]
        assert pump.dense is not None
        writer.upsert([Point(pump.point_id, np.zeros_like(pump.dense), pump.sparse, dict(pump.payload))])

    report = reconciled(project)

    assert faults(report) == {"wrong_payload": 1, "wrong_vectors": 1}
    assert project.visible() == before
    chunk = str(pump.payload["chunk_id"])
    assert float(np.dot(vectors(project, 1)[chunk][0], meant[chunk][0])) > 0.9995


def test_report_only_changes_nothing(project: Project) -> None:
    with behind_the_back(project) as (writer, there):
        writer.delete([there["travel.md"].point_id])
        writer.set_payload([there["pump.md"].point_id], {"title": "Pumpe"})

    first, second = reconciled(project, repair=False), reconciled(project, repair=False)

    assert faults(first) == faults(second) == {"missing": 1, "wrong_payload": 1}
    assert not first.as_json()["repaired"]
    with behind_the_back(project) as (_, left):
        assert "travel.md" not in left
        assert left["pump.md"].payload["title"] == "Pumpe"
    shutil.rmtree(project.environment.engine_dir)
    report = reconciled(project, repair=False)
    assert report.collections[0].dropped
    assert report.as_json()["missing"] == report.as_json()["points"] > 0
    assert not project.environment.engine_dir.exists()


def test_a_missing_payload_index_is_made_again(project: Project) -> None:
    import qdrant_edge

    with behind_the_back(project) as (writer, _):
        assert isinstance(writer, EdgeWriter)
        writer._opened().update(qdrant_edge.UpdateOperation.delete_field_index("acl"))

    assert reconciled(project).collections[0].missing_payload_indexes == ("acl",)

    assert reconciled(project).right
    with behind_the_back(project) as (writer, _):
        assert writer.missing_indexes() == []


def test_publishing_makes_an_index_that_an_older_collection_lacks(project: Project) -> None:
    import qdrant_edge

    with behind_the_back(project) as (writer, _):
        assert isinstance(writer, EdgeWriter)
        writer._opened().update(qdrant_edge.UpdateOperation.delete_field_index("text_hash"))
        assert writer.missing_indexes() == ["text_hash"]
    project.write("new.md", "# New\n\nA page about compressors.\n")
    project.sync()
    with behind_the_back(project) as (writer, _):
        assert writer.missing_indexes() == []


def test_a_collection_that_the_catalog_does_not_know_is_dropped_and_others_are_not(project: Project) -> None:
    ours, foreign = "knowledge_0123456789abcdef", "knowledge_old_0123456789abcdef"
    with project.workspace() as workspace:
        row = collection_rows.collections_of(workspace.catalog, "knowledge")[0]
        space = _space(workspace, row["collection"])
        for name in (ours, foreign):
            workspace.engine.writer(name, space).close()

    assert reconciled(project, repair=False).stray_collections == (ours,)
    assert reconciled(project).stray_collections == (ours,)

    with project.workspace() as workspace:
        assert set(workspace.engine.collections()) == {foreign, row["collection"]}


def test_only_the_vector_that_the_catalog_lacks_is_embedded(project: Project) -> None:
    before, meant = project.visible(), vectors(project, 1)
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        names = [row[0] for row in tx.execute(sa.select(embeddings.c.embed_hash))]
        tx.execute(sa.delete(embeddings).where(embeddings.c.embed_hash == names[0]))
    shutil.rmtree(project.environment.engine_dir)

    report = reconciled(project)

    assert report.as_json()["embedded"] == 1
    assert report.as_json()["unrepairable"] == []
    assert project.visible() == before
    again = vectors(project, 1)
    assert all(float(np.dot(dense, again[chunk][0])) > 0.9995 for chunk, (dense, _) in meant.items())


def test_without_the_parsed_text_current_points_are_rebuilt_and_older_ones_say_why_not(
    project: Project,
) -> None:
    project.write("leave.md", LEAVE.replace("Seven days", "Nine days"))
    project.sync()
    current = project.visible()
    shutil.rmtree(project.environment.engine_dir)
    with project.workspace() as workspace:
        blobs = workspace.blobs
        with workspace.catalog.begin() as tx:
            lost = {row[0] for row in tx.execute(sa.select(points.c.parsed_hash))}
        for name in lost:
            blobs.delete(name)

        report = reconcile(workspace, "knowledge")

    assert report.lost_artifacts == 3
    reasons = report.as_json()["unrepairable"]
    assert len(reasons) == 1
    assert "the parsed text" in reasons[0]
    assert "restore the blobs" in reasons[0]
    assert project.visible() == current
    assert "Seven days" not in " ".join(point["text"] for point in project.visible(1).values())

    counts = project.sync()["sources"]["docs"]
    assert (counts["changed"], counts["embedded"], counts["chunks_added"]) == (0, 0, 0)
    with project.workspace() as workspace:
        with workspace.catalog.begin() as tx:
            wanted = {row[0] for row in tx.execute(sa.select(documents.c.parsed_hash))}
        assert all(workspace.blobs.exists(name) for name in wanted)
    assert reconciled(project).lost_artifacts == 0


def test_what_a_killed_staging_left_is_not_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = project.visible()
    project.write("leave.md", LEAVE.replace("Seven days", "Nine days"))
    killed(monkeypatch, point_rows, "confirm_points", project.sync)

    report = reconciled(project)

    assert report.as_json()["pending"] > 0
    assert report.right
    assert project.visible(1) == first

    shutil.rmtree(project.environment.engine_dir)
    reconciled(project)
    assert project.visible(1) == first, "what was live before the kill comes back"
    project.sync()
    assert "Nine days" in " ".join(point["text"] for point in project.visible().values())
    assert project.visible(1) == first
    assert reconciled(project).right


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (EdgeWriter, "upsert", 1),
        (EdgeWriter, "upsert", 0),
        (reconciling, "_replace_snapshot", 0),
        (versions, "move_pointer", 0),
    ],
    ids=["second upsert", "first upsert", "snapshot", "pointer"],
)
def test_killed_and_run_again_it_ends_right(
    grown: Project, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: int
) -> None:
    before = {number: grown.visible(number) for number in (1, 2, 3)}
    monkeypatch.setattr(compare, "BATCH", 2)
    shutil.rmtree(grown.environment.engine_dir)
    killed(monkeypatch, owner, name, lambda: reconciled(grown), after)

    report = reconciled(grown)

    assert report.as_json()["embedded"] == 0
    assert {number: grown.visible(number) for number in (1, 2, 3)} == before
    assert reconciled(grown).right


def test_killed_before_readers_were_told_they_are_told_by_the_next(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = project.visible()
    with behind_the_back(project) as (writer, there):
        writer.delete([there["travel.md"].point_id])
        writer.flush()
    with project.workspace() as workspace:
        from rag_pipelines.pipeline.readers import refresh_readers

        refresh_readers(workspace, "knowledge")
    assert project.visible() != before
    killed(monkeypatch, reconciling, "refresh_readers", lambda: reconciled(project))
    assert project.visible() != before

    reconciled(project)

    assert project.visible() == before


def test_lost_snapshots_are_made_again(project: Project) -> None:
    before = project.visible()
    with project.workspace() as workspace:
        shutil.rmtree(project.environment.engine_dir / collection_of(workspace) / "snapshots")
    with pytest.raises(EngineError, match="gone"):
        project.visible()

    report = reconciled(project)

    assert report.collections[0].lost_snapshot
    assert not report.collections[0].dropped
    assert faults(report) == {}
    assert project.visible() == before
    project.write("leave.md", LEAVE.replace("Seven days", "Nine days"))
    project.sync()
    assert "Nine days" in project.search("carry over leave", k=1).passages[0].text


def test_every_collection_of_a_stored_version_is_covered(grown: Project) -> None:
    """The first collection was copied three times for its readers: its next copy has the number of a lost one."""
    grown.index("knowledge", sparse={"analyzer": "none"}, retain_versions=9)
    grown.sync()
    before = {number: grown.visible(number) for number in (1, 2, 3, 4)}
    terms = {number: {name: t for name, (_, t) in vectors(grown, number).items()} for number in (3, 4)}
    assert terms[3] != terms[4]
    shutil.rmtree(grown.environment.engine_dir)

    report = reconciled(grown)

    assert [part.dropped for part in report.collections] == [True, True]
    assert report.as_json()["embedded"] == 0
    assert {number: grown.visible(number) for number in (1, 2, 3, 4)} == before
    again = {number: {name: t for name, (_, t) in vectors(grown, number).items()} for number in (3, 4)}
    assert again == terms


def test_what_was_hidden_does_not_come_back(grown: Project) -> None:
    rolled_back_while_busy(grown, 1)
    shutil.rmtree(grown.environment.engine_dir)

    report = reconciled(grown)

    assert faults(report) == {"missing": 3}, "pump.md is not among them"
    assert {point["uri"] for point in grown.visible().values()} == {"leave.md", "travel.md"}
    with grown.workspace() as workspace:
        assert versions.hidden_documents(workspace.catalog, "knowledge") == []


def test_what_was_revoked_does_not_come_back(project: Project) -> None:
    assert project.uris("leave days", principal=STAFF)
    project.source("docs", acl=["group:board"])
    project.sync()
    shutil.rmtree(project.environment.engine_dir)

    reconciled(project)

    assert project.uris("leave days", principal=STAFF) == []
    assert project.uris("leave days")


def test_wrong_totals_are_counted_again(project: Project) -> None:
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        tx.execute(sa.update(collection_totals).values(chunks=99))

    assert reconciled(project).wrong_totals == 1
    assert reconciled(project).right


@pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")
def test_another_engine_is_filled_from_the_catalog(project: Project) -> None:
    """Moving from the embedded engine to a server takes a reconcile and no embedding."""
    expected = project.visible()
    with project.workspace() as workspace:
        workspace.__dict__["engine"] = ServerEngine(None, location=":memory:")

        report = reconcile(workspace, "knowledge")

        assert report.collections[0].dropped
        assert report.as_json()["embedded"] == 0
        stored = list(workspace.engine.reader(collection_of(workspace), "").scroll())
        assert reconcile(workspace, "knowledge").right
    shown = {str(point.payload["chunk_id"]): dict(point.payload) for point in stored}
    for payload in shown.values():
        assert (payload.pop("added"), payload.pop("removed")) == (1, CURRENT)
    assert shown == expected


def test_a_float_whose_last_bit_the_engine_changed_is_not_wrong(tmp_path: Path) -> None:
    """The embedded engine changes about every tenth float: none of 40 prices may be taken for a wrong payload."""
    project = Project(tmp_path)
    lines = [
        f'{{"id": "p{n}", "text": "Article {n} for the kitchen.", "price": {n * 7.777777777777 + 0.1!r}}}'
        for n in range(40)
    ]
    project.write("articles.jsonl", "\n".join(lines), "docs")
    fields = {"id": "id", "text": "text", "metadata": {"price": "price"}}
    project.source("docs", connector="records", params={"url": "docs/articles.jsonl", "fields": fields})
    project.sync()
    with behind_the_back(project) as (_, there):
        prices = {str(point.payload["meta"]["price"]) for point in there.values()}
    assert len(prices) == 40

    report = reconciled(project)

    assert faults(report) == {}
    assert report.right


def test_alike_forgives_the_last_bits_of_a_float_only() -> None:
    stored = {"a": 0.1 + 0.2, "b": [1, {"c": "x"}], "d": True, "e": None}
    assert alike(stored, {"a": 0.3, "b": [1, {"c": "x"}], "d": True, "e": None})
    assert not alike(stored, {**stored, "a": 0.3001})
    assert not alike(stored, {**stored, "b": [1, {"c": "y"}]})
    assert not alike(stored, {**stored, "d": 1})
    assert not alike(stored, {**stored, "f": None})


def test_streams_are_matched_by_id_and_must_be_in_order() -> None:
    stored = [StoredPoint(name, {}) for name in ("a", "c", "d")]
    rows = [{"point_id": name} for name in ("b", "c", "e")]
    pairs = [
        (found.point_id if found else None, row["point_id"] if row else None)
        for found, row in compare.side_by_side(stored, rows)
    ]
    assert pairs == [("a", None), (None, "b"), ("c", "c"), ("d", None), (None, "e")]
    with pytest.raises(EngineError, match="out of order"):
        list(compare.side_by_side(stored, [{"point_id": "b"}, {"point_id": "a"}]))


def killed(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, action: Callable[[], object], after: int = 0
) -> None:
    """Run the action until the function is called once more than `after` times; then it stops as if killed."""

    class Killed(BaseException):
        pass

    original = getattr(owner, name)
    calls = 0

    def fatal(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Killed
        return original(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, fatal)
        with pytest.raises(Killed):
            action()


def _space(workspace: Workspace, collection: str) -> Any:
    with opened_writer(workspace, collection) as writer:
        assert isinstance(writer, EdgeWriter)
        return writer._space
