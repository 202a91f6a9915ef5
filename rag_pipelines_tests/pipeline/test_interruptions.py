"""Killed anywhere, the next run ends in the same index as a clean one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipelines.catalog import staged
from rag_pipelines.core.faults import FAULT_POINTS, PLACES
from rag_pipelines_tests.pipeline import remains, templates, watching
from rag_pipelines_tests.pipeline.conftest import LEAVE
from rag_pipelines_tests.pipeline.kills import KILLS, LAST, POWER_CUTS
from rag_pipelines_tests.pipeline.scenarios import SCENARIOS
from rag_pipelines_tests.pipeline.zygote import Order, Report
from rag_pipelines_tests.project import Project

Shared = tuple[Path, templates.Zygote]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A folder for all test processes and a zygote for this one.

    A file system in memory where there is one: a killed process leaves the same there as on a disk.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    name = f"rag-interruptions-{os.getuid()}-{base.name}"
    memory = Path("/dev/shm")
    folder = (memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())) / name
    folder.mkdir(exist_ok=True)
    zygote = templates.Zygote()
    users = folder / f"user-{os.getpid()}"
    users.touch()
    yield folder, zygote
    zygote.close()
    users.unlink()
    if not list(folder.glob("user-*")):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def place(shared: Shared) -> Iterator[Path]:
    """A folder beside the templates for one test."""
    folder = Path(tempfile.mkdtemp(dir=shared[0]))
    yield folder
    shutil.rmtree(folder)


def test_every_fault_point_is_killed_somewhere() -> None:
    killed = {point for kills in KILLS.values() for point, _ in kills}
    measured = set(PLACES["evaluation.records"])  # killed by rag_pipelines_tests/evaluation/test_records.py
    assert killed | measured == set(FAULT_POINTS)
    assert set(KILLS) == set(SCENARIOS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "point", "time"),
    [(scenario, *kill) for scenario, kills in KILLS.items() for kill in kills],
)
def test_kill_then_rerun_equals_a_clean_build(
    shared: Shared, place: Path, scenario: str, point: str, time: int
) -> None:
    template, facts = templates.prepared(SCENARIOS[scenario], *shared)
    time = facts.passed.count(point) if time == LAST else time
    project = templates.copied(template, place / "project")
    order = Order(project.environ, list(SCENARIOS[scenario].steps), kill=(point, time))
    with watching.watched(project, facts) as watch:
        report = watching.run_watched(shared[1], order, watch)
        assert report.signal == signal.SIGKILL, f"{scenario} never reached {point}: {report.error}"
        if point == "embed.saved":
            assert remains.count_vectors(project) - facts.vectors_before >= 2 * time - 1
        _rerun(shared[1], project, facts, scenario, watch)


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "point", "time"), POWER_CUTS)
def test_what_the_engine_had_not_flushed_is_not_counted_on(
    shared: Shared, place: Path, scenario: str, point: str, time: int
) -> None:
    template, facts = templates.prepared(SCENARIOS[scenario], *shared)
    time = facts.passed.count(point) if time == LAST else time
    project = templates.copied(template, place / "project")
    durable = place / "durable"
    report = shared[1].run(
        Order(project.environ, list(SCENARIOS[scenario].steps), kill=(point, time), durable=str(durable))
    )
    assert report.signal == signal.SIGKILL, f"{scenario} never reached {point}: {report.error}"
    remains.lose_unflushed(project, durable)
    _rerun(shared[1], project, facts, scenario, None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_kill_at_a_random_moment_then_rerun_equals_a_clean_build(
    shared: Shared, place: Path, seed: int
) -> None:
    """A fourth of them parse in processes of their own. A run that was faster than its kill is complete."""
    scenario = ("first", "change", "pinned", "space")[seed % 4]
    template, facts = templates.prepared(SCENARIOS[scenario], *shared)
    project = templates.copied(template, place / "project")
    steps = list(SCENARIOS[scenario].steps)
    after = random.Random(seed).uniform(0.0, facts.seconds)
    with watching.watched(project, facts) as watch:
        order = Order(project.environ, steps, after=after, sandbox=seed < 5)
        watching.run_watched(shared[1], order, watch)
        _rerun(shared[1], project, facts, scenario, watch)
    again = shared[1].run(Order(project.environ, steps))
    assert again.error == ""
    assert [name for name in again.passed if name.startswith(("blob.", "chunk.", "embed.", "stage.in"))] == []
    watching.assert_final(project, facts)


def _rerun(
    zygote: templates.Zygote,
    project: Project,
    facts: templates.Facts,
    scenario: str,
    watch: watching.Watch | None,
) -> None:
    lost = SCENARIOS[scenario].lost
    if "engine" not in lost:
        watching.assert_readable(project, facts)
    if "blobs" not in lost:
        remains.assert_sound_blobs(project)
    kept = remains.count_vectors(project) - facts.vectors_before
    rerun = watching.run_watched(zygote, Order(project.environ, list(SCENARIOS[scenario].steps)), watch)
    assert (rerun.signal, rerun.error) == (0, "")
    assert kept + rerun.computed == facts.computed, "a vector that was committed is not computed again"
    watching.assert_final(project, facts)


@pytest.mark.slow
def test_change_reverted_after_a_crash_leaves_no_stray_point(project: Project, shared: Shared) -> None:
    project.sync()
    before = _texts(project)
    file = project.root / "docs/leave.md"
    kept = file.stat()
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    assert _killed(shared, project, "stage.flushed").signal == signal.SIGKILL
    project.write("leave.md", LEAVE)
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    project.sync()

    assert _texts(project) == before
    remains.assert_consistent(project)


@pytest.mark.slow
def test_source_left_half_staged_is_completed_before_another_publishes(
    project: Project, shared: Shared
) -> None:
    project.source("more")
    project.write("gears.md", "# Gears\n\nThe gear ratio is 3.2.\n", "more")
    project.sync()
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    assert _killed(shared, project, "engine.upserted").signal == signal.SIGKILL

    project.write("gears.md", "# Gears\n\nThe gear ratio is 4.1.\n", "more")
    project.sync("more")

    texts = " ".join(_texts(project))
    assert "Nine days" in texts
    assert "Seven days" not in texts
    assert "4.1" in texts
    with project.workspace() as workspace:
        assert staged.unfinished_sources(workspace.catalog, "knowledge") == []


def _killed(shared: Shared, project: Project, point: str) -> Report:
    return shared[1].run(Order(project.environ, ["sync"], kill=(point, 1)))


def _texts(project: Project) -> list[str]:
    return sorted(payload["text"] for payload in project.visible().values())
