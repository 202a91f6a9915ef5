"""Situations in which a run is killed: what was done before, what changed since, and what the run does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from rag_pipelines.catalog import collection_rows, recovery
from rag_pipelines.catalog.tables import collection_totals, embeddings
from rag_pipelines.core.types import Point, VectorSpace
from rag_pipelines.pipeline.writers import opened_writer
from rag_pipelines_tests.project import Project

Edit = Callable[[Project], object]
History = tuple[tuple[Edit, tuple[str, ...]], ...]

LEAVE = (
    "# Leave\n\nEveryone has thirty days of paid leave a year. Part-time staff have a share of them. "
    "Seven days move into the next year. The rest is lost in April. Ask early in summer. "
    "Two weeks in August are closed.\n"
)
TRAVEL = (
    "# Travel\n\nBook trains before flights. Hotels cost at most 140 euros a night. "
    "Keep every receipt. Claims go to finance within a month.\n"
)
PUMP = (
    "# Pump P-880\n\nError ERR_4217 means that the inlet valve is blocked. Open the valve and restart. "
    "Error ERR_4300 means that the motor is hot. Let it cool for an hour.\n"
)
GEARS = "# Gears\n\nThe gear ratio is 3.2. Oil them twice a year. Use grade 68. Never mix two grades.\n"
OLD = "# Fax\n\nThe fax machine is on the second floor. It needs thermal paper. It is slow. Nobody uses it.\n"
PAY = "# Pay\n\nSalaries are paid on the 25th. Bonuses come in March. Bands are reviewed yearly. Ask HR.\n"
BOARD = (
    "# Board\n\nThe board meets four times a year. Minutes are kept by the secretary. It has six members.\n"
)
STRAY = "00000000-0000-4000-8000-000000000000"
CUT = {"strategy": "sentences", "window_sentences": 2, "stride_sentences": 2}


@dataclass(frozen=True, slots=True)
class Scenario:
    """`history` are edits, each followed by steps; `pending` has not been run when `steps` are.

    `end` makes, of the files as they are then, those that the live version shows in the end. `lost` names what
    is missing at the start and cannot be asked for before a run has made it again: engine, blobs.
    """

    name: str
    history: History
    pending: Edit
    steps: tuple[str, ...]
    end: Edit
    lost: tuple[str, ...] = ()


def nothing(project: Project) -> None:
    """No edit."""


def first_files(project: Project) -> None:
    """Two sources, an index that is published by hand, and nothing synced."""
    for source in ("docs", "more"):
        project.source(source, chunking=CUT)
    project.index("knowledge", publish="manual")
    for name, text in (("leave", LEAVE), ("travel", TRAVEL), ("pump", PUMP), ("gears", GEARS), ("old", OLD)):
        project.write(f"{name}.md", text)
    project.write("pay.md", PAY, "more")
    project.write("board.md", BOARD, "more")


def remove(project: Project, *names: str) -> None:
    """Delete documents of the source `docs`."""
    for name in names:
        (project.root / "docs" / f"{name}.md").unlink()


def edit_pump_and_drop_old(project: Project) -> None:
    """What the second version brings; one page cannot be read any more and keeps its text."""
    project.write("pump.md", PUMP.replace("an hour", "two hours"))
    project.write("gears.md", b"\x00\x01\x02\x03" * 500)
    remove(project, "old")


def stage_a_draft(project: Project) -> None:
    """Staged under the third version and not published, so that the next change replaces unseen points."""
    project.write("leave.md", LEAVE.replace("Seven", "Eight"))
    project.write("old.md", OLD.replace("second", "fourth"))
    project.write("draft.md", "# Draft\n\nThis page is a draft. It will not stay. It says little. Wait.\n")


def change_everything(project: Project) -> None:
    """An edit of a draft, an edit, an addition, deletions, a move, a page that is mended, and other rights."""
    project.write("leave.md", LEAVE.replace("Seven", "Nine").replace("August", "July"))
    project.write("pump.md", PUMP.replace("an hour", "three hours"))
    project.write(
        "new.md", "# New\n\nA page about compressors. They are loud. Wear ear muffs. Check the oil.\n"
    )
    project.write("gears.md", GEARS)
    remove(project, "draft", "old")
    (project.root / "docs/travel.md").rename(project.root / "docs/trips.md")
    other_rights(project)


def edit_while_pinned(project: Project) -> None:
    """A deletion, which a pinned index hides at once, an edit, which waits, and a page that comes back."""
    remove(project, "travel")
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    project.write("old.md", OLD.replace("second", "third"))


def other_rights(project: Project) -> None:
    """Nothing but who may read one source."""
    project.source("more", chunking=CUT, acl=["group:board"])


def drop_most(project: Project) -> None:
    """More deletions than the breaker lets through."""
    project.source("docs", chunking=CUT, limits={"max_delete_fraction": 0.2, "max_delete_floor": 2})
    remove(project, "travel", "gears")
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))


def first_texts(project: Project) -> None:
    """The pages of the first version that are still there."""
    project.write("pump.md", PUMP)
    project.write("gears.md", GEARS)


def mended(project: Project) -> None:
    """A page that cannot be read shows its last text."""
    project.write("gears.md", GEARS)


def with_copies(project: Project) -> None:
    """Copies of two pages in the other source, which are not indexed."""
    first_files(project)
    for source, authority in (("docs", 1), ("more", 0)):
        project.source(source, chunking=CUT, dedup={"policy": "collapse", "authority": authority})
    project.write("copied.md", TRAVEL, "more")
    project.write("nearly.md", LEAVE.replace("Part-time", "Parttime"), "more")
    project.index("knowledge", publish="manual", dedup={"threshold": 0.5})


def promote_copies(project: Project) -> None:
    """One representative is gone and one says something else; a copy of another page is new."""
    remove(project, "travel")
    project.write("leave.md", OLD.replace("fax", "copying"))
    project.write("third.md", PUMP, "more")


def edit_under_gates(project: Project) -> None:
    """A change that is judged before it is published."""
    project.index("knowledge", publish="manual", gates={"data": None, "security": True})
    change_everything(project)


def without_gates(project: Project) -> None:
    """What is shown in the end does not depend on them."""
    project.index("knowledge", publish="manual")


def another_space(project: Project) -> None:
    """Another collection beside the live one, and a deletion that both have to know."""
    project.index("knowledge", publish="manual", sparse={"analyzer": "none"})
    remove(project, "travel")


def edit_leave(project: Project) -> None:
    """One sentence."""
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))


def keep_one_version(project: Project) -> None:
    """All but the live version may go: a whole collection, and points of the other one."""
    project.index("knowledge", publish="manual", sparse={"analyzer": "none"}, retain_versions=1)


def damage(project: Project) -> None:
    """Behind the catalog's back: points are missing, wrong and strange, a vector and a text are lost."""
    with project.workspace() as workspace:
        (row,) = collection_rows.collections_of(workspace.catalog, "knowledge")
        with opened_writer(workspace, row["collection"]) as writer:
            points = sorted(writer.scroll(with_vectors=True), key=lambda point: str(point.payload["text"]))
            missing, wrong, *_, pattern = points
            writer.delete([missing.point_id])
            writer.set_payload([wrong.point_id], {"text": "not what the document says"})
            assert pattern.dense is not None
            writer.upsert([Point(STRAY, pattern.dense, None, pattern.payload)])
        stray = workspace.engine.writer("knowledge_0123456789abcdef", VectorSpace(dimension=2, sparse=False))
        stray.close()
        with workspace.catalog.begin() as tx:
            (of_missing,) = recovery.whole_points(tx, row["collection"], [missing.point_id])
            tx.execute(sa.delete(embeddings).where(embeddings.c.embed_hash == of_missing["embed_hash"]))
            tx.execute(sa.update(collection_totals).values(chunks=collection_totals.c.chunks + 1))
        workspace.blobs.delete(pattern.payload["parsed_hash"])


