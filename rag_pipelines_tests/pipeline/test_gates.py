"""Release gates: a candidate is judged at its number before anybody sees it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import audit, versions
from rag_pipelines.catalog import gates as gate_rows
from rag_pipelines.catalog.tables import points
from rag_pipelines.core.checks import Check
from rag_pipelines.core.errors import ConfigError, NotFound
from rag_pipelines.core.types import CURRENT
from rag_pipelines.evaluation.asking import ask_index
from rag_pipelines.pipeline import gates, suite_gates
from rag_pipelines.pipeline.gates import Verdict, judged_candidate
from rag_pipelines.pipeline.publish import Override, Published, publish
from rag_pipelines.pipeline.writers import opened_writer
from rag_pipelines_tests.evaluation.samples import HEADER, write_suite
from rag_pipelines_tests.pipeline.conftest import PUMP
from rag_pipelines_tests.project import STAFF, Project

QUESTIONS = {
    "leave": ("How many days of paid leave are there a year?", "leave.md"),
    "travel": ("What may a hotel cost a night?", "travel.md"),
    "pump": ("What does ERR_4217 mean?", "pump.md"),
}
GATES: dict[str, Any] = {
    "data": None,
    "suites": [{"suite": "pages", "floors": {"RR@10": 0.9}, "not_worse": None}],
}
SPOILT = "# Weather\n\nIt rains in the morning, and nothing of what was here before is said any more.\n"


def write_pages(project: Project, **values: Any) -> None:
    """One question a page, judged by its uri."""
    rows = [{"_id": name, "text": text} for name, (text, _) in QUESTIONS.items()]
    judged = [f"{name}\t{uri}\t1" for name, (_, uri) in QUESTIONS.items()]
    write_suite(project.root / "suite", rows, [HEADER, *judged])
    project.configure("eval/pages", {"suite": "pages", "path": "suite", "measures": ["RR@10"], **values})


@pytest.fixture
def gated(project: Project) -> Project:
    """Version 1 of three pages is live; what comes next is judged by their suite."""
    write_pages(project)
    project.index("knowledge", gates=GATES)
    project.sync()
    assert project.live() == 1
    return project


def spoil(project: Project) -> None:
    """What the page about the pump said is said elsewhere, so that the question no longer finds the page first."""
    project.write("valve.md", PUMP)
    project.write("pump.md", SPOILT)


def stored(project: Project, number: int) -> Any:
    """What the catalog has about a version."""
    with project.workspace() as workspace:
        return gate_rows.verdicts_of(workspace.catalog, "knowledge").get(number)


def published(project: Project, override: Override | None = None) -> Published:
    """Publish what is staged."""
    with project.workspace() as workspace:
        return publish(workspace, "knowledge", override=override)


def test_the_first_version_passes_and_its_verdict_is_kept(gated: Project) -> None:
    verdict = stored(gated, 1)
    assert (verdict["passed"], verdict["reason"], gate_rows.gate_state(verdict)) == (True, "", "passed")
    assert [check["name"] for check in verdict["checks"]] == ["security", "suite_pages"]
    assert verdict["checks"][1]["metadata"]["measures"]["RR@10"]["mean"] == 1.0


def test_what_fails_stays_staged_and_the_live_version_stays(gated: Project) -> None:
    spoil(gated)
    report = gated.sync()
    assert (report["version"], report["published"], gated.live()) == (2, False, 1)
    verdict = stored(gated, 2)
    assert re.fullmatch(r"suite pages: RR@10 is 0\.[78]\d\d, below its floor of 0\.9", verdict["reason"])
    assert gate_rows.gate_state(verdict) == "refused"
    assert "valve.md" not in gated.visible_uris()
    with pytest.raises(NotFound, match="no published version 2"):
        gated.search("ERR_4217", version=2)
    again = published(gated)
    assert (again.moved, again.version, again.refused) == (False, 1, verdict["reason"])


def test_the_next_sync_goes_on_from_what_was_refused(gated: Project) -> None:
    spoil(gated)
    gated.sync()
    gated.write("pump.md", PUMP.replace("restart", "start again"))
    gated.remove("valve.md")
    report = gated.sync()
    assert (report["version"], report["published"]) == (2, True)
    assert stored(gated, 2)["passed"]
    assert gated.uris("What does ERR_4217 mean?", k=1) == ["pump.md"]


def test_a_named_person_may_publish_it_and_is_recorded(gated: Project) -> None:
    spoil(gated)
    gated.sync()
    done = published(gated, Override("Ana Alvarez", "the pump was sold"))
    assert (done.moved, done.version) == (True, 2)
    verdict = stored(gated, 2)
    assert gate_rows.gate_state(verdict) == "overridden"
    assert (verdict["override"]["by"], verdict["override"]["reason"]) == ("Ana Alvarez", "the pump was sold")
    assert verdict["override"]["refused"] == verdict["reason"] != ""
    with gated.workspace() as workspace:
        published_line, override_line = audit.newest_lines(workspace.catalog, 2)
    assert (override_line["action"], override_line["actor"]) == ("override", "operator:Ana Alvarez")
    assert override_line["details"] == '{"by":"Ana Alvarez","reason":"the pump was sold","version":2}'
    assert published_line["action"] == "publish"


def test_an_override_that_is_not_needed_is_not_recorded(gated: Project) -> None:
    gated.index("knowledge", gates=GATES, publish="manual")
    gated.write("more.md", "# More\n\nThe gate opens at six.\n")
    gated.sync()
    assert published(gated, Override("Ana", "to be safe")).moved
    assert stored(gated, 2)["override"] is None
    with gated.workspace() as workspace:
        assert audit.newest_lines(workspace.catalog, 1, "override") == []


def test_a_verdict_is_made_once_for_what_is_staged_and_anew_for_other_gates(
    gated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []

    def counting(*args: Any) -> Verdict | None:
        judged.append(args[2]["number"])
        return judge(*args)

    judge = gates.judge
    monkeypatch.setattr(gates, "judge", counting)
    spoil(gated)
    gated.sync()
    gated.sync()
    published(gated)
    assert judged == [2]
    lenient = {"data": None, "suites": [{"suite": "pages", "floors": {"RR@10": 0.5}, "not_worse": None}]}
    gated.index("knowledge", gates=lenient)
    assert published(gated).moved
    assert judged == [2, 2]


def test_a_gate_that_cannot_be_asked_neither_passes_nor_refuses(gated: Project) -> None:
    gated.write("more.md", "# More\n\nThe gate opens at six.\n")
    gated.index("knowledge", gates={"suites": [{"suite": "pages", "floors": {"P@5": 0.1}}]})
    with pytest.raises(ConfigError, match="a gate is on P@5, nDCG@10 of suite pages, which measures RR@10"):
        gated.sync()
    gated.index("knowledge", gates={"suites": [{"suite": "pagse"}]})
    with pytest.raises(ConfigError, match="pagse"):
        gated.sync()
    gated.index("knowledge", gates=GATES)
    assert gated.live() == 1
    assert gated.sync()["published"]


def test_nothing_is_judged_without_gates(project: Project) -> None:
    project.index("knowledge", gates=[])
    project.sync()
    assert project.live() == 1
    assert stored(project, 1) is None
    with project.workspace() as workspace:
        assert judged_candidate(workspace, "knowledge") is None


def test_a_candidate_is_asked_at_its_number_while_readers_see_the_live_one(
    gated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = ask_index

    def looking(*args: Any) -> Any:
        searcher, version = args[1], args[3]
        found = searcher.search("gear ratio", 1, STAFF, version=version)
        seen.append((found.version, [passage.citation.uri for passage in found.passages], gated.live()))
        return real(*args)

    monkeypatch.setattr(suite_gates, "ask_index", looking)
    gated.write("gears.md", "# Gears\n\nThe gear ratio is 3.2.\n")
    assert gated.sync()["published"]
    assert seen == [(2, ["gears.md"], 1)]


def test_the_copy_it_was_judged_on_is_not_kept(gated: Project) -> None:
    spoil(gated)
    gated.sync()
    with gated.workspace() as workspace, workspace.catalog.begin() as tx:
        live = versions.pointer_in(tx, "knowledge")
    assert live is not None
    kept = [path.name for path in (gated.home / "engine").rglob(f"*{live.snapshot}*")]
    copies = [path for path in (gated.home / "engine").rglob("0*") if path.is_dir() and path.name.isdigit()]
    assert kept
    assert {path.name for path in copies} <= {live.snapshot}


def test_rights_that_differ_in_the_engine_are_refused(gated: Project) -> None:
    gated.index("knowledge", gates={"data": None, "security": True}, publish="manual")
    gated.write("more.md", "# More\n\nThe gate opens at six.\n")
    gated.sync()
    with gated.workspace() as workspace:
        with workspace.catalog.begin() as tx:
            row = versions.candidate(tx, "knowledge")
            assert row is not None
            chosen = sa.select(points.c.point_id).where(points.c.removed == CURRENT, points.c.added == 2)
            (point_id,) = tx.execute(chosen).scalars()
        with opened_writer(workspace, row["collection"]) as writer:
            writer.set_payload([point_id], {"acl": ["*"]})
            writer.flush()
        done = publish(workspace, "knowledge")
    assert done.refused == (
        "security: passages of docs/more.md have other rights in the engine than the catalog applied; "
        "run `rag-pipelines reconcile`"
    )


def test_points_that_should_be_gone_and_are_not_are_refused(gated: Project) -> None:
    gated.index("knowledge", gates={"data": None, "security": True}, publish="manual")
    spoil(gated)
    gated.sync()
    with gated.workspace() as workspace:
        with workspace.catalog.begin() as tx:
            row = versions.candidate(tx, "knowledge")
            assert row is not None
            old = list(tx.execute(sa.select(points.c.point_id).where(points.c.removed == 2)).scalars())
        with opened_writer(workspace, row["collection"]) as writer:
            writer.set_payload(old, {"removed": CURRENT})
            writer.flush()
        done = publish(workspace, "knowledge")
    assert old
    assert done.refused is not None
    assert f"{len(old)} passages that this version takes out are still visible" in done.refused


def test_an_answer_that_takes_too_long_is_refused(gated: Project) -> None:
    gated.index("knowledge", gates={**GATES, "latency": {"p95_ms": 0.001}})
    gated.write("more.md", "# More\n\nThe gate opens at six.\n")
    gated.sync()
    assert gated.live() == 1
    names = [check["name"] for check in stored(gated, 2)["checks"]]
    assert names == ["security", "suite_pages", "latency"]
    assert stored(gated, 2)["reason"].startswith("answers take too long: p95 is ")
    assert stored(gated, 2)["reason"].endswith("over its budget of 0.001 ms")


def test_the_data_is_judged_too_and_every_check_is_announced(gated: Project) -> None:
    gated.index("knowledge", gates={**GATES, "data": {}})
    gated.write("pump.md", PUMP + " ".join(["word"] * 3) + "\n")
    assert gated.sync()["published"]
    with gated.workspace() as workspace:
        settings = workspace.configuration.indexes["knowledge"].gates
    assert settings is not None
    assert [check["name"] for check in stored(gated, 2)["checks"]] == gates.check_names(settings)
    assert "vectors_reproducible" in gates.check_names(settings)


def test_a_warning_holds_nothing_back() -> None:
    assert not Check("drift", False, "moved a little", "warning").holds
    assert Check("drift", False, "moved a lot").holds
    assert not Check("drift", True).holds
