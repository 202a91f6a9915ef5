"""Rollback, pin, unpin and publish: what readers see of each version, and what no version shows any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.catalog import versions
from rag_pipelines.core import faults
from rag_pipelines.core.errors import NotFound, NotPublished
from rag_pipelines.core.types import OPERATOR
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.rollback import pin, rollback
from rag_pipelines.pipeline.sync import sync
from rag_pipelines_tests.pipeline.conftest import LEAVE
from rag_pipelines_tests.pipeline.moves import (
    go_forward,
    hidden,
    let_go,
    pinned,
    roll_back,
    running_sync,
    texts,
)
from rag_pipelines_tests.project import Project


@pytest.fixture
def project(two_versions: Project, scratch: Path) -> Project:
    """A project of its own for each test, at version 2."""
    return two_versions.copied(scratch / "project")


def test_rollback_moves_the_pointer_one_version_back_and_pins(project: Project) -> None:
    first, second = project.visible(1), project.visible(2)

    moved = roll_back(project)

    assert (moved.before, moved.version, moved.hidden, moved.settled) == (2, 1, 0, True)
    assert (project.live(), pinned(project)) == (1, 1)
    assert project.visible() == first
    assert project.search("gear ratio", k=1).version == 1
    assert project.visible(2) == second, "the newer version stays stored"


def test_a_rollback_keeps_nothing_that_its_source_deleted_since(project: Project) -> None:
    project.remove("pump.md", "gears.md")
    project.sync()
    assert "pump.md" in project.visible_uris(1), "an older version shows what it held"

    moved = roll_back(project, 1)

    assert moved.hidden == 1
    for version in (None, 1, 2):
        assert "pump.md" not in project.visible_uris(version)
        assert "pump.md" not in project.uris("ERR_4217", version=version)
    assert project.visible_uris(1) == ["leave.md", "travel.md"]
    assert "gears.md" in project.visible_uris(2), "what the live version never had is not hidden"
    roll_back(project, 2)
    assert project.visible_uris(2) == ["leave.md", "travel.md"]
    assert hidden(project) == [], "once no snapshot holds it, nothing has to be filtered out"


def test_a_pinned_index_stages_but_shows_neither_edits_nor_additions(project: Project) -> None:
    roll_back(project)
    before = project.visible()
    project.write("travel.md", "# Travel\n\nWalk.\n")
    project.write("new.md", "# New\n\nCompressors.\n")

    report = project.sync()

    assert (report["version"], report["published"]) == (3, False)
    assert (project.live(), pinned(project)) == (1, 1)
    assert project.visible() == before
    with pytest.raises(NotFound, match="no published version 3; there are 2, 1"):
        project.visible(3)


def test_a_deletion_while_pinned_is_invisible_at_once_in_every_version(project: Project) -> None:
    roll_back(project)
    project.remove("pump.md")

    assert project.sync()["published"] is False

    for version in (None, 1, 2):
        assert "pump.md" not in project.visible_uris(version)
    assert project.live() == 1
    assert hidden(project) == []


def test_unpinning_alone_moves_nothing_and_the_next_publish_goes_to_the_newest(project: Project) -> None:
    roll_back(project)
    project.write("travel.md", "# Travel\n\nWalk.\n")
    project.sync()

    assert let_go(project) == 1
    assert (project.live(), pinned(project)) == (1, None)
    done = go_forward(project)

    assert (done.version, done.moved) == (3, True)
    assert "Walk." in texts(project)
    assert "gears.md" in project.visible_uris()
    assert let_go(project) is None


def test_a_sync_after_unpinning_goes_forward_even_where_nothing_changed(project: Project) -> None:
    roll_back(project)
    let_go(project)

    report = project.sync()

    assert (report["version"], report["published"], project.live()) == (2, True, 2)
    assert "Nine days" in texts(project)


def test_pinning_the_live_version_holds_back_the_next_one(project: Project) -> None:
    with project.workspace() as workspace:
        assert pin(workspace, "knowledge").version == 2
        assert not publish(workspace, "knowledge").moved
    project.write("travel.md", "# Travel\n\nWalk.\n")
    assert project.sync()["published"] is False
    with project.workspace() as workspace:
        done = publish(workspace, "knowledge")
    assert (done.moved, done.version, done.pinned) == (False, 2, 2)
    assert "Walk." not in texts(project)


def test_pinning_another_version_goes_there(project: Project) -> None:
    with project.workspace() as workspace:
        pin(workspace, "knowledge", 1)
        pin(workspace, "knowledge", 2)
    assert (project.live(), pinned(project)) == (2, 2)
    with project.workspace() as workspace:
        rows = versions.versions_of(workspace.catalog, "knowledge")
    assert [(row["number"], row["status"]) for row in rows] == [(2, "published"), (1, "superseded")]


def test_what_cannot_be_gone_back_to_is_said(project: Project) -> None:
    with pytest.raises(NotFound, match="no stored published version 9; there are 2, 1"):
        roll_back(project, 9)
    roll_back(project)
    with pytest.raises(NotFound, match="no stored version before 1"):
        roll_back(project)
    project.index("other")
    with project.workspace() as workspace, pytest.raises(NotPublished, match="rag-pipelines sync"):
        rollback(workspace, "other")


def test_publish_does_not_move_where_the_pin_arrives_after_staging(project: Project) -> None:
    """Between the candidate's snapshot and the switch, another process pins the index."""
    project.write("travel.md", "# Travel\n\nWalk.\n")
    with project.workspace() as workspace, project.workspace() as other:

        def act(place: str) -> None:
            if place == "publish.copied":
                faults.arm(None)
                pin(other, "knowledge")

        faults.arm(act)
        try:
            sync(workspace, ["docs"])
        finally:
            faults.arm(None)
    assert (project.live(), pinned(project)) == (2, 2)
    assert "Walk." not in texts(project)
    let_go(project)
    assert go_forward(project).version == 3
    assert "Walk." in texts(project)


