"""The candidate, the pointer, the points of every version, and what is left to do after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipelines.catalog import chunks, documents, versions
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.versions import Pointer
from rag_pipelines.core.types import CURRENT
from rag_pipelines_tests.catalog.rows import INDEX, SINCE, SOURCE, chunk, listed, save

FIRST, SECOND = "knowledge_aaaa", "knowledge_bbbb"


def collection(name: str = FIRST, index: str = INDEX, space: str = "space1") -> dict[str, Any]:
    return {
        "collection": name,
        "index_name": index,
        "space_fp": space,
        "average_length": 12.5,
        "vectors": {"dimension": 4},
        "snapshots": [],
        "created_at": SINCE,
    }


def point(name: str, added: int, doc_id: str = "doc", **values: Any) -> dict[str, Any]:
    return {
        "collection": FIRST,
        "point_id": name,
        "chunk_id": f"chunk-{name}",
        "doc_id": doc_id,
        "source": SOURCE,
        "added": added,
        "payload_hash": "payload",
        "parsed_hash": f"text of {name}",
        **values,
    }


def candidate(catalog: Catalog) -> tuple[int, str, str] | None:
    with catalog.begin() as tx:
        row = versions.candidate(tx, INDEX)
    return None if row is None else (row["number"], row["status"], row["collection"])


def open_one(catalog: Catalog, name: str = FIRST, index: str = INDEX) -> int:
    with catalog.begin() as tx:
        return versions.open_candidate(tx, index, name, "space1")


def publish(catalog: Catalog, number: int, name: str = FIRST, snapshot: str = "s") -> Pointer:
    with catalog.begin() as tx:
        versions.set_version(tx, INDEX, number, status="published", published_at=SINCE)
        versions.supersede(tx, INDEX, number)
        return versions.move_pointer(tx, INDEX, number, name, f"{snapshot}{number}")


def rows_in(catalog: Catalog, doc_id: str = "doc") -> dict[str, tuple[int, int, bool]]:
    """The points that still matter: added, removed, dirty."""
    with catalog.begin() as tx:
        found = versions.current_points(tx, FIRST, [doc_id])[doc_id]
    return {row["point_id"]: (row["added"], row["removed"], row["dirty"]) for row in found}


def test_versions_are_numbered_upwards_from_one(catalog: Catalog) -> None:
    assert candidate(catalog) is None
    assert open_one(catalog) == 1
    assert open_one(catalog) == 1
    assert candidate(catalog) == (1, "staging", FIRST)
    assert open_one(catalog, index="second") == 1
    publish(catalog, 1)
    assert candidate(catalog) is None
    assert open_one(catalog) == 2
    found = [(row["number"], row["parent"], row["status"]) for row in versions.versions_of(catalog, INDEX)]
    assert found == [(2, 1, "staging"), (1, None, "published")]


def test_a_staged_candidate_opens_again_and_moves_to_another_collection(catalog: Catalog) -> None:
    number = open_one(catalog)
    with catalog.begin() as tx:
        versions.set_version(tx, INDEX, number, status="staged", stats={"documents": 3})
    assert candidate(catalog) == (1, "staged", FIRST)
    assert open_one(catalog) == 1
    assert candidate(catalog) == (1, "staging", FIRST)
    assert open_one(catalog, SECOND) == 1
    assert candidate(catalog) == (1, "staging", SECOND)
    assert versions.versions_of(catalog, INDEX)[0]["stats"] == {"documents": 3}


def test_one_version_is_published_and_the_others_superseded(catalog: Catalog) -> None:
    for _ in range(3):
        publish(catalog, open_one(catalog))
    publish(catalog, 2)
    found = {row["number"]: row["status"] for row in versions.versions_of(catalog, INDEX)}
    assert found == {3: "superseded", 2: "published", 1: "superseded"}
    assert open_one(catalog) == 4


def test_every_move_of_the_pointer_is_a_new_generation(catalog: Catalog) -> None:
    assert versions.pointer(catalog, INDEX) is None
    with catalog.begin() as tx:
        versions.save_collection(tx, collection())
    assert publish(catalog, 1) == Pointer(INDEX, 1, FIRST, "s1", 1)
    assert publish(catalog, 2) == Pointer(INDEX, 2, FIRST, "s2", 2)
    assert publish(catalog, 1, snapshot="again") == Pointer(INDEX, 1, FIRST, "again1", 3)
    assert versions.pointer(catalog, INDEX) == Pointer(INDEX, 1, FIRST, "again1", 3)
    assert versions.pointer(catalog, "second") is None


def test_the_two_newest_snapshots_are_remembered(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.save_collection(tx, collection())
        for snapshot in ("a", "b", "b", "c"):
            versions.remember_snapshot(tx, FIRST, snapshot)
        versions.remember_snapshot(tx, "unknown", "a")
        row = versions.collection_row(tx, FIRST)
        assert row is not None
        assert row["snapshots"] == ["b", "c"]


def test_a_collection_is_found_by_its_index_and_space(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.save_collection(tx, collection())
        versions.save_collection(tx, collection(SECOND, space="space2"))
        versions.save_collection(tx, {**collection(), "average_length": 99.0})
        found = versions.collection_of(tx, INDEX, "space1")
        assert found is not None
        assert (found["collection"], found["average_length"]) == (FIRST, 12.5)
        assert found["vectors"] == {"dimension": 4}
        assert versions.collection_of(tx, INDEX, "space3") is None
        assert versions.collection_of(tx, "second", "space1") is None
        assert versions.collection_row(tx, "unknown") is None


def test_a_refresh_is_asked_for_until_the_pointer_moves(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.request_refresh(tx, INDEX)
    assert not versions.refresh_requested(catalog, INDEX)
    publish(catalog, 1)
    assert not versions.refresh_requested(catalog, INDEX)
    with catalog.begin() as tx:
        versions.request_refresh(tx, INDEX)
    assert versions.refresh_requested(catalog, INDEX)
    publish(catalog, 1)
    assert not versions.refresh_requested(catalog, INDEX)


def test_interrupted_sources_are_known_until_they_are_whole(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for source in ("b", "a", "b"):
            versions.begin_staging(tx, INDEX, source)
        versions.begin_staging(tx, "second", "c")
    assert versions.unfinished_sources(catalog, INDEX) == ["a", "b"]
    with catalog.begin() as tx:
        versions.end_staging(tx, INDEX, "b")
    assert versions.unfinished_sources(catalog, INDEX) == ["a"]
    assert versions.unfinished_sources(catalog, "second") == ["c"]


def test_points_go_from_intention_to_confirmation(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.intend_points(tx, [point("a", 1), point("b", 1), point("c", 1, "other")], [], 1)
    assert rows_in(catalog) == {"a": (1, CURRENT, True), "b": (1, CURRENT, True)}
    assert versions.dirty_documents(catalog, FIRST, SOURCE) == {"doc", "other"}
    assert versions.dirty_documents(catalog, FIRST, "elsewhere") == set()
    with catalog.begin() as tx:
        versions.confirm_points(tx, FIRST, ["doc"])
    assert rows_in(catalog) == {"a": (1, CURRENT, False), "b": (1, CURRENT, False)}
    assert versions.dirty_documents(catalog, FIRST, SOURCE) == {"other"}


def test_a_point_of_an_earlier_version_is_retired_and_one_never_seen_is_forgotten(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.intend_points(tx, [point("old", 1), point("kept", 1)], [], 1)
        versions.confirm_points(tx, FIRST, ["doc"])
        versions.intend_points(tx, [point("new", 2)], [], 2)
        versions.confirm_points(tx, FIRST, ["doc"])
        versions.intend_points(tx, [], [(FIRST, "old"), (FIRST, "new"), (SECOND, "kept")], 2)
    assert rows_in(catalog) == {"old": (1, 2, True), "new": (2, 2, True), "kept": (1, CURRENT, False)}
    with catalog.begin() as tx:
        versions.confirm_points(tx, FIRST, ["doc"])
        assert versions.all_point_ids(tx, "doc").keys() == {FIRST}
        assert sorted(versions.all_point_ids(tx, "doc")[FIRST]) == ["kept", "old"]
    assert rows_in(catalog) == {"kept": (1, CURRENT, False)}


def test_an_intention_can_be_repeated_and_revived(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.intend_points(tx, [point("a", 1)], [], 1)
        versions.intend_points(tx, [], [(FIRST, "a")], 2)
        versions.intend_points(tx, [point("a", 1, payload_hash="other")], [], 2)
    assert rows_in(catalog) == {"a": (1, CURRENT, True)}


def test_points_are_counted_as_the_newest_staged_state_has_them(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        added = [point("a", 1), point("b", 1), point("c", 1, "other"), point("d", 1, "third", source="mail")]
        elsewhere = point("e", 1, collection=SECOND)
        versions.intend_points(tx, [*added, elsewhere], [], 1)
        versions.intend_points(tx, [], [(FIRST, "c")], 2)
        assert versions.count_points(tx, FIRST) == {SOURCE: (1, 2), "mail": (1, 1)}


def test_thousands_of_points(catalog: Catalog) -> None:
    names = [f"p{number}" for number in range(2_000)]
    with catalog.begin() as tx:
        versions.intend_points(tx, [point(name, 1, f"doc{name}") for name in names], [], 1)
        versions.intend_points(tx, [], [(FIRST, name) for name in names], 2)
        versions.confirm_points(tx, FIRST, [f"doc{name}" for name in names])
        assert versions.count_points(tx, FIRST) == {}
        assert versions.all_point_ids(tx, "docp7") == {FIRST: ["p7"]}
    assert versions.dirty_documents(catalog, FIRST, SOURCE) == set()


def version_row(catalog: Catalog, number: int, name: str) -> None:
    assert open_one(catalog, name) == number
    with catalog.begin() as tx:
        versions.set_version(tx, INDEX, number, status="published")


def test_the_text_that_a_version_cites(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.save_collection(tx, collection())
        versions.intend_points(tx, [point("old", 1)], [], 1)
        versions.intend_points(tx, [point("new", 3)], [(FIRST, "old")], 3)
    for number in (1, 2, 3):
        version_row(catalog, number, FIRST)
    found = [versions.parsed_at(catalog, "doc", INDEX, number) for number in (0, 1, 2, 3, 4)]
    assert found == [None, "text of old", "text of old", "text of new", None]
    assert versions.parsed_at(catalog, "doc", "second", 1) is None
    assert versions.parsed_at(catalog, "unknown", INDEX, 1) is None


def test_a_version_cites_the_collection_that_it_was_published_from(catalog: Catalog) -> None:
    """After a change of model the old collection stays as it was, with every point current."""
    with catalog.begin() as tx:
        versions.save_collection(tx, collection())
        versions.save_collection(tx, collection(SECOND, space="space2"))
        versions.intend_points(tx, [point("old", 1)], [], 1)
        versions.intend_points(tx, [point("new", 2, collection=SECOND)], [], 2)
    version_row(catalog, 1, FIRST)
    version_row(catalog, 2, SECOND)
    assert versions.parsed_at(catalog, "doc", INDEX, 1) == "text of old"
    assert versions.parsed_at(catalog, "doc", INDEX, 2) == "text of new"


def staged(catalog: Catalog, row: Mapping[str, Any], **values: Any) -> None:
    with catalog.begin() as tx:
        versions.save_staged(tx, INDEX, [{"doc_id": row["doc_id"], **values}])


def test_the_state_of_staging(catalog: Catalog) -> None:
    one, other = listed("a.md", shard=0), listed("b.md", shard=1)
    save(catalog, one, other, parse=True)
    with catalog.begin() as tx:
        for row in (one, other):
            made = [chunk(row["doc_id"], 0, "Hello")]
            chunks.replace_chunks(tx, INDEX, row, made, "text", "rule")
            chunks.replace_chunks(tx, "second", row, made, "text", "rule")
    assert versions.sources_elsewhere(catalog, INDEX, FIRST) == [SOURCE]
    staged(catalog, one, collection=FIRST, staged_key="key", access_key="rights")
    staged(catalog, other, access_key="rights")
    found = {row["uri"]: row for row in versions.stage_state(catalog, INDEX, SOURCE, [0, 1])}
    assert sorted(found) == ["a.md", "b.md"]
    labels = ("i_chunked_from", "i_chunk_fp", "i_chunk_count", "i_collection", "i_staged_key", "i_access_key")
    assert [found["a.md"][name] for name in labels] == ["text", "rule", 1, FIRST, "key", "rights"]
    assert [found["b.md"][name] for name in labels] == ["text", "rule", 1, None, None, "rights"]
    assert [row["uri"] for row in versions.stage_state(catalog, INDEX, SOURCE, [1])] == ["b.md"]
    second = versions.stage_state(catalog, "second", SOURCE, [0])
    assert [row["i_staged_key"] for row in second] == [None]
    assert versions.sources_elsewhere(catalog, INDEX, FIRST) == [SOURCE]
    staged(catalog, other, collection=FIRST)
    assert versions.sources_elsewhere(catalog, INDEX, FIRST) == []
    assert versions.sources_elsewhere(catalog, INDEX, SECOND) == [SOURCE]


def test_cutting_again_keeps_where_a_document_is_staged(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, row, [chunk(row["doc_id"], 0, "Hello")], "text", "rule")
    staged(catalog, row, collection=FIRST, staged_key="key", access_key="rights")
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, row, [], "other", "rule")
    [found] = versions.stage_state(catalog, INDEX, SOURCE, [0])
    assert (found["i_chunked_from"], found["i_chunk_count"]) == ("other", 0)
    assert (found["i_collection"], found["i_staged_key"]) == (FIRST, "key")


def test_a_gone_document_is_in_the_state_until_it_is_forgotten(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, row, [chunk(row["doc_id"], 0, "Hello")], "text", "rule")
        documents.mark_gone(tx, [row["doc_id"]])
    [found] = versions.stage_state(catalog, INDEX, SOURCE, [0])
    assert not found["live"]
    with catalog.begin() as tx:
        versions.forget_documents(tx, INDEX, [row["doc_id"]])
    assert versions.stage_state(catalog, INDEX, SOURCE, [0]) == []
