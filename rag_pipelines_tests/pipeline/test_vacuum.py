"""What no kept version shows goes, from engine and catalog; everything else stays readable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import latencies, upkeep, versions
from rag_pipelines.catalog.control_tables import latencies as latency_rows
from rag_pipelines.catalog.dedup_tables import members
from rag_pipelines.catalog.tables import documents, embeddings, index_documents, point_documents, points
from rag_pipelines.core.errors import NotFound
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.pipeline import vacuum as vacuuming
from rag_pipelines.pipeline.diff import diff
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines.pipeline.rollback import pin, rollback
from rag_pipelines.pipeline.vacuum import VacuumReport, vacuum
from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP
from rag_pipelines_tests.pipeline.prepared import one_version, three_versions
from rag_pipelines_tests.pipeline.test_reconcile import killed
from rag_pipelines_tests.project import Project


def vacuumed(project: Project, retain: int, *, artifacts: bool = False) -> VacuumReport:
    project.index("knowledge", retain_versions=retain)
    with project.workspace() as workspace:
        return vacuum(workspace, "knowledge", artifacts=artifacts)


@pytest.fixture
def grown(tmp_path: Path) -> Project:
    """Version 2 edits leave.md, version 3 deletes pump.md: one point goes in each."""
    return three_versions(tmp_path)


def counted(project: Project, table: sa.Table, *conditions: Any) -> int:
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one())


def in_engine(project: Project) -> int:
    with project.searchers() as searchers:
        return searchers.get("knowledge").scroll_reader(None)[1].count()


def test_only_what_kept_versions_show_stays(grown: Project) -> None:
    before = {number: grown.visible(number) for number in (2, 3)}
    assert in_engine(grown) == 4

    report = vacuumed(grown, 2)

    assert (report.kept, report.vacuumed) == ((2, 3), (1,))
    assert (report.points, report.revisions) == (1, 1)
    assert in_engine(grown) == counted(grown, points) == counted(grown, point_documents) == 3
    assert {number: grown.visible(number) for number in (2, 3)} == before
    with pytest.raises(NotFound, match="no published version 1"):
        grown.visible(1)
    with grown.workspace() as workspace, pytest.raises(NotFound, match="there are 3, 2"):
        rollback(workspace, "knowledge", 1)
    with grown.workspace() as workspace:
        assert reconcile(workspace, "knowledge").right


def test_nothing_to_clear_leaves_readers_where_they_are(grown: Project) -> None:
    with grown.workspace() as workspace:
        before = versions.pointer(workspace.catalog, "knowledge")

    report = vacuumed(grown, 3)

    assert (report.kept, report.vacuumed, report.points) == ((1, 2, 3), (), 0)
    with grown.workspace() as workspace:
        assert versions.pointer(workspace.catalog, "knowledge") == before
    assert len(grown.visible(1)) == 3


def test_a_gone_document_is_forgotten_once_nothing_shows_it(grown: Project) -> None:
    gone = documents.c.live == sa.false()
    assert vacuumed(grown, 2).documents == 0
    assert counted(grown, documents, gone) == 1, "version 2 still shows pump.md"

    assert vacuumed(grown, 1).documents == 1

    assert counted(grown, documents, gone) == 0
    assert counted(grown, documents) == 2
    grown.write("pump.md", "# Pump\n\nThe pump is back.\n")
    assert grown.sync()["sources"]["docs"]["added"] == 1
    assert grown.uris("pump is back")[0] == "pump.md"


def test_a_gone_document_whose_deletion_is_not_live_yet_is_kept(project: Project) -> None:
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        (one, two, three) = (row[0] for row in tx.execute(sa.select(documents.c.doc_id)))
        tx.execute(sa.update(documents).values(live=False))
        tx.execute(sa.delete(points))
        tx.execute(sa.delete(index_documents).where(index_documents.c.doc_id != one))
        row = {"doc_id": two, "source": "docs", "touched": 9}
        latencies.expect(tx, [latencies.event("knowledge", row, latencies.DELETE, "2026", "2026")])
        assert upkeep.forget_gone(tx) == 0, "a row says yet of which documents they are copies"
        tx.execute(sa.delete(members))
        assert upkeep.forget_gone(tx) == 1
        assert {row[0] for row in tx.execute(sa.select(documents.c.doc_id))} == {one, two}
        assert three not in (one, two)


def test_the_pinned_version_stays(grown: Project) -> None:
    with grown.workspace() as workspace:
        pin(workspace, "knowledge", 1)
    before = grown.visible()

    report = vacuumed(grown, 1)

    assert (report.kept, report.vacuumed) == ((1, 3), (2,))
    assert grown.visible() == before
    assert grown.live() == 1


def test_the_candidate_stays(grown: Project) -> None:
    grown.index("knowledge", publish="manual")
    grown.write("travel.md", "# Travel\n\nWalk.\n")
    assert not grown.sync()["published"]
    grown.index("knowledge", publish="manual", retain_versions=1)
    with grown.workspace() as workspace:
        report = vacuum(workspace, "knowledge")
    assert report.kept == (3, 4)
    assert report.points == 2

    grown.index("knowledge")
    assert grown.sync()["published"]

    assert grown.uris("walk")[0] == "travel.md"
    with grown.workspace() as workspace:
        assert reconcile(workspace, "knowledge").right


def test_a_collection_without_a_kept_version_is_dropped(project: Project) -> None:
    project.index("knowledge", sparse={"analyzer": "none"})
    project.sync()
    project.index("knowledge", sparse={"analyzer": "none"}, retain_versions=1)
    before = project.visible()
    vectors = counted(project, embeddings)
    with project.workspace() as workspace:
        old = _collection(workspace, 1)

        report = vacuum(workspace, "knowledge")

        assert report.dropped_collections == (old,)
        assert report.points == 3
        assert workspace.engine.collections() == [_collection(workspace, 2)]
    assert project.visible() == before
    assert counted(project, points) == 3
    assert counted(project, embeddings) == vectors

    project.index("knowledge")
    report_json = project.sync()
    assert report_json["published"]
    assert report_json["sources"]["docs"]["embedded"] == 0
    assert {point["uri"] for point in project.visible().values()} == {"leave.md", "travel.md", "pump.md"}


def test_a_source_that_comes_back_after_its_collection_was_dropped_is_staged_again(project: Project) -> None:
    project.source("more")
    project.write("gears.md", "# Gears\n\nThe gear ratio is 3.2.\n", "more")
    project.sync()
    more = project.root / "configs/sources/more.yaml"
    more.rename(project.root / "more.yaml")
    project.index("knowledge", sparse={"analyzer": "none"}, retain_versions=1)
    project.sync()
    with project.workspace() as workspace:
        assert vacuum(workspace, "knowledge").dropped_collections == (_collection(workspace, 1),)

    (project.root / "more.yaml").rename(more)
    project.index("knowledge")
    project.sync()

    assert "gears.md" in {point["uri"] for point in project.visible().values()}
    assert len(project.visible()) == 4


def test_artifacts_that_nothing_refers_to_go_only_on_request(grown: Project) -> None:
    def stored() -> set[str]:
        with grown.workspace() as workspace:
            return set(workspace.blobs.iterate())

    before = stored()
    assert len(before) == 8, "raw and parsed bytes of three pages and one edit"
    assert vacuumed(grown, 1).artifacts == 0
    assert stored() == before

    report = vacuumed(grown, 1, artifacts=True)

    assert report.artifacts == 4
    assert report.artifact_bytes > 0
    with grown.workspace() as workspace, workspace.catalog.begin() as tx:
        rows = tx.execute(sa.select(documents.c.raw_hash, documents.c.parsed_hash)).all()
        assert stored() == {name for row in rows for name in row}
    assert vacuumed(grown, 1, artifacts=True).artifacts == 0
    grown.write("travel.md", "# Travel\n\nWalk.\n")
    assert grown.sync()["published"]


def test_old_measurements_are_forgotten_and_new_ones_are_not(project: Project) -> None:
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        kept = tx.execute(sa.select(sa.func.count()).select_from(latency_rows)).scalar_one()
        row = {"doc_id": "d", "source": "docs", "touched": 1}
        old = latencies.event("knowledge", row, latencies.EDIT, "2020-01-01", "2020-01-01")
        tx.execute(sa.insert(latency_rows).values(**old, effective_at="2020-01-02T00:00:00.000+00:00"))
    vacuumed(project, 3)
    assert counted(project, latency_rows, latency_rows.c.doc_id == "d") == 0
    assert counted(project, latency_rows) == kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (vacuuming, "_thin"),
        (upkeep, "forget_points"),
        (vacuuming, "refresh_readers"),
        (upkeep, "forget_gone"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_killed_and_run_again_it_ends_the_same(
    grown: Project, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    before = grown.visible()
    killed(monkeypatch, owner, name, lambda: vacuumed(grown, 1))
    assert grown.visible() == before
    with pytest.raises(NotFound):
        grown.visible(2)

    vacuumed(grown, 1)

    assert grown.visible() == before
    assert in_engine(grown) == counted(grown, points) == 2
    assert counted(grown, documents) == 2


def test_a_killed_drop_is_finished(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.index("knowledge", sparse={"analyzer": "none"})
    project.sync()
    project.index("knowledge", sparse={"analyzer": "none"}, retain_versions=1)
    before = project.visible()
    with project.workspace() as workspace:
        killed(monkeypatch, upkeep, "forget_points", lambda: vacuum(workspace, "knowledge"))
    assert project.visible() == before
    with project.workspace() as workspace:
        assert reconcile(workspace, "knowledge").right, "a collection on its way out is not rebuilt"
        assert isinstance(workspace.engine, EdgeEngine)
        assert len(workspace.engine.collections()) == 1
        assert len(vacuum(workspace, "knowledge").dropped_collections) == 1
    assert counted(project, points) == 3


def _collection(workspace: Any, number: int) -> str:
    rows = versions.versions_of(workspace.catalog, "knowledge")
    return next(str(row["collection"]) for row in rows if row["number"] == number)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One version."""
    return one_version(tmp_path)


