"""The benchmarks of scale and of switching versions: right when small, and they notice what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.catalog.tables import metadata
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.pipeline.sync import sync
from rag_pipelines_tests.benchmarks import catalog_bench, catalog_scale, rollback_load
from rag_pipelines_tests.benchmarks.editions import Done, edition, text, wrong_passages
from rag_pipelines_tests.benchmarks.filled import fill
from rag_pipelines_tests.benchmarks.rollback_load import Report
from rag_pipelines_tests.benchmarks.service_load import Answer
from rag_pipelines_tests.benchmarks.statements import Tally, explain, recorded, shape
from rag_pipelines_tests.benchmarks.switching import switches
from rag_pipelines_tests.benchmarks.synthetic import INDEX, SOURCE, Corpus, SyntheticWorkspace
from rag_pipelines_tests.benchmarks.synthetic_parts import NoEngine

ENOUGH = 1500
"""Documents that make reading all of them stand out from what ten changes cost."""

WHEN = {"touched", "tick", "seen_at", "since", "revised_at", "created_at", "published_at", "updated_at"}
WHEN |= {"listed_at", "synced_at", "at"}
LEFT_OUT = {"latencies", "sync_counts", "audit_head", "audit_lines"}


@contextmanager
def opened(folder: Path, documents: int, url: str = "") -> Iterator[SyntheticWorkspace]:
    """A workspace without an engine."""
    folder.mkdir(exist_ok=True)
    with SyntheticWorkspace(folder, Corpus(documents), url=url, engine=NoEngine()) as workspace:
        yield workspace


def contents(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    """Every table's rows without what depends on when they were written."""
    with reading(catalog.engine) as tx:
        return {
            table.name: sorted(
                (
                    {name: value for name, value in row.items() if name not in WHEN}
                    for row in tx.execute(sa.select(table)).mappings()
                ),
                key=repr,
            )
            for table in metadata.sorted_tables
            if table.name not in LEFT_OUT
        }


@pytest.mark.parametrize("workers", [1, 2])
def test_a_filled_catalog_is_what_a_sync_of_every_document_leaves(tmp_path: Path, workers: int) -> None:
    with opened(tmp_path / "synced", 200) as synced:
        synced.corpus.with_old = True
        observe(synced, SOURCE, "")
        synced.corpus.with_old = False
        sync(synced, [SOURCE])
        wanted = contents(synced.catalog)
    with opened(tmp_path / "filled", 200) as filled:
        fill(filled, workers=workers)
        sync(filled, [SOURCE], "look")
        found = contents(filled.catalog)
    assert len(wanted["documents"]) == 202
    assert len(wanted["points"]) == 396
    assert len(wanted["quarantine"]) == len(wanted["exclusions"]) == 2
    for table, rows in wanted.items():
        assert found[table] == rows, table


def test_a_filled_postgres_holds_the_same_as_a_filled_file(tmp_path: Path, postgres_url: str) -> None:
    with opened(tmp_path / "file", 120) as file, opened(tmp_path / "server", 120, postgres_url) as server:
        for workspace in (file, server):
            fill(workspace)
        assert contents(server.catalog) == contents(file.catalog)


