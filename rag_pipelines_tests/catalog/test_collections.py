"""Collections, their snapshots, and how much is current in them."""

from __future__ import annotations

from rag_pipelines.catalog import collection_rows
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.store import Catalog
from rag_pipelines_tests.catalog.rows import FIRST, INDEX, SECOND, SOURCE, collection, point


def test_the_two_newest_snapshots_are_remembered(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, collection())
        for snapshot in ("a", "b", "b", "c"):
            collection_rows.remember_snapshot(tx, FIRST, snapshot)
        collection_rows.remember_snapshot(tx, "unknown", "a")
        row = collection_rows.collection_row(tx, FIRST)
        assert row is not None
        assert row["snapshots"] == ["b", "c"]


def test_a_collection_is_found_by_its_index_and_space(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, collection())
        collection_rows.save_collection(tx, collection(SECOND, space="space2"))
        collection_rows.save_collection(tx, {**collection(), "average_length": 99.0})
        found = collection_rows.collection_of(tx, INDEX, "space1")
        assert found is not None
        assert (found["collection"], found["average_length"]) == (FIRST, 12.5)
        assert found["vectors"] == {"dimension": 4}
        assert collection_rows.collection_of(tx, INDEX, "space3") is None
        assert collection_rows.collection_of(tx, "second", "space1") is None
        assert collection_rows.collection_row(tx, "unknown") is None


def test_collections_of_an_index_come_oldest_first(catalog: Catalog) -> None:
    later = "2026-02-01T00:00:00.000+00:00"
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, {**collection(), "created_at": later})
        collection_rows.save_collection(tx, collection(SECOND, space="space2"))
        collection_rows.save_collection(tx, collection("other_cccc", index="other"))
    assert [row["collection"] for row in collection_rows.collections_of(catalog, INDEX)] == [SECOND, FIRST]


def totals(catalog: Catalog, *sources: str, name: str = FIRST) -> dict[str, tuple[int, int]]:
    with catalog.begin() as tx:
        return collection_rows.totals(tx, name, list(sources))


def add(catalog: Catalog, source: str, documents: int, chunks: int) -> None:
    with catalog.begin() as tx:
        collection_rows.add_totals(tx, FIRST, source, documents, chunks)


def test_totals_are_counted_once_and_kept_from_then_on(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        added = [point("a", 1), point("b", 1), point("c", 1, "other"), point("d", 1, "third", source="mail")]
        point_rows.intend_points(tx, [*added, point("e", 1, collection=SECOND)], [], 1)
    add(catalog, SOURCE, 100, 100)
    assert totals(catalog, SOURCE) == {SOURCE: (2, 3)}, "nothing is added to what was never counted"
    add(catalog, SOURCE, 1, 4)
    add(catalog, SOURCE, -2, -5)
    assert totals(catalog, SOURCE, "mail", "empty") == {SOURCE: (1, 2), "mail": (1, 1), "empty": (0, 0)}
    assert totals(catalog, SOURCE, name=SECOND) == {SOURCE: (1, 1)}
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [], [(FIRST, "d")], 2)
    assert totals(catalog)["mail"] == (1, 1), "what is known is not counted again"


def test_forgotten_totals_are_counted_again(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [point("a", 1), point("b", 1, "other", source="mail")], [], 1)
    both = (SOURCE, "mail")
    totals(catalog, *both)
    for source in both:
        add(catalog, source, 10, 10)
    with catalog.begin() as tx:
        collection_rows.forget_totals(tx, FIRST, SOURCE)
    assert totals(catalog, *both) == {SOURCE: (1, 1), "mail": (11, 11)}
    add(catalog, SOURCE, 5, 5)
    with catalog.begin() as tx:
        collection_rows.forget_totals(tx, FIRST)
    assert totals(catalog, *both) == {SOURCE: (1, 1), "mail": (1, 1)}


def test_a_dropped_collection_takes_its_points_and_totals_along(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for name, space in ((FIRST, "space1"), (SECOND, "space2")):
            collection_rows.save_collection(tx, collection(name, space=space))
            point_rows.intend_points(tx, [point("a", 1, collection=name)], [], 1)
            collection_rows.totals(tx, name, [SOURCE])
        collection_rows.drop_collection(tx, FIRST)
        assert collection_rows.collection_row(tx, FIRST) is None
        assert collection_rows.collection_row(tx, SECOND) is not None
        assert point_rows.count_points(tx, FIRST, SOURCE) == (0, 0)
        assert point_rows.count_points(tx, SECOND, SOURCE) == (1, 1)
    assert totals(catalog, name=FIRST) == {}
    assert totals(catalog, name=SECOND) == {SOURCE: (1, 1)}
