"""A plan says what the next sync does, to the document, and leaves no trace."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from rag_pipelines.catalog import reports
from rag_pipelines.catalog.store import reading
from rag_pipelines.catalog.tables import metadata
from rag_pipelines.cli.app import app
from rag_pipelines.core.errors import EngineError
from rag_pipelines.index.edge_shard import EdgeWriter
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.plan import Plan, plan
from rag_pipelines.pipeline.plan_parts import Part, Stratum, count_texts
from rag_pipelines.pipeline.plan_seconds import fit
from rag_pipelines.pipeline.rollback import rollback
from rag_pipelines.pipeline.sync import sync
from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP
from rag_pipelines_tests.project import Project

UNCOUNTED = ("truncated", "access_applied", "signed", "candidates", "pairs", "regrouped")
"""What a sync counts of itself, and what it counts only where it stages something too."""
BROKEN = b"\x00\x01\x02\x03" * 500


def made(project: Project, *sources: str, **options: Any) -> Plan:
    """Plan with everything opened anew; the catalog refuses to be written meanwhile."""
    with project.workspace() as workspace:
        refuse_writes(workspace.catalog.engine)
        return plan(workspace, sources or tuple(workspace.configuration.sources), **options)


def refuse_writes(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _read_only(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA query_only = ON")

    engine.dispose()


def planned_counts(found: Plan) -> dict[str, Counter[str]]:
    """Source -> counts over all indexes, without zeros."""
    return {
        name: +sum((Counter(counts) for counts in source.indexes.values()), Counter(source.counts))
        for name, source in found.sources.items()
    }


def synced_counts(project: Project, *sources: str) -> dict[str, Counter[str]]:
    """Sync; the same of what the stages counted, and the documents in quarantine afterwards."""
    with project.workspace() as workspace:
        names = sources or tuple(workspace.configuration.sources)
        tally = reports.run_counts(workspace.catalog, sync(workspace, names))
        found = {name: Counter(counts) for name, counts in tally.items() if name}
        for name in names:
            found[name]["quarantined"] = reports.source_totals(workspace.catalog, name)["quarantined"]
    return {name: +counts for name, counts in found.items()}


def compared(counts: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {
        source: {
            name: value for name, value in own.items() if name not in UNCOUNTED and not name.startswith("ms_")
        }
        for source, own in counts.items()
    }


def plan_and_sync(project: Project, *sources: str, **options: Any) -> Plan:
    """The plan, after the sync did exactly that and a second plan found nothing left."""
    found = made(project, *sources, **options)
    assert not found.nothing
    assert compared(planned_counts(found)) == compared(synced_counts(project, *sources))
    return found


def dump(project: Project) -> dict[str, Any]:
    """Every row of the catalog, and every file of RAG_HOME but the connectors' caches, by content."""
    with project.workspace() as workspace, reading(workspace.catalog.engine) as tx:
        rows = {
            table.name: sorted(map(repr, tx.execute(sa.select(table)))) for table in metadata.sorted_tables
        }
    files = {
        str(path.relative_to(project.home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in project.home.rglob("*")
        if path.is_file() and not path.name.startswith("catalog.") and "sources" not in path.parts
    }
    return rows | {"files": files}


def prose(number: int, sentences: int = 12) -> str:
    body = " ".join(f"Gear {number * 100 + n} turns {n} times a minute." for n in range(sentences))
    return f"# Page {number}\n\n{body}\n\n## Care\n\nOil page {number} weekly.\n"


def test_first_sync_then_every_kind_of_change_then_nothing(project: Project) -> None:
    project.write("broken.md", BROKEN)
    project.write("worse.md", BROKEN)
    project.write("copy.md", PUMP)
    first = plan_and_sync(project)
    assert first.sources["docs"].counts["quarantined"] == 2
    assert first.indexes["knowledge"].reason == "the index has no collection yet"
    assert first.indexes["knowledge"].version == 1
    assert not first.learnt
    assert made(project).nothing

    docs = project.root / "docs"
    project.write("leave.md", LEAVE.replace("Seven days", "Nine days") + "\n## Late\n\nAsk first.\n")
    project.write("new.md", prose(1))
    project.write("broken.md", "# Mended\n\nText about sprockets.\n")
    project.write("travel.md", BROKEN)
    (docs / "pump.md").rename(docs / "pump-p880.md")
    (docs / "copy.md").unlink()
    (docs / "worse.md").unlink()
    before = dump(project)
    found = plan_and_sync(project)

    counts = found.sources["docs"].counts
    assert [counts[name] for name in ("added", "changed", "moved", "deleted", "quarantined")] == [
        1,
        3,
        1,
        2,
        1,
    ]
    assert found.total("embedded") == 3  # leave.md, new.md and broken.md fit into one chunk each
    assert found.learnt
    assert set(found.seconds) == {"list", "parse", "chunk", "embed", "stage", "publish"}
    assert before != dump(project)
    assert made(project).nothing


def test_a_plan_leaves_no_trace(project: Project) -> None:
    project.sync()
    project.write("leave.md", "# Leave\n\nNobody leaves.\n")
    (project.root / "docs/pump.md").unlink()
    project.index("knowledge", sparse={"analyzer": "none"})
    before = dump(project)
    assert any(Path(name).parts[0] == "blobs" for name in before["files"])

    assert not made(project).nothing

    assert dump(project) == before
    with project.workspace() as workspace:
        refuse_writes(workspace.catalog.engine)
        with pytest.raises(sa.exc.OperationalError, match="readonly"):
            workspace.count("run", "docs", {"listed": 1})


def test_rights_alone_are_applied_without_new_chunks(project: Project) -> None:
    project.sync()
    project.source("docs", acl=["group:board"])

    found = made(project)

    counts = found.sources["docs"].counts | found.sources["docs"].indexes["knowledge"]
    assert (counts["access_changed"], counts["access_applied"], counts["points_added"]) == (3, 3, 0)
    assert found.indexes["knowledge"].version is None
    assert not found.nothing
    assert compared(planned_counts(found)) == compared(synced_counts(project))
    assert made(project).nothing


@pytest.mark.slow
def test_chunk_size_of_one_source_in_two_indexes_with_one_model(project: Project) -> None:
    project.source("more")
    project.index("other", sources=["more"], filter_fields=["team"])
    for number in range(4):
        project.write(f"gears{number}.md", prose(number, 30), "more")
    plan_and_sync(project)

    project.source("more", chunking={"max_tokens": 64})
    project.write("gears0.md", prose(9), "more")
    found = plan_and_sync(project)

    assert found.sources["docs"].indexes["knowledge"]["chunked"] == 0
    more = found.sources["more"].indexes
    assert more["knowledge"]["chunks_added"] == more["other"]["chunks_added"] > 4
    assert (more["knowledge"]["embedded"] > 0, more["other"]["embedded"]) == (True, 0)
    assert len(found.sources["more"].settings) == 2
    assert "chunking for index knowledge: headings/1 max_tokens=64" in found.sources["more"].settings[0]
    assert made(project).nothing


def test_copies_that_are_left_out_stay_so_and_new_ones_are_counted_as_indexed(project: Project) -> None:
    project.source("docs", dedup={"policy": "collapse"})
    project.write("copy.md", LEAVE)
    first = made(project)
    assert first.sources["docs"].at_most
    assert planned_counts(first)["docs"]["chunked"] == 4
    assert synced_counts(project)["docs"]["regrouped"] == 1
    assert made(project).nothing

    project.write("pump.md", PUMP.replace("blocked", "rusty"))
    assert not plan_and_sync(project).nothing
    project.source("docs", dedup={"policy": "mark"})
    found = made(project)

    assert not found.nothing
    assert found.sources["docs"].compared_anew == ("knowledge",)
    project.sync()
    assert made(project).nothing


def test_another_model_or_vector_space_brings_the_other_sources_along(project: Project) -> None:
    project.source("more")
    project.write("gears.md", prose(1), "more")
    project.sync()
    project.index("knowledge", embedding={"passage_prefix": "passage: "}, filter_fields=["team"])
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))

    found = plan_and_sync(project, "docs")

    index = found.indexes["knowledge"]
    assert (index.new_collection, index.version, index.publishes) == (True, 2, True)
    assert (
        index.reason == "embedding.passage_prefix is 'passage: ' instead of '', filter field meta.team is new"
    )
    assert not found.sources["more"].listed
    assert found.sources["more"].indexes["knowledge"]["embedded"] == 1
    assert found.total("embedded") == found.total("points_added")
    assert made(project).nothing

    project.index("knowledge")
    back = plan_and_sync(project)
    assert "is used again" in back.indexes["knowledge"].reason
    assert back.total("embedded") == 1  # leave.md as it is now was never embedded without the prefix


