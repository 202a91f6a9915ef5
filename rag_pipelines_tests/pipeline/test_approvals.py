"""Deletions that wait for a person, from listing to approval; everything else of the sync goes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import approvals
from rag_pipelines.catalog.control_tables import approvals as approval_rows
from rag_pipelines.catalog.store import Row, rows_of
from rag_pipelines.core.errors import NotFound
from rag_pipelines.pipeline.approve import approve, choose_approvals
from rag_pipelines_tests.project import Parts, Project, scratch_folder

MACHINES = [f"machine{number:02d}.txt" for number in range(30)]


def page(name: str) -> str:
    return f"{name} stands in hall {name[-6:-4]} and is oiled every week.\n"


@pytest.fixture(scope="module")
def synced(parts: Parts) -> Iterator[Project]:
    """Thirty documents at version 1."""
    with scratch_folder() as folder:
        made = Project(folder / "project", parts=parts)
        for name in MACHINES:
            made.write(name, page(name))
        made.sync()
        yield made.copied(folder / "small")


@pytest.fixture
def project(synced: Project, scratch: Path) -> Project:
    """A copy of it for each test."""
    return synced.copied(scratch / "project")


def waiting(project: Project) -> list[Row]:
    with project.workspace() as workspace:
        return approvals.pending_approvals(workspace.catalog)


def statuses(project: Project) -> list[str]:
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        rows = rows_of(tx.execute(sa.select(approval_rows).order_by(approval_rows.c.id)))
    return [row["status"] for row in rows]


def agree(project: Project, by: str = "ana") -> int:
    with project.workspace() as workspace:
        [request] = approvals.pending_approvals(workspace.catalog)
        return approve(workspace, request, by)


def synced_counts(project: Project, *names: str) -> dict[str, int]:
    """The counts of another sync that a test looks at."""
    counts: dict[str, int] = project.sync("docs")["sources"]["docs"]
    return {name: counts[name] for name in names}


def test_held_deletions_stay_searchable_while_the_rest_goes_through(project: Project) -> None:
    project.remove(*MACHINES[:12])
    project.write(MACHINES[20], "This one was sold to a museum.\n")
    project.write("new.txt", "A lathe arrived.\n")
    (project.root / "docs" / MACHINES[29]).rename(project.root / "docs/renamed.txt")

    report = project.sync()

    counts = report["sources"]["docs"]
    names = ("listed", "added", "changed", "moved", "deleted", "held", "unchanged")
    assert [counts[name] for name in names] == [19, 1, 1, 1, 0, 12, 16]
    assert (report["version"], report["published"]) == (2, True)
    assert project.visible_uris() == sorted({*MACHINES[:29], "new.txt", "renamed.txt"})
    assert project.uris("machine07 hall 07", k=1) == ["machine07.txt"]
    assert "museum" in project.search("museum", k=1).passages[0].text
    [request] = waiting(project)
    assert (request["source"], request["count"]) == ("docs", 12)
    assert request["documents"] == MACHINES[:12]
    assert request["reason"].startswith("12 of 30 documents are missing")


def test_a_second_sync_makes_no_second_request_and_no_version(project: Project) -> None:
    project.remove(*MACHINES[:12])
    project.sync()
    assert synced_counts(project, "held", "deleted", "unchanged") == {
        "held": 12,
        "deleted": 0,
        "unchanged": 18,
    }
    project.remove(MACHINES[12])
    assert synced_counts(project, "held") == {"held": 13}
    [request] = waiting(project)
    assert request["documents"] == MACHINES[:13]
    assert statuses(project) == ["pending"]
    assert project.live() == 1


def test_approving_takes_them_out_with_the_next_sync(project: Project) -> None:
    project.remove(*MACHINES[:12])
    project.sync()

    assert agree(project) == 12

    assert statuses(project) == ["approved"]
    assert waiting(project) == []
    assert synced_counts(project, "held", "deleted", "unchanged") == {
        "held": 0,
        "deleted": 0,
        "unchanged": 18,
    }
    assert project.visible_uris() == MACHINES[12:]
    assert project.visible_uris(1) == MACHINES
    assert project.live() == 2


def test_approving_spares_those_that_came_back_in_between(project: Project) -> None:
    project.remove(*MACHINES[:14])
    project.sync()
    for name in MACHINES[:3]:
        project.write(name, page(name))
    assert synced_counts(project, "held", "added", "unchanged") == {"held": 11, "added": 0, "unchanged": 19}

    assert agree(project) == 11

    project.sync()
    assert project.visible_uris() == [*MACHINES[:3], *MACHINES[14:]]


def test_those_that_come_back_after_the_approval_are_new_again(project: Project) -> None:
    project.remove(*MACHINES[:12])
    project.sync()
    agree(project)
    project.write(MACHINES[0], page(MACHINES[0]))
    assert synced_counts(project, "added", "embedded", "held") == {"added": 1, "embedded": 0, "held": 0}
    assert project.visible_uris() == [MACHINES[0], *MACHINES[12:]]


def test_a_listing_that_recovers_withdraws_the_request(project: Project) -> None:
    project.remove(*MACHINES[:12])
    project.sync()
    for name in MACHINES[:12]:
        project.write(name, page(name))

    assert synced_counts(project, "held", "unchanged", "added") == {"held": 0, "unchanged": 30, "added": 0}

    assert statuses(project) == ["withdrawn"]
    assert project.live() == 1
    project.remove(*MACHINES[:12])
    project.sync()
    assert statuses(project) == ["withdrawn", "pending"]


def test_a_listing_that_recovers_in_part_deletes_the_few_that_are_left(project: Project) -> None:
    project.remove(*MACHINES[:12])
    project.sync()
    for name in MACHINES[:10]:
        project.write(name, page(name))
    assert synced_counts(project, "held", "deleted") == {"held": 0, "deleted": 2}
    assert statuses(project) == ["withdrawn"]
    assert project.visible_uris() == [*MACHINES[:10], *MACHINES[12:]]


def test_an_emptied_folder_is_held_and_stays_searchable(project: Project) -> None:
    project.remove(*MACHINES)
    assert synced_counts(project, "listed", "held", "deleted") == {"listed": 0, "held": 30, "deleted": 0}
    assert project.visible_uris() == MACHINES
    assert waiting(project)[0]["reason"] == "the listing was empty, while 30 documents are known"
    agree(project)
    project.sync()
    assert project.visible_uris() == []


def test_a_folder_that_moved_as_a_whole_is_no_deletion(project: Project) -> None:
    (project.root / "docs/halls").mkdir()
    for name in MACHINES:
        (project.root / "docs" / name).rename(project.root / "docs/halls" / name)
    names = ("moved", "added", "deleted", "held", "embedded")
    assert list(synced_counts(project, *names).values()) == [30, 0, 0, 0, 0]
    assert project.visible_uris() == [f"halls/{name}" for name in MACHINES]


def test_a_small_source_that_loses_most_of_it_just_loses_it(project: Project) -> None:
    small = [f"{number}.txt" for number in range(5)]
    project.source("small")
    for name in small:
        project.write(name, page(f"tool{name}"), "small")
    project.sync()
    project.remove(*small[:3], source="small")

    counts = project.sync()["sources"]

    assert (counts["small"]["deleted"], counts["small"]["held"]) == (3, 0)
    assert counts["docs"]["unchanged"] == 30
    assert project.visible_uris() == sorted({*MACHINES, *small[3:]})


@pytest.mark.parametrize(
    ("limits", "held"),
    [
        ({"max_delete_fraction": 0.05, "max_delete_floor": 2}, 2),
        ({"max_delete_fraction": 0.05, "max_delete_floor": 3}, 0),
        ({"max_delete_fraction": 0.5, "max_delete_floor": 2}, 0),
    ],
)
def test_a_source_states_its_own_limits(project: Project, limits: dict[str, Any], held: int) -> None:
    project.source("docs", limits=limits)
    project.remove(*MACHINES[:2])
    assert synced_counts(project, "held", "deleted") == {"held": held, "deleted": 2 - held}


def test_a_higher_limit_lets_held_deletions_go(project: Project) -> None:
    project.remove(*MACHINES[:12])
    project.sync()
    project.source("docs", limits={"max_delete_fraction": 0.5})
    assert synced_counts(project, "held", "deleted") == {"held": 0, "deleted": 12}
    assert statuses(project) == ["withdrawn"]
    assert project.visible_uris() == MACHINES[12:]


def test_held_deletions_of_a_pinned_index_are_not_hidden(project: Project) -> None:
    from rag_pipelines.pipeline.rollback import pin

    with project.workspace() as workspace:
        pin(workspace, "knowledge")
    project.remove(*MACHINES[:12])
    project.sync()
    assert project.visible_uris() == MACHINES
    agree(project)
    project.sync()
    assert project.visible_uris() == MACHINES[12:], (
        "once approved they go at once, though nothing is published"
    )
    assert project.live() == 1


def test_a_request_is_chosen_by_number_or_source_or_for_being_the_only_one() -> None:
    one = {"id": 1, "source": "docs", "count": 12}
    other = {"id": 2, "source": "mail", "count": 40}
    assert choose_approvals([one], []) == [one]
    assert choose_approvals([one, other], ["2"]) == [other]
    assert choose_approvals([one, other], ["docs", "1"]) == [one]
    with pytest.raises(NotFound, match="nothing waits"):
        choose_approvals([], ["docs"])
    with pytest.raises(NotFound, match=r"several requests wait; name .* 1 \(source docs, 12 documents\), 2"):
        choose_approvals([one, other], [])
    with pytest.raises(NotFound, match="no request 'wiki' waits"):
        choose_approvals([one, other], ["wiki"])