def test_a_rollback_does_not_wait_for_a_running_sync(project: Project) -> None:
    project.remove("pump.md")
    project.sync()
    with running_sync(project):
        moved = roll_back(project, 1)
        assert (moved.version, moved.hidden, moved.settled) == (1, 1, False)
        assert project.live() == 1
        assert len(hidden(project)) == 1
        for version in (None, 1, 2):
            assert "pump.md" not in project.visible_uris(version)
            assert "pump.md" not in project.uris("ERR_4217", version=version)
    project.sync()
    assert hidden(project) == []
    for version in (1, 2):
        assert "pump.md" not in project.visible_uris(version)


def test_a_rollback_in_the_middle_of_a_sync_stays(project: Project) -> None:
    """The sync found the page gone; the rollback comes before it has staged or published anything."""
    project.remove("pump.md")
    with project.workspace() as workspace, project.workspace() as other:

        def act(place: str) -> None:
            if place == "stage.opened":
                faults.arm(None)
                with running_sync(project):
                    assert rollback(other, "knowledge", 1).hidden == 1

        faults.arm(act)
        try:
            sync(workspace, ["docs"])
        finally:
            faults.arm(None)
    assert (project.live(), pinned(project)) == (1, 1)
    assert project.visible_uris() == ["leave.md", "travel.md"]
    assert hidden(project) == []


def test_an_open_searcher_follows_and_never_mixes_versions(project: Project) -> None:
    with project.searchers() as searchers:
        searcher = searchers.get("knowledge")
        assert "Nine days" in searcher.search("carry over leave", 1, OPERATOR).passages[0].text
        assert not searcher.refresh()
        roll_back(project)
        stale = searcher.search("carry over leave", 1, OPERATOR)
        assert (stale.version, "Nine days" in stale.passages[0].text) == (2, True)

        assert searcher.refresh()

        fresh = searcher.search("carry over leave", 1, OPERATOR)
        assert (fresh.version, "Seven days" in fresh.passages[0].text) == (1, True)
        assert {p.citation.version for p in searcher.search("leave", 9, OPERATOR).passages} == {1}
        assert not searcher.refresh()


def test_an_open_searcher_drops_hidden_pages_with_its_next_look(project: Project) -> None:
    project.remove("pump.md")
    project.sync()
    with project.searchers() as searchers, running_sync(project):
        searcher = searchers.get("knowledge")
        searcher.refresh()
        roll_back(project, 1)
        assert searcher.refresh()
        for version in (None, 1, 2):
            found = searcher.search("ERR_4217", 5, OPERATOR, version=version).passages
            assert "pump.md" not in [passage.citation.uri for passage in found]


def test_a_searcher_asked_for_a_version_newer_than_its_snapshot_does_not_answer_from_the_old_one(
    project: Project,
) -> None:
    with project.searchers() as searchers:
        searcher = searchers.get("knowledge")
        searcher.warm()
        project.write("leave.md", LEAVE.replace("Seven days", "Twelve days"))
        project.sync()
        answer = searcher.search("carry over leave", 1, OPERATOR, version=3)
    assert answer.version == 3
    assert "Twelve days" in answer.passages[0].text