def test_a_mass_deletion_is_held(project: Project) -> None:
    for number in range(12):
        project.write(f"gears{number}.md", prose(number, 3))
    project.sync()
    for number in range(12):
        (project.root / f"docs/gears{number}.md").unlink()
    project.write("new.md", prose(90))

    found = plan_and_sync(project)

    source = found.sources["docs"]
    assert (source.counts["held"], source.counts["deleted"], source.counts["added"]) == (12, 0, 1)
    assert "more than 20%" in source.held_reason
    assert made(project).sources["docs"].counts["held"] == 12


@pytest.mark.slow
def test_what_an_interrupted_sync_left_is_planned(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.sync()
    leave = project.root / "docs/leave.md"
    written = leave.stat().st_mtime_ns
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    project.write("new.md", prose(1))
    (project.root / "docs/pump.md").unlink()

    def fail(*_: Any) -> None:
        raise EngineError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(EdgeWriter, "flush", fail)
        with pytest.raises(EngineError):
            project.sync()
    project.write("travel.md", prose(2))
    project.write("leave.md", LEAVE)
    os.utime(leave, ns=(written, written))

    found = plan_and_sync(project)
    assert (
        found.total("points_removed") == 4
    )  # old and new of leave.md, the old ones of travel.md and pump.md
    assert made(project).nothing


@pytest.mark.slow
def test_other_limits_and_other_shards(project: Project) -> None:
    project.write("long.md", prose(1, 200))
    project.source("docs", parsing={"max_text_chars": 2000})
    assert plan_and_sync(project).sources["docs"].counts["quarantined"] == 1

    project.source("docs", shards=5)
    project.write("pump.md", PUMP.replace("blocked", "stuck"))
    found = plan_and_sync(project)

    assert found.sources["docs"].counts["quarantined"] == 0
    assert "parsers or parsing limits" in found.sources["docs"].settings
    assert made(project).nothing


def test_a_pinned_index_stages_without_publishing(project: Project) -> None:
    project.sync()
    project.write("new.md", prose(1))
    project.sync()
    with project.workspace() as workspace:
        rollback(workspace, "knowledge")
    project.write("new.md", prose(2))

    found = plan_and_sync(project)

    index = found.indexes["knowledge"]
    assert (index.version, index.live, index.pinned, index.publishes) == (3, 1, 1, False)
    assert "pinned at version 1" in index.paused
    assert "publish" not in found.seconds


def test_a_source_that_fails_does_not_stop_the_others(project: Project) -> None:
    project.source("more")
    project.write("gears.md", prose(1), "more")
    (project.root / "docs").rename(project.root / "elsewhere")

    found = made(project)

    assert list(found.errors) == ["docs"]
    assert found.sources["more"].counts["added"] == 1
    assert not found.nothing
    assert found.as_json("knowledge")["errors"] == found.errors


@pytest.mark.slow
def test_a_sample_stands_for_the_rest(project: Project) -> None:
    for number in range(40):
        project.write(f"gears{number}.md", prose(number, 40))

    found = made(project, sample=20)

    source = found.sources["docs"]
    assert (source.sampled, source.of) == (20, 43)
    assert (source.counts["added"], source.counts["fetched"]) == (43, 43)
    real = synced_counts(project)["docs"]
    for name in ("chunked", "chunks_added", "embedded", "points_added"):
        assert found.total(name) == pytest.approx(real[name], rel=0.1)

    project.source("docs", chunking={"max_tokens": 100})
    with project.workspace() as workspace:
        parse(workspace, "docs", range(2), "")
    again = made(project, sample=20)
    assert (again.sources["docs"].sampled, again.sources["docs"].counts["fetched"]) == (20, 0)
    real = synced_counts(project)["docs"]
    for name in ("chunked", "chunks_added", "chunks_removed", "embedded", "points_added", "points_removed"):
        assert again.total(name) == pytest.approx(real[name], rel=0.1)


def test_a_stratum_keeps_the_lowest_ids_and_knows_what_they_stand_for() -> None:
    stratum = Stratum(2)
    for number in (3, 1, 4, 2):
        stratum.add({"doc_id": f"{number:032x}", "uri": f"{9 - number}"}, weight=float(number))

    part = stratum.part()

    assert [row["uri"] for row in stratum.rows] == ["7", "8"]
    assert (part.kept, part.of, part.exact) == (2, 4, False)
    part.counts.update(chunked=2, chunks_added=6)
    assert part.scaled() == {"chunked": 4.0, "chunks_added": pytest.approx(6 * 10 / 3)}
    assert Stratum(2).part().exact


def test_texts_are_counted_once_and_carried_over_as_the_halves_grow() -> None:
    def sampled(first: set[str], second: set[str]) -> Part:
        return Part(per_document=4.0, per_chunk=4.0, kept=2, of=8, texts=(first, second))

    assert count_texts([sampled({"a", "b"}, {"c", "d"})], set(), set()) == 16
    assert count_texts([sampled({"a", "b"}, {"a", "b"})], set(), set()) == 2
    planned = {"p"}
    exact = Part(texts=({"a", "p"}, {"b"}))
    assert count_texts([exact, sampled({"a"}, {"b"})], {"c"}, planned) == 3
    assert planned == {"a", "b", "c", "p"}


def test_seconds_are_a_fixed_start_and_so_much_each() -> None:
    assert fit([(0, 100), (10, 200), (20, 300)], 50) == pytest.approx((100, 10))
    assert fit([(10, 350), (30, 350)], 50) == pytest.approx((50, 15))
    assert fit([(5, 100)], 50) == pytest.approx((50, 10))
    assert fit([(5, 40)], 50) == pytest.approx((40, 0))


def test_the_command_says_it_to_people_and_to_scripts(project: Project) -> None:
    def run(*args: str) -> Any:
        return CliRunner().invoke(app, ["plan", *args], env={**project.environ, "DAGSTER_HOME": None})

    told = run("-q")
    assert told.exit_code == 0, told.output
    assert "version 1 of knowledge, in a new collection" in told.stdout
    assert "3 embeddings to compute" in told.stdout
    assert "estimated from defaults" in told.stdout

    printed = json.loads(run("--json").stdout)
    names = ("index", "documents", "chunks", "embeddings", "deletions", "nothing_to_do", "estimated_from")
    assert [printed[name] for name in names] == ["knowledge", 3, 3, 3, 0, False, "defaults"]
    assert printed["seconds"] > 0
    assert printed["sources"]["docs"]["added"] == 3

    project.sync()
    assert run("-q", "docs").stdout == "nothing to do: 3 documents are as knowledge has them\n"
    (project.root / "docs").rename(project.root / "elsewhere")
    failed = run("-q")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "docs does not exist" in failed.stderr
    assert run("--json", "nowhere").exit_code == 1
