"""What no version may show any more: pages that went and came back, rights that were revoked, and both over
a change of the vector space, which lays versions into different collections.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.catalog import versions
from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP
from rag_pipelines_tests.pipeline.moves import go_forward, let_go, roll_back, running_sync, texts
from rag_pipelines_tests.pipeline.stops import KilledError, killing
from rag_pipelines_tests.project import STAFF, Project

BROKEN = b"\x00\x01\x02\x03" * 500


@pytest.fixture
def project(two_versions: Project, scratch: Path) -> Project:
    """A project of its own for each test, at version 2."""
    return two_versions.copied(scratch / "project")


def test_a_page_that_comes_back_is_new_and_does_not_revive_its_past(project: Project) -> None:
    project.remove("pump.md")
    project.sync()
    roll_back(project, 1)
    project.write("pump.md", PUMP)

    counts = project.sync()["sources"]["docs"]

    assert (counts["added"], counts["embedded"]) == (1, 0)
    assert "pump.md" not in project.visible_uris(1)
    let_go(project)
    go_forward(project)
    assert "pump.md" in project.visible_uris()
    assert "pump.md" not in project.visible_uris(1)
    roll_back(project, 1)
    assert "pump.md" not in project.visible_uris()


def test_a_page_that_comes_back_before_its_points_were_deleted_is_in_the_next_version(
    project: Project,
) -> None:
    """Found gone by a sync that died, hidden by a rollback, and there again before anything was settled."""
    project.remove("pump.md")
    with pytest.raises(KilledError), killing("observe.listed"):
        project.sync()
    with running_sync(project):
        assert roll_back(project, 1).hidden == 1
    project.write("pump.md", PUMP)

    counts = project.sync()["sources"]["docs"]

    assert (counts["added"], counts["embedded"]) == (1, 0)
    let_go(project)
    go_forward(project)
    assert project.visible_uris() == ["gears.md", "leave.md", "pump.md", "travel.md"]
    assert project.uris("ERR_4217")[0] == "pump.md"
    assert "pump.md" not in project.visible_uris(1)


def test_a_page_that_comes_back_unreadable_shows_nothing_of_its_past(project: Project) -> None:
    project.remove("pump.md")
    project.sync()
    project.write("pump.md", BROKEN)

    assert project.sync()["sources"]["docs"]["quarantined"] == 1

    assert "pump.md" not in project.visible_uris()
    project.write("pump.md", PUMP)
    project.sync()
    assert "pump.md" in project.visible_uris()


def test_a_page_that_comes_back_with_other_rights_has_them_in_every_version(project: Project) -> None:
    project.remove("pump.md")
    project.sync()
    project.write("pump.md", PUMP)
    project.source("docs", acl=["group:board"])

    project.sync()

    for version in (None, 1, 2):
        assert project.uris("ERR_4217", principal=STAFF, version=version) == []
        assert "pump.md" in project.uris("ERR_4217", version=version)


def test_a_page_that_comes_back_unreadable_has_its_new_rights_in_every_version(project: Project) -> None:
    project.remove("pump.md")
    project.sync()
    project.write("pump.md", BROKEN)
    project.source("docs", acl=["group:board"])

    project.sync()

    for version in (1, 2):
        assert project.uris("ERR_4217", principal=STAFF, version=version) == []
        assert "pump.md" in project.uris("ERR_4217", version=version)


def test_a_revocation_that_was_cut_short_reaches_every_collection_with_the_next(project: Project) -> None:
    """Killed before readers got new snapshots; the next change of rights concerns one collection only."""
    project.index("knowledge", sparse={"analyzer": "none"})
    project.source("more")
    project.write("cams.md", "# Cams\n\nThe cam has four lobes.\n", "more")
    project.sync()
    project.source("docs", acl=["group:board"])
    with pytest.raises(KilledError), killing("access.saved"):
        project.sync("docs")
    project.source("more", acl=["group:board"])

    project.sync("more")

    for version in (1, 2, 3):
        assert project.uris("leave", principal=STAFF, version=version) == []


def test_a_revocation_reaches_the_version_that_was_rolled_back_to(project: Project) -> None:
    roll_back(project)
    assert project.uris("leave", principal=STAFF)
    project.source("docs", classification="restricted")

    assert project.sync()["sources"]["docs"]["access_changed"] == 4

    for version in (None, 1, 2):
        assert project.uris("leave", principal=STAFF, version=version) == []
    project.source("docs")
    project.sync()
    assert project.uris("leave", principal=STAFF, version=1)
    assert project.live() == 1


def test_a_revocation_is_seen_in_the_collection_of_an_earlier_vector_space(project: Project) -> None:
    project.index("knowledge", sparse={"analyzer": "none"})
    project.sync()
    assert (project.live(), len(collections(project))) == (3, 2)
    assert project.uris("leave", principal=STAFF, version=1)
    project.source("docs", acl=["group:board"])

    project.sync()

    for version in (None, 1, 2, 3):
        assert project.uris("leave", principal=STAFF, version=version) == []
        assert project.uris("leave", version=version)


def test_a_rollback_over_a_change_of_vector_space(project: Project) -> None:
    project.index("knowledge", sparse={"analyzer": "none"})
    project.write("travel.md", "# Travel\n\nWalk.\n")
    project.sync()
    project.remove("pump.md")
    project.sync()
    assert "pump.md" in project.visible_uris(2)

    assert roll_back(project, 2).hidden == 1

    assert project.visible_uris() == ["gears.md", "leave.md", "travel.md"]
    assert "Walk." not in texts(project)
    assert project.uris("gear ratio")[0] == "gears.md"
    for version in (1, 2, 3, 4):
        assert "pump.md" not in project.visible_uris(version)


def collections(project: Project) -> set[str]:
    with project.workspace() as workspace:
        return {str(row["collection"]) for row in versions.versions_of(workspace.catalog, "knowledge")}


def test_going_back_to_an_earlier_vector_space_revives_nothing_deleted_in_between(project: Project) -> None:
    before = project.visible(2)
    project.index("knowledge", sparse={"analyzer": "none"})
    project.remove("pump.md")
    project.write("travel.md", "# Travel\n\nWalk.\n")
    project.sync()
    project.index("knowledge")

    report = project.sync()

    assert (report["version"], report["sources"]["docs"]["embedded"]) == (4, 0)
    assert len(collections(project)) == 2
    assert project.visible_uris() == ["gears.md", "leave.md", "travel.md"]
    assert "Walk." in texts(project)
    assert project.visible(2) == before
    with project.workspace() as workspace:
        stats = versions.versions_of(workspace.catalog, "knowledge")[0]["stats"]
    assert (stats["documents"], stats["chunks"]) == (3, len(project.visible()))


def test_going_back_revives_nothing_that_an_interrupted_sync_left_half_removed(project: Project) -> None:
    """Edited, killed before the engine knew, deleted in another vector space, and back to the first one."""
    project.write("pump.md", PUMP.replace("blocked", "stuck"))
    with pytest.raises(KilledError), killing("stage.intended"):
        project.sync()
    project.index("knowledge", sparse={"analyzer": "none"})
    project.remove("pump.md")
    project.sync()
    project.index("knowledge")
    project.write("travel.md", "# Travel\n\nWalk.\n")
    project.sync()
    assert project.visible_uris() == ["gears.md", "leave.md", "travel.md"]


def test_publishing_after_an_interruption_and_a_new_vector_space_shows_every_source(project: Project) -> None:
    project.source("more")
    project.write("cams.md", "# Cams\n\nThe cam has four lobes.\n", "more")
    project.sync()
    project.write("leave.md", LEAVE)
    with pytest.raises(KilledError), killing("stage.intended"):
        project.sync("docs")
    project.index("knowledge", sparse={"analyzer": "none"})

    go_forward(project)

    assert project.visible_uris() == ["cams.md", "gears.md", "leave.md", "pump.md", "travel.md"]
    assert "Seven days" in texts(project)
    assert "Nine days" not in texts(project)
