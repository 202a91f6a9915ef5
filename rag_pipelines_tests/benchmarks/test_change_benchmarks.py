"""The benchmarks of change themselves: right on a small history, and they notice what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.benchmarks import change_cost, edit_locality
from rag_pipelines_tests.benchmarks import replay as replaying
from rag_pipelines_tests.benchmarks.page_project import PageProject, Synced, in_process
from rag_pipelines_tests.benchmarks.small_history import SECTIONS, commit_states
from rag_pipelines_tests.benchmarks.streams import Change, Cutter, Hunk, Stream, open_stream
from rag_pipelines_tests.benchmarks.work import KINDS
from rag_pipelines_tests.project import shared_models_dir


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The states as commits."""
    return commit_states(tmp_path_factory.mktemp("history") / "repository")


@pytest.fixture
def stream(repository: Path, tmp_path: Path) -> Stream:
    """A clone of it."""
    return open_stream(str(repository), tmp_path)


@pytest.fixture(scope="module")
def parser() -> Iterator[SandboxedParser]:
    """The real one."""
    with SandboxedParser(workers=1) as opened:
        yield opened


def test_stream_has_the_commits_that_change_a_listed_file(stream: Stream) -> None:
    commits = stream.commits(100)

    assert [sorted(change.path for change in commit.changes) for commit in commits] == [
        ["pumps.md", "valve.html"],
        ["pumps.md"],
        ["valve.html"],
        ["hall/pumps.md"],
        ["again.md", "hall/pumps.md", "valve.html"],
    ]
    assert stream.commits(2) == commits[-2:]
    assert stream.commits(2, from_end=False) == commits[:2]
    (moved,) = commits[3].changes
    assert moved == Change("hall/pumps.md", "pumps.md", moved.new, moved.new)
    assert sorted(stream.tree(commits[3].sha)) == ["hall/pumps.md", "valve.html"]
    assert b"".join(stream.blobs([moved.new or ""])).decode() == SECTIONS.replace("week 4.", "week 40.")


