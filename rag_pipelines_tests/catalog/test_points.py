"""The points of every version, and what is left to do after a crash."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog import collection_rows, documents, versions
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.tables import point_documents
from rag_pipelines.core.types import CURRENT
from rag_pipelines_tests.catalog.rows import FIRST, INDEX, SECOND, SOURCE, collection, listed, point, save


def rows_in(catalog: Catalog, doc_id: str = "doc") -> dict[str, tuple[int, int, bool]]:
    """The points that still matter: added, removed, dirty."""
    with catalog.begin() as tx:
        found = point_rows.current_points(tx, FIRST, [doc_id])[doc_id]
    return {row["point_id"]: (row["added"], row["removed"], row["dirty"]) for row in found}


def test_points_go_from_intention_to_confirmation(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [point("a", 1), point("b", 1), point("c", 1, "other")], [], 1)
    assert rows_in(catalog) == {"a": (1, CURRENT, True), "b": (1, CURRENT, True)}
    assert point_rows.dirty_documents(catalog, FIRST, SOURCE) == {"doc", "other"}
    assert point_rows.dirty_documents(catalog, FIRST, "elsewhere") == set()
    with catalog.begin() as tx:
        point_rows.confirm_points(tx, FIRST, ["doc"])
    assert rows_in(catalog) == {"a": (1, CURRENT, False), "b": (1, CURRENT, False)}
    assert point_rows.dirty_documents(catalog, FIRST, SOURCE) == {"other"}


def test_a_point_of_an_earlier_version_is_retired_and_one_never_seen_is_forgotten(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [point("old", 1), point("kept", 1)], [], 1)
        point_rows.confirm_points(tx, FIRST, ["doc"])
        point_rows.intend_points(tx, [point("new", 2)], [], 2)
        point_rows.confirm_points(tx, FIRST, ["doc"])
        point_rows.intend_points(tx, [], [(FIRST, "old"), (FIRST, "new"), (SECOND, "kept")], 2)
    assert rows_in(catalog) == {"old": (1, 2, True), "new": (2, 2, True), "kept": (1, CURRENT, False)}
    with catalog.begin() as tx:
        point_rows.confirm_points(tx, FIRST, ["doc"])
        collection_rows.save_collection(tx, collection())
        found = point_rows.point_ids(tx, INDEX, ["doc", "unknown"])
    assert found.keys() == {FIRST}
    assert found[FIRST].keys() == {"doc"}
    assert sorted(found[FIRST]["doc"]) == ["kept", "old"]
    assert rows_in(catalog) == {"kept": (1, CURRENT, False)}


def test_an_intention_can_be_repeated_and_revived(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [point("a", 1)], [], 1)
        point_rows.intend_points(tx, [], [(FIRST, "a")], 2)
        point_rows.intend_points(tx, [point("a", 1, payload_hash="other")], [], 2)
    assert rows_in(catalog) == {"a": (1, CURRENT, True)}


def test_points_are_counted_as_the_newest_staged_state_has_them(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        added = [point("a", 1), point("b", 1), point("c", 1, "other"), point("d", 1, "third", source="mail")]
        elsewhere = point("e", 1, collection=SECOND)
        point_rows.intend_points(tx, [*added, elsewhere], [], 1)
        point_rows.intend_points(tx, [], [(FIRST, "c")], 2)
        assert point_rows.count_points(tx, FIRST, SOURCE) == (1, 2)
        assert point_rows.count_points(tx, FIRST, "mail") == (1, 1)
        assert point_rows.count_points(tx, SECOND, SOURCE) == (1, 1)
        assert point_rows.count_points(tx, SECOND, "mail") == (0, 0)


def test_thousands_of_points(catalog: Catalog) -> None:
    names = [f"p{number}" for number in range(2_000)]
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [point(name, 1, f"doc{name}") for name in names], [], 1)
        point_rows.intend_points(tx, [], [(FIRST, name) for name in names], 2)
        point_rows.confirm_points(tx, FIRST, [f"doc{name}" for name in names])
        assert point_rows.count_points(tx, FIRST, SOURCE) == (0, 0)
        collection_rows.save_collection(tx, collection())
        found = point_rows.point_ids(tx, INDEX, [f"doc{name}" for name in names])
        assert sum(len(ids) for ids in found[FIRST].values()) == 2_000
        assert found[FIRST]["docp7"] == ["p7"]
    assert point_rows.dirty_documents(catalog, FIRST, SOURCE) == set()


def version_row(catalog: Catalog, number: int, name: str) -> None:
    with catalog.begin() as tx:
        assert versions.open_candidate(tx, INDEX, name, "space1") == number
        versions.set_version(tx, INDEX, number, status="published")


def two_collections(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, collection())
        collection_rows.save_collection(tx, collection(SECOND, space="space2"))


def test_points_of_every_version_and_collection_of_an_index_are_found(catalog: Catalog) -> None:
    two_collections(catalog)
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, collection("other_cccc", index="other"))
        added = [point("old", 1), point("new", 2), point("far", 2, collection=SECOND)]
        foreign = point("foreign", 1, collection="other_cccc")
        point_rows.intend_points(tx, [*added, foreign, point("b", 1, "second")], [], 2)
        point_rows.intend_points(tx, [], [(FIRST, "old")], 2)
        found = point_rows.point_ids(tx, INDEX, ["doc"])
    assert {name: sorted(ids["doc"]) for name, ids in found.items()} == {
        FIRST: ["new", "old"],
        SECOND: ["far"],
    }


def test_what_other_collections_still_show_of_a_gone_document(catalog: Catalog) -> None:
    two_collections(catalog)
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, collection("other_cccc", index="other"))
        point_rows.intend_points(tx, [point("here", 2, collection=SECOND), point("there", 1)], [], 2)
        point_rows.intend_points(tx, [point("kept", 1, "another"), point("retired", 1)], [], 2)
        point_rows.intend_points(tx, [point("foreign", 1, collection="other_cccc")], [], 2)
        point_rows.confirm_points(tx, FIRST, ["doc", "another"])
        point_rows.retire_points(tx, FIRST, ["retired"], 2)
        assert point_rows.lingering_points(tx, INDEX, SECOND, ["doc"]) == {FIRST: ["there"]}
        assert point_rows.lingering_points(tx, INDEX, FIRST, ["doc"]) == {SECOND: ["here"]}
        point_rows.retire_points(tx, FIRST, ["there"], 2)
        assert point_rows.lingering_points(tx, INDEX, SECOND, ["doc"]) == {}
    assert rows_in(catalog) == {}


def test_a_point_that_may_not_have_been_taken_out_lingers(catalog: Catalog) -> None:
    """Killed between intention and engine: the catalog says removed, the engine may still show it."""
    two_collections(catalog)
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [point("old", 1)], [], 1)
        point_rows.confirm_points(tx, FIRST, ["doc"])
        point_rows.intend_points(tx, [], [(FIRST, "old")], 2)
        assert point_rows.lingering_points(tx, INDEX, SECOND, ["doc"]) == {FIRST: ["old"]}


def test_deleted_points_are_forgotten(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        point_rows.intend_points(tx, [point("a", 1), point("b", 1), point("a", 1, collection=SECOND)], [], 1)
        point_rows.delete_points(tx, FIRST, ["a", "never there"])
        assert point_rows.count_points(tx, SECOND, SOURCE) == (1, 1)
    assert list(rows_in(catalog)) == ["b"]


def test_gone_documents_are_found_where_the_version_still_shows_them(catalog: Catalog) -> None:
    rows = {name: listed(f"{name}.md") for name in ("live", "early", "late", "never")}
    save(catalog, *rows.values())
    ids = {name: row["doc_id"] for name, row in rows.items()}
    two_collections(catalog)
    with catalog.begin() as tx:
        first = [point("live", 1, ids["live"]), point("early", 1, ids["early"])]
        point_rows.intend_points(tx, [*first, point("late", 2, ids["late"])], [], 2)
        point_rows.intend_points(tx, [], [(FIRST, "early")], 2)
        documents.mark_gone(tx, [ids["early"], ids["late"], ids["never"]], 1)
    for number, name in ((1, FIRST), (2, FIRST), (3, SECOND)):
        version_row(catalog, number, name)
    with catalog.begin() as tx:
        found = [point_rows.gone_but_visible(tx, INDEX, number) for number in (1, 2, 3, 4)]
        assert point_rows.gone_but_visible(tx, "second", 1) == []
    assert found == [[ids["early"]], [ids["late"]], [], []]


def test_what_points_of_a_document_share_is_stored_once(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        point_rows.save_point_documents(tx, {"key": {"title": "Leave", "meta": {"a": [1, None]}}})
        point_rows.save_point_documents(tx, {"key": {"title": "never overwritten"}, "other": {}})
        rows = tx.execute(sa.select(point_documents).order_by(point_documents.c.document_key)).all()
    assert [tuple(row) for row in rows] == [
        ("key", {"title": "Leave", "meta": {"a": [1, None]}}),
        ("other", {}),
    ]


def test_points_keep_what_they_can_be_rebuilt_from(catalog: Catalog) -> None:
    record = {"ordinal": 3, "heading_path": ["Guide"], "page": None, "text_hash": "x"}
    with catalog.begin() as tx:
        row = point("a", 1, chunk=record, embed_hash="e" * 64, document_key="d" * 64)
        point_rows.intend_points(tx, [row], [], 1)
        [found] = point_rows.current_points(tx, FIRST, ["doc"])["doc"]
    assert (found["chunk"], found["embed_hash"], found["document_key"]) == (record, "e" * 64, "d" * 64)


def test_the_text_that_a_version_cites(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, collection())
        point_rows.intend_points(tx, [point("old", 1)], [], 1)
        point_rows.intend_points(tx, [point("new", 3)], [(FIRST, "old")], 3)
    for number in (1, 2, 3):
        version_row(catalog, number, FIRST)
    found = [point_rows.parsed_at(catalog, "doc", INDEX, number) for number in (0, 1, 2, 3, 4)]
    assert found == [None, "text of old", "text of old", "text of new", None]
    assert point_rows.parsed_at(catalog, "doc", "second", 1) is None
    assert point_rows.parsed_at(catalog, "unknown", INDEX, 1) is None


def test_a_version_cites_the_collection_that_it_was_published_from(catalog: Catalog) -> None:
    """After a change of model the old collection stays as it was, with every point current."""
    with catalog.begin() as tx:
        collection_rows.save_collection(tx, collection())
        collection_rows.save_collection(tx, collection(SECOND, space="space2"))
        point_rows.intend_points(tx, [point("old", 1)], [], 1)
        point_rows.intend_points(tx, [point("new", 2, collection=SECOND)], [], 2)
    version_row(catalog, 1, FIRST)
    version_row(catalog, 2, SECOND)
    assert point_rows.parsed_at(catalog, "doc", INDEX, 1) == "text of old"
    assert point_rows.parsed_at(catalog, "doc", INDEX, 2) == "text of new"