def test_an_edit_after_a_vacuum_goes_on_from_what_is_left(grown: Project) -> None:
    vacuumed(grown, 1)
    grown.write("leave.md", LEAVE)

    counts = grown.sync()["sources"]["docs"]

    assert counts["embedded"] == 0, "its vector was paid for in version 1"
    assert "Seven days" in grown.search("carry over leave", k=1).passages[0].text
    assert "Nine days" in " ".join(point["text"] for point in grown.visible(3).values())


def test_the_same_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    """Reconcile, diff and vacuum with their queries on the other database."""
    project = Project(tmp_path, {"RAG_DATABASE_URL": postgres_url})
    project.write("leave.md", LEAVE)
    project.write("pump.md", PUMP)
    project.sync()
    project.write("leave.md", LEAVE.replace("Seven days", "Nine days"))
    (project.root / "docs/pump.md").unlink()
    project.sync()
    before = {number: project.visible(number) for number in (1, 2)}
    shutil.rmtree(project.environment.engine_dir)
    with project.workspace() as workspace:
        found = reconcile(workspace, "knowledge").as_json()
        assert (found["missing"], found["embedded"], found["unrepairable"]) == (3, 0, [])
        assert reconcile(workspace, "knowledge").right
        changes = diff(workspace, "knowledge", 1, 2)
    assert {number: project.visible(number) for number in (1, 2)} == before
    assert [(change.change, change.uri) for change in changes.listed] == [
        ("changed", "leave.md"),
        ("removed", "pump.md"),
    ]

    report = vacuumed(project, 1, artifacts=True)

    assert (report.points, report.revisions, report.documents, report.artifacts) == (2, 2, 1, 4)
    assert project.visible() == before[2]
