"""What a stage has to look at: what was touched since its mark, or everything."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import documents, marks
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.ids import document_id, shard_of
from rag_pipelines_tests.catalog.rows import INDEX, SOURCE, listed, quarantine, refused, save


def tick(catalog: Catalog, source: str = SOURCE) -> int:
    with catalog.begin() as tx:
        return marks.next_tick(tx, source)


def seen(catalog: Catalog, shards: Collection[int], fingerprint: str = "one", stage: str = "chunk") -> int:
    with catalog.begin() as tx:
        return marks.tick_seen(tx, stage, INDEX, SOURCE, shards, fingerprint)


def mark(
    catalog: Catalog, shards: Collection[int], number: int, fingerprint: str = "one", stage: str = "chunk"
) -> None:
    with catalog.begin() as tx:
        marks.save_marks(tx, stage, INDEX, SOURCE, shards, fingerprint, number)


def touched(catalog: Catalog, since: int, shards: Collection[int] = (0, 1)) -> list[str] | None:
    found = marks.touched_since(catalog, SOURCE, shards, since)
    names = {document_id(SOURCE, f"{name}.md"): name for name in "abc"}
    return None if found is None else sorted(names[doc_id] for doc_id in found)


def test_ticks_grow_for_each_source_by_itself(catalog: Catalog) -> None:
    save(catalog, listed("a.md"), listed("b.md", source="other"))
    with catalog.begin() as tx:
        assert marks.current_tick(tx, SOURCE) == 0
        assert marks.current_tick(tx, "unknown") == 0
    assert [tick(catalog), tick(catalog), tick(catalog, "other"), tick(catalog)] == [1, 2, 1, 3]
    with catalog.begin() as tx:
        assert (marks.current_tick(tx, SOURCE), marks.current_tick(tx, "other")) == (3, 1)


def test_a_source_can_be_registered_again_without_losing_its_tick(catalog: Catalog) -> None:
    save(catalog, listed("a.md"))
    tick(catalog)
    with catalog.begin() as tx:
        register_source(tx, SOURCE, 4)
        assert marks.current_tick(tx, SOURCE) == 1


def test_documents_touched_later_are_looked_at(catalog: Catalog) -> None:
    save(catalog, listed("a.md", touched=1), listed("b.md", touched=2, shard=1), listed("c.md", touched=3))
    save(catalog, listed("x.md", source="other", touched=9))
    assert touched(catalog, 0) == ["a", "b", "c"]
    assert touched(catalog, 1) == ["b", "c"]
    assert touched(catalog, 1, [0]) == ["c"]
    assert touched(catalog, 3) == []
    assert touched(catalog, -1) is None
    with catalog.begin() as tx:
        marks.touch(tx, [document_id(SOURCE, "a.md"), "unknown"], 4)
    assert touched(catalog, 3) == ["a"]
    with catalog.begin() as tx:
        documents.mark_gone(tx, [document_id(SOURCE, "b.md")], 5)
    assert touched(catalog, 4) == ["b"]


def test_beyond_many_documents_everything_is_looked_at(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "MANY", 2)
    save(catalog, *(listed(f"{name}.md", touched=1) for name in "abc"))
    assert touched(catalog, 0) is None
    save(catalog, listed("a.md", touched=0))
    assert touched(catalog, 0) == ["b", "c"]


def test_a_mark_counts_for_the_settings_that_it_was_made_with(catalog: Catalog) -> None:
    assert seen(catalog, [0, 1]) == -1
    mark(catalog, [0, 1], 4)
    assert seen(catalog, [0, 1]) == 4
    assert seen(catalog, [0]) == 4
    assert seen(catalog, [0, 1], "two") == -1
    assert seen(catalog, [0, 1], stage="stage") == -1
    assert seen(catalog, [0, 1, 2]) == -1, "a shard that nobody went through"
    assert seen(catalog, []) == -1
    mark(catalog, [1], 7)
    assert seen(catalog, [0, 1]) == 4
    mark(catalog, [0], 7, "two")
    assert seen(catalog, [0, 1]) == -1
    assert seen(catalog, [0], "two") == 7


def test_a_mark_that_stands_is_not_written_again(catalog: Catalog) -> None:
    written: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "INSERT INTO marks" in statement:
            written.append(statement)

    mark(catalog, [0, 1], 4)
    sa.event.listen(catalog.engine, "before_cursor_execute", listen)
    mark(catalog, [0, 1], 4)
    assert written == []
    mark(catalog, [0, 1], 5)
    assert len(written) == 1


def test_forgetting_is_for_one_stage_or_for_all_but_the_listing(catalog: Catalog) -> None:
    for stage in ("parse", "chunk", marks.LISTING):
        mark(catalog, [0], 3, stage=stage)
    with catalog.begin() as tx:
        marks.save_marks(tx, "chunk", INDEX, "other", [0], "one", 3)
        marks.forget_marks(tx, SOURCE, "chunk")
    assert [seen(catalog, [0], stage=stage) for stage in ("parse", "chunk", marks.LISTING)] == [3, -1, 3]
    with catalog.begin() as tx:
        marks.forget_marks(tx, SOURCE)
        assert marks.tick_seen(tx, "chunk", INDEX, "other", [0], "one") == 3
    assert [seen(catalog, [0], stage=stage) for stage in ("parse", marks.LISTING)] == [-1, 3]


def test_another_number_of_shards_makes_every_stage_look_again(catalog: Catalog) -> None:
    row = listed("a.md", touched=1)
    save(catalog, row)
    mark(catalog, range(4), 5)
    with catalog.begin() as tx:
        register_source(tx, SOURCE, 8)
    assert seen(catalog, range(4)) == -1
    assert marks.touched_since(catalog, SOURCE, [shard_of(row["doc_id"], 8)], 0) == [row["doc_id"]]


def test_the_versions_of_shards_change_with_their_documents(catalog: Catalog) -> None:
    assert marks.shard_versions(catalog, SOURCE) == {}
    with catalog.begin() as tx:
        register_source(tx, SOURCE, 3)
        marks.save_marks(tx, marks.LISTING, "", SOURCE, [1, 2], "", 1)
        marks.save_marks(tx, marks.LISTING, "", SOURCE, [2], "", 5)
    assert marks.shard_versions(catalog, SOURCE) == {0: "0", 1: "1", 2: "5"}


def test_the_marks_of_a_stage_by_source_and_shard(catalog: Catalog) -> None:
    mark(catalog, [0], 4)
    mark(catalog, [1], 5, "two")
    mark(catalog, [1], 6, stage="stage")
    with catalog.begin() as tx:
        marks.save_marks(tx, "chunk", "second", SOURCE, [0], "one", 1)
        assert marks.stage_marks(tx, "chunk", INDEX) == {SOURCE: {0: ("one", 4), 1: ("two", 5)}}
        assert marks.stage_marks(tx, "embed", INDEX) == {}


def test_what_failed_for_a_passing_reason_is_tried_again(catalog: Catalog) -> None:
    passing, lasting, foreign = listed("a.md"), listed("b.md"), listed("c.md", source="other")
    save(catalog, passing, lasting, foreign)
    quarantine(
        catalog,
        refused(passing, "fetch", ""),
        refused(passing, "parse", ""),
        refused(lasting, "parse", "v1 x"),
    )
    quarantine(catalog, refused(foreign, "fetch", ""))
    assert marks.unlucky_documents(catalog, SOURCE) == [passing["doc_id"]]


def test_a_query_for_some_documents_is_asked_in_batches(catalog: Catalog) -> None:
    statement = sa.select(sa.literal(1))
    assert len(list(marks.restricted(statement, sa.column("x"), None))) == 1
    assert list(marks.restricted(statement, sa.column("x"), [])) == []
    assert len(list(marks.restricted(statement, sa.column("x"), [str(number) for number in range(501)]))) == 2