@pytest.fixture
def small_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten documents of every kind of change."""
    monkeypatch.setattr(catalog_scale, "PLANNED", 10)
    monkeypatch.setattr(catalog_scale, "OTHER", 10)


@pytest.mark.usefixtures("small_changes")
def test_a_sync_reads_and_writes_in_proportion_to_the_change(tmp_path: Path, database_url: str) -> None:
    with opened(tmp_path / "home", ENOUGH, database_url) as workspace:
        report = catalog_scale.measure(workspace, [1, 10])

    assert report.faults == []
    rows = {(cost.change, cost.stage): (cost.read, cost.written) for cost in report.costs}
    assert rows["nothing", "observe"][0] >= ENOUGH
    assert all(sum(rows["nothing", stage]) < 30 for stage in ("parse", "chunk", "embed", "stage", "publish"))
    for stage, at_most in {"parse": 8, "chunk": 15, "embed": 6, "stage": 25, "publish": 2}.items():
        one, ten = sum(rows["1 edited", stage]), sum(rows["10 edited", stage])
        assert one < ten + 1
        assert ten - one <= 9 * at_most, stage
    plans = "\n".join(report.plans)
    assert "stage: UPDATE points" in plans
    assert report.rows["points"] > catalog_bench.LARGE


@pytest.mark.usefixtures("small_changes")
def test_a_database_that_goes_through_all_rows_is_noticed(tmp_path: Path) -> None:
    with opened(tmp_path / "home", ENOUGH) as workspace:
        fill(workspace)
        with workspace.catalog.begin() as tx:
            tx.exec_driver_sql("DELETE FROM sqlite_stat1")
        workspace.catalog.engine.dispose()
        report = catalog_scale.measure(workspace, [10])
    assert any(fault.startswith("stage: ") and "FROM points" in fault for fault in report.faults)


def test_a_scan_is_a_fault_of_its_plan(tmp_path: Path, database_url: str) -> None:
    with opened(tmp_path / "home", ENOUGH, database_url) as workspace:
        fill(workspace)
        engine = workspace.catalog.engine
        statements = {
            "SELECT doc_id FROM documents WHERE uri = 'pages/00000001.txt'": ["documents"],
            "SELECT uri FROM documents WHERE doc_id = 'x'": [],
        }
        for sql, tables in statements.items():
            plan = explain(engine, Tally(calls=1, example=(sql, ())), {"documents": ENOUGH})
            assert len(plan.faults) == len(tables)
            assert all(name in fault for name, fault in zip(tables, plan.faults, strict=True))


def test_statements_rows_and_work_are_counted(tmp_path: Path) -> None:
    with opened(tmp_path / "home", 300) as workspace:
        fill(workspace)
        catalog = workspace.catalog
        with recorded(catalog.engine) as ledger, catalog.begin() as tx:
            ledger.stage = "by hand"
            documents = metadata.tables["documents"]
            names = [row[0] for row in tx.execute(sa.select(documents.c.doc_id).limit(7))]
            for _ in range(2):
                tx.execute(sa.update(documents).where(documents.c.doc_id.in_(names)).values(touched=9))
            tx.execute(sa.select(documents).where(documents.c.uri == "nowhere")).all()
            tallies = list(ledger.of_stage("by hand").values())
    assert [(tally.calls, tally.read, tally.written) for tally in tallies] == [
        (1, 7, 0),
        (2, 0, 14),
        (1, 0, 0),
    ]
    assert tallies[2].steps > 0.5 > tallies[0].steps


def test_statements_are_alike_whatever_the_length_of_their_lists() -> None:
    assert (
        shape("DELETE FROM t\nWHERE a IN (?, ?, ?) AND b = ?") == "DELETE FROM t WHERE a IN (...) AND b = ?"
    )
    assert (
        shape("INSERT INTO t VALUES (%(a__0)s, %(b__0)s), (%(a__1)s, %(b__1)s)")
        == "INSERT INTO t VALUES (...)"
    )


@pytest.mark.parametrize(
    ("page", "editions"),
    [(0, [1, 0, 0, 0, 0]), (5, [1, 1, 1, 1, 5]), (22, [1, 2, 2, 2, 2]), (43, [1, 1, 3, 3, 3])],
)
def test_one_page_in_twenty_changes_with_each_version(page: int, editions: list[int]) -> None:
    assert [edition(page, version) for version in range(1, 6)] == editions


def test_a_passage_of_another_version_is_noticed() -> None:
    old, new = ({"text": text(43, version), "version": 3} for version in (2, 3))
    assert wrong_passages(3, [new]) == []
    assert wrong_passages(3, [new, old]) == ["version 3 answered 'Page 43 edition 1: the pump of hall 43 i'"]
    assert wrong_passages(2, [{"text": text(43, 2), "version": 3}]) != []


def test_what_goes_wrong_under_load_is_told_apart() -> None:
    done = [
        Done("stage", 4, 0.0, 1.0, None),
        Done("publish", None, 1.0, 2.0, 4),
        Done("rollback", None, 3.0, 4.0, 3),
        Done("stage", 5, 5.0, 6.0, None),
    ]
    answers = [
        Answer(0.9, 1.0, 3, pages=(2, 3)),
        Answer(2.4, 2.5, 4, pages=(3,)),
        Answer(2.5, 2.6, 4, mixed=("mixed",)),
        Answer(4.4, 4.5, 3, pages=(2,)),
        Answer(4.5, 4.6, error="503: nothing"),
        Answer(6.3, 6.5, 3, pages=(3,)),
        Answer(6.4, 7.6, 3, pages=(2,)),
        Answer(8.0, 8.1, 3, pages=(3,)),
    ]
    report = Report(100, 50, 8)
    rollback_load.judge(report, answers, done)
    assert (report.queries, report.errors, report.mixed) == (8, ["503: nothing"], ["mixed"])
    assert report.versions == {3: 5, 4: 2}
    assert report.returned == [
        "page 2 was gone, version 3 answers it",
        "page 2 was gone, version 3 answers it",
        "page 3 was gone, version 3 answers it",
    ]
    assert report.faulty
    assert report.late == 1
    assert report.verbs[1]["seen_after_return"] == pytest.approx(0.5)
    assert report.verbs[2]["seen_after_start"] == pytest.approx(1.5)


def test_publishing_and_going_back_at_a_size(tmp_path: Path) -> None:
    began = time.perf_counter()
    found = switches(tmp_path / "home", 300)
    assert found.chunks == 298
    assert 0 < found.publish_switch < time.perf_counter() - began


@pytest.mark.slow
def test_the_service_answers_whole_versions_while_they_change(tmp_path: Path) -> None:
    report = rollback_load.measure(tmp_path / "load", rate=10, seconds=1, chunks=40)
    assert not report.faulty, rollback_load.table(report)
    assert set(report.versions) >= {rollback_load.BUILT, rollback_load.BUILT + 2}, (
        "the first and the last one"
    )
    assert [step["verb"] for step in report.verbs] == [verb for verb, _ in rollback_load.STEPS]
    assert INDEX == "knowledge"
