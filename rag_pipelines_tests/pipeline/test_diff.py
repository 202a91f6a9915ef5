"""What differs between two versions, as documents and as chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog.differences import Place, shown_by_one
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.tables import points
from rag_pipelines.core.errors import NotFound
from rag_pipelines.core.types import CURRENT
from rag_pipelines.pipeline.diff import VersionDiff, diff
from rag_pipelines.pipeline.vacuum import vacuum
from rag_pipelines_tests.pipeline.prepared import one_version, rolled_back_while_busy, three_versions
from rag_pipelines_tests.project import Project


def compared(project: Project, older: int, newer: int, **options: int) -> VersionDiff:
    with project.workspace() as workspace:
        return diff(workspace, "knowledge", older, newer, **options)


def listed(found: VersionDiff) -> list[tuple[str, str]]:
    return [(change.change, change.uri) for change in found.listed]


@pytest.fixture
def grown(tmp_path: Path) -> Project:
    """Version 2 edits leave.md (one chunk for another), version 3 deletes pump.md."""
    return three_versions(tmp_path)


def test_an_edit_and_a_deletion(grown: Project) -> None:
    first, second, both = compared(grown, 1, 2), compared(grown, 2, 3), compared(grown, 1, 3)

    assert listed(first) == [("changed", "leave.md")]
    assert first.as_json()["chunks"] == {"added": 1, "removed": 1, "changed": 0}
    assert listed(second) == [("removed", "pump.md")]
    assert second.as_json()["chunks"] == {"added": 0, "removed": 1, "changed": 0}
    assert listed(both) == [("changed", "leave.md"), ("removed", "pump.md")]
    assert both.as_json()["documents"] == {"added": 0, "removed": 1, "changed": 1, "details": 0}
    assert not both.other_space
    (change,) = (change for change in both.listed_chunks if change.change == "added")
    (shown,) = (point for name, point in grown.visible(3).items() if name == change.chunk_id)
    assert (change.uri, change.start, change.end) == (shown["uri"], shown["start"], shown["end"])
    assert change.heading_path == tuple(shown["heading_path"])


def test_the_other_way_round_and_to_itself(grown: Project) -> None:
    back = compared(grown, 3, 1)
    assert listed(back) == [("changed", "leave.md"), ("added", "pump.md")]
    assert back.as_json()["chunks"] == {"added": 2, "removed": 1, "changed": 0}
    same = compared(grown, 2, 2)
    assert listed(same) == []
    assert sum(same.chunks.values()) == 0


def test_moved_offsets_change_the_details_of_chunks(tmp_path: Path) -> None:
    """A paragraph above moves what follows: those chunks keep their text and say another place."""
    project = one_version(tmp_path)
    below = "# Trains\n\nBook trains before flights.\n\n# Bags\n\n" + "Pack light. " * 80
    project.write("travel.md", below)
    project.write("new.md", "# New\n\nCompressors.\n")
    project.sync()
    project.write("travel.md", "# Preface\n\n" + "A long preface. " * 60 + "\n\n" + below)
    project.sync()

    added, moved = compared(project, 1, 2), compared(project, 2, 3)

    assert listed(added) == [("added", "new.md"), ("changed", "travel.md")]
    assert listed(moved) == [("changed", "travel.md")]
    now, then = project.visible(3), project.visible(2)
    same = {name for name in now.keys() & then.keys() if now[name]["uri"] == "travel.md"}
    changed = [change for change in moved.listed_chunks if change.change == "changed"]
    assert {change.chunk_id for change in changed} == same != set()
    assert [change.start for change in changed] == sorted(now[name]["start"] for name in same)
    assert all(now[name]["text"] == then[name]["text"] for name in same)


def test_counts_are_whole_and_lists_are_cut(grown: Project) -> None:
    whole, cut = compared(grown, 1, 3), compared(grown, 1, 3, limit=1)
    assert cut.documents == whole.documents
    assert cut.chunks == whole.chunks
    assert cut.listed == whole.listed[:1]
    assert len(whole.listed_chunks) == 3
    assert len(cut.listed_chunks) == 1
    assert cut.listed_chunks[0] in whole.listed_chunks
    assert compared(grown, 1, 3, limit=0).listed_chunks == ()


def test_hidden_documents_are_in_neither(grown: Project) -> None:
    assert ("removed", "pump.md") in listed(compared(grown, 1, 3))
    rolled_back_while_busy(grown, 1)
    assert listed(compared(grown, 1, 3)) == [("changed", "leave.md")]


def test_the_candidate_can_be_compared_before_it_is_published(grown: Project) -> None:
    grown.index("knowledge", publish="manual")
    grown.write("walk.md", "# Walk\n\nOn foot.\n")
    grown.sync()
    assert listed(compared(grown, 3, 4)) == [("added", "walk.md")]


def test_versions_in_different_collections(grown: Project) -> None:
    grown.index("knowledge", sparse={"analyzer": "none"})
    grown.write("walk.md", "# Walk\n\nOn foot.\n")
    grown.sync()

    found = compared(grown, 2, 4)

    assert found.other_space
    assert listed(found) == [("removed", "pump.md"), ("added", "walk.md")]
    assert found.as_json()["chunks"] == {"added": 1, "removed": 1, "changed": 0}
    assert listed(compared(grown, 4, 2)) == [("added", "pump.md"), ("removed", "walk.md")]


def test_a_version_that_was_never_there_or_is_gone(grown: Project) -> None:
    with pytest.raises(NotFound, match="no version 7; there are 3, 2, 1"):
        compared(grown, 1, 7)
    grown.index("knowledge", retain_versions=1)
    with grown.workspace() as workspace:
        vacuum(workspace, "knowledge")
    with pytest.raises(NotFound, match="version 1 of index 'knowledge' is no longer stored"):
        compared(grown, 1, 3)


def test_within_a_collection_the_rows_looked_at_are_those_of_the_change(catalog: Catalog) -> None:
    """The plan of the query names the index over the versions, on either database."""
    spans = [(1, CURRENT)] * 3000 + [(1, 7), (7, CURRENT), (3, 5), (6, 8), (7, 8)]
    with catalog.begin() as tx:
        tx.execute(sa.insert(points), [_point(n, added, removed) for n, (added, removed) in enumerate(spans)])
    if catalog.dialect == "postgresql":
        with catalog.begin() as tx:
            tx.exec_driver_sql("ANALYZE points")
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        prefix = "EXPLAIN QUERY PLAN " if catalog.dialect == "sqlite" else "EXPLAIN "
        if statement.startswith("SELECT points.point_id"):
            plans.append(
                str([tuple(row) for row in connection.exec_driver_sql(prefix + statement, parameters)])
            )

    six, seven = Place("c", 6), Place("c", 7)
    sa.event.listen(catalog.engine, "before_cursor_execute", explain)
    try:
        with catalog.begin() as tx:
            assert _numbers(shown_by_one(tx, six, seven)) == {3000}
            assert _numbers(shown_by_one(tx, seven, six)) == {3001, 3004}
            assert _numbers(shown_by_one(tx, Place("c", 4), seven)) == {3000, 3002}
    finally:
        sa.event.remove(catalog.engine, "before_cursor_execute", explain)
    assert "ix_points_collection_removed" in plans[0]
    assert "ix_points_collection_added" in plans[1]


def _point(number: int, added: int, removed: int) -> dict[str, object]:
    name = f"{number:08d}"
    return {
        "collection": "c",
        "point_id": name,
        "chunk_id": name,
        "doc_id": name,
        "source": "docs",
        "added": added,
        "removed": removed,
        "payload_hash": name,
        "parsed_hash": name,
        "dirty": False,
    }


def _numbers(rows: Any) -> set[int]:
    return {int(row["point_id"]) for row in rows}