def test_replay_of_a_small_history_is_right(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    arguments = ["--repo", str(repository), "--commits", "4", "--check-every", "3", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["replay", *arguments])

    replaying.main()

    measured = json.loads(out.read_text())
    assert measured["right"] is True
    assert len(measured["seconds"]) == 4
    middle, last = measured["checks"]
    # Before: nine parts and the valve. Week 40 is new; the comment, the move and what comes back are not.
    assert (middle["commits"], middle["embedded"], middle["expected"]) == (3, 1, 1)
    assert (last["commits"], last["embedded"], last["expected"]) == (4, 1, 1)
    assert (middle["documents"], middle["chunks"], middle["clean_embedded"]) == (2, 10, 10)
    assert (last["documents"], last["chunks"], last["clean_embedded"]) == (2, 18, 9)
    assert all(check["differing"] == check["stale"] == 0 for check in measured["checks"])
    assert min(check["least_cosine"] for check in measured["checks"]) > 0.9995


def test_replay_notices_a_sync_that_leaves_changes_out(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, calls = replaying.run_sync, 0

    def forgetful(workspace: Workspace) -> tuple[float, dict[str, int]]:
        nonlocal calls
        calls += 1
        return (0.0, {"embedded": 0}) if calls == 2 else real(workspace)  # the clean build is the third call

    monkeypatch.setattr(replaying, "run_sync", forgetful)
    out = tmp_path / "out.json"
    monkeypatch.setattr(
        sys, "argv", ["replay", "--repo", str(repository), "--commits", "1", "--json", str(out)]
    )

    with pytest.raises(SystemExit) as ended:
        replaying.main()

    assert ended.value.code == 1
    (check,) = json.loads(out.read_text())["checks"]
    kinds = {example.split(":")[0] for example in check["examples"]}
    # hall/pumps.md keeps week 40 and misses week 4, the nine chunks of again.md are missing, valve.html is still
    # there, and the other eight chunks of hall/pumps.md lie in another text.
    assert kinds == {"missing", "stray", "payload"}
    assert check["differing"] == 1 + 1 + 9 + 1 + 8
    assert "embedded 0, expected 1" in capsys.readouterr().out


CHECK = replaying.Check(1, "c", 2, 3, 0, 0, 1.0, 5, 5, 3, 3, 0.1, 0.1, [])


@pytest.mark.parametrize(
    ("outcome", "right"),
    [
        (replaying.Replay(checks=[CHECK]), True),
        (replaying.Replay(), False),
        (replaying.Replay(checks=[CHECK], miscounted=["c: embedded 2, expected 1"]), False),
        (replaying.Replay(checks=[CHECK, replace(CHECK, differing=1)]), False),
        (replaying.Replay(checks=[replace(CHECK, embedded=6)]), False),
        (replaying.Replay(checks=[replace(CHECK, clean_embedded=2)]), False),
    ],
)
def test_a_replay_is_right_where_nothing_differs(outcome: replaying.Replay, right: bool) -> None:
    assert outcome.right is right


@pytest.mark.parametrize(
    ("hunks", "paragraphs"),
    [
        ([Hunk(1, 1, 1)], 1),
        ([Hunk(1, 1, 1), Hunk(1, 2, 1)], 1),
        ([Hunk(0, 1, 4)], 2),
        ([Hunk(1, 1, 1), Hunk(0, 7, 1)], 2),
        ([Hunk(3, 3, 0)], 1),
        ([Hunk(2, 0, 0)], 1),
        ([Hunk(1, 6, 1)], 1),
    ],
)
def test_changed_paragraphs(hunks: list[Hunk], paragraphs: int) -> None:
    text = "one\nstill one\n\ntwo\n\n\nthree\n"

    assert edit_locality.changed_paragraphs(hunks, text) == paragraphs


def test_edit_locality_counts_what_has_to_be_embedded_anew(stream: Stream, parser: SandboxedParser) -> None:
    commits = stream.commits(100)[1:]

    ways = edit_locality.measure(stream, commits, Cutter(stream, parser, shared_models_dir()))

    ours, windows, raw = ways
    # The sentence of week 40, the comment, and the sentence put back under the other name.
    assert [(edit.lines, edit.paragraphs) for edit in ours.edits] == [(1, 1), (1, 1), (1, 1)]
    assert [(edit.chunks, edit.new, edit.differ) for edit in ours.edits] == [(9, 1, 1), (1, 0, 0), (9, 0, 1)]
    assert [way.moved for way in ways] == [0, 0, 0]
    assert [way.added for way in ways] == [0, 0, 0]
    assert windows.edits[0].chunks < 9
    assert raw.edits[1].new == 1
    rows = edit_locality.results("small", ways)
    assert [(row.documents, row.edits, row.new) for row in rows[:1]] == [("all", 3, 1)]
    spread = rows[0].per_paragraph
    assert (spread.median, spread.p95, spread.mean) == pytest.approx((0.0, 0.9, 1 / 3))
    assert "| small | headings (default) | all | 3 |" in edit_locality.table(rows)


def pages_project(root: Path) -> PageProject:
    """Four pages of three paragraphs."""
    for number in range(4):
        path = root / "pages" / f"page{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Hall {number}\n\nHall {number} has pumps.\n\nIt is closed in week {number}.\n")
    return PageProject(root)


def test_change_cost_measures_and_finds_no_fault(tmp_path: Path) -> None:
    project = pages_project(tmp_path)

    report = change_cost.measure(project, [1, 3], "pipeline.sync", rounds=1)

    assert report.faults == []
    assert report.build_seconds > 0
    assert report.chunks == 4
    assert report.unchanged_work == dict.fromkeys(KINDS, 0)
    assert [(cost.pages, cost.embedded, cost.chunks_added) for cost in report.costs] == [(1, 1, 1), (3, 3, 3)]
    assert all(cost.searchable > 0 for cost in report.costs)
    assert sum(page.read_text().count("was checked against") for page in project.pages) in (3, 4)
    assert "| 3 | 1 |" in change_cost.table(report)

    again = change_cost.measure(project, [2], "pipeline.sync", rounds=1)

    assert (again.build_seconds, again.chunks, again.faults) == (report.build_seconds, 4, [])


def test_work_is_counted_where_it_is_done(tmp_path: Path) -> None:
    project = pages_project(tmp_path)
    project.make()

    first = in_process(project)
    (tmp_path / "pages" / "page0.md").write_text("# Hall 0\n\nHall 0 has no pumps any more.\n")
    second = in_process(project)

    assert {name: first.work[name] for name in ("fetched", "parsed", "embedded", "upserted")} == {
        "fetched": 4,
        "parsed": 4,
        "embedded": 4,
        "upserted": 4,
    }
    assert (second.work["fetched"], second.work["embedded"], second.work["upserted"]) == (1, 1, 1)
    assert second.work["payloads_set"] == 1
    assert second.work["snapshots"] == 1
    assert len(change_cost.faults_of_unchanged(first, second)) >= 6


def test_faults_name_the_work_and_the_version() -> None:
    still = Synced(0.1, 3, {"listed": 4, "unchanged": 4, "embedded": 0}, {"fetched": 0, "upserted": 0})

    assert change_cost.faults_of_unchanged(still, still) == []
    moved = replace(
        still, version=4, counts={**still.counts, "embedded": 2}, work={"fetched": 1, "upserted": 0}
    )
    assert change_cost.faults_of_unchanged(still, moved) == [
        "with nothing changed: embedded 2",
        "with nothing changed: fetched 1",
        "with nothing changed: version 3 became 4",
    ]


def test_fit_recovers_a_line() -> None:
    assert change_cost.fit([(1, 2.5), (10, 7.0), (100, 52.0)]) == pytest.approx((2.0, 0.5))
    assert change_cost.fit([(1, 2.5)]) == (2.5, 0.0)


@pytest.mark.slow
def test_change_cost_of_the_command(tmp_path: Path) -> None:
    report = change_cost.measure(pages_project(tmp_path), [1], "rag-pipelines sync", rounds=1)

    assert report.faults == []
    assert report.unchanged_work == {}
    assert [(cost.pages, cost.embedded) for cost in report.costs] == [(1, 1)]