def lose_engine(project: Project) -> None:
    """The disk with the engine is gone; readers cannot open anything until it is made again."""
    shutil.rmtree(project.home / "engine")


FIRST = (first_files, ("sync", "publish"))
SECOND = (edit_pump_and_drop_old, ("sync", "publish"))

SCENARIOS = {
    made.name: made
    for made in (
        Scenario("first", (), first_files, ("sync", "publish"), nothing),
        Scenario(
            "change",
            (FIRST, SECOND, (stage_a_draft, ("sync",))),
            change_everything,
            ("sync", "publish"),
            nothing,
        ),
        Scenario(
            "rollback",
            (FIRST, SECOND),
            nothing,
            ("rollback 1",),
            first_texts,
        ),
        Scenario(
            "pinned",
            (FIRST, SECOND, (nothing, ("rollback 1",))),
            edit_while_pinned,
            ("sync", "unpin", "publish"),
            mended,
        ),
        Scenario("regraded", (FIRST, SECOND), other_rights, ("sync",), mended),
        Scenario("held", (FIRST, SECOND), drop_most, ("sync", "approve", "sync", "publish"), nothing),
        Scenario("space", (FIRST, SECOND), another_space, ("sync", "publish"), mended),
        Scenario(
            "copies", ((with_copies, ("sync", "publish")),), promote_copies, ("sync", "publish"), nothing
        ),
        Scenario(
            "gated",
            (FIRST, SECOND, (stage_a_draft, ("sync",))),
            edit_under_gates,
            ("sync", "publish"),
            without_gates,
        ),
        Scenario("reindex", (FIRST, SECOND), nothing, ("reindex", "publish"), mended),
        Scenario(
            "vacuum",
            (FIRST, SECOND, (another_space, ("sync", "publish")), (edit_leave, ("sync", "publish"))),
            keep_one_version,
            ("vacuum",),
            mended,
        ),
        Scenario(
            "damaged", (FIRST, SECOND), damage, ("reconcile", "sync", "publish"), mended, lost=("blobs",)
        ),
        Scenario("lost", (FIRST, SECOND), lose_engine, ("reconcile",), mended, lost=("engine",)),
    )
}
