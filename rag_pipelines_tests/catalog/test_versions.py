"""The candidate, the pointer, the pin, and what is hidden from every reader."""

from __future__ import annotations

from rag_pipelines.catalog import collection_rows, versions
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.versions import Pointer
from rag_pipelines_tests.catalog.rows import FIRST, INDEX, SECOND, SINCE, collection


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
        collection_rows.save_collection(tx, collection())
    assert publish(catalog, 1) == Pointer(INDEX, 1, FIRST, "s1", 1)
    assert publish(catalog, 2) == Pointer(INDEX, 2, FIRST, "s2", 2)
    assert publish(catalog, 1, snapshot="again") == Pointer(INDEX, 1, FIRST, "again1", 3)
    assert versions.pointer(catalog, INDEX) == Pointer(INDEX, 1, FIRST, "again1", 3)
    assert versions.pointer(catalog, "second") is None


def test_a_refresh_is_asked_for_until_the_readers_got_it(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        versions.request_refresh(tx, INDEX)
    assert not versions.refresh_requested(catalog, INDEX), "nobody reads what was never published"
    publish(catalog, 1)
    assert not versions.refresh_requested(catalog, INDEX)
    with catalog.begin() as tx:
        versions.request_refresh(tx, INDEX)
    publish(catalog, 2)
    assert versions.refresh_requested(catalog, INDEX), "other collections may still have to be copied"
    with catalog.begin() as tx:
        versions.request_refresh(tx, INDEX, wanted=False)
    assert not versions.refresh_requested(catalog, INDEX)


def test_a_pin_stays_while_the_pointer_moves_and_until_it_is_taken_away(catalog: Catalog) -> None:
    publish(catalog, 1)
    with catalog.begin() as tx:
        versions.set_pin(tx, INDEX, 1)
        assert versions.pointer_in(tx, INDEX) == Pointer(INDEX, 1, FIRST, "s1", 1, pinned=1)
    publish(catalog, 2)
    assert versions.pointer(catalog, INDEX) == Pointer(INDEX, 2, FIRST, "s2", 2, pinned=1)
    with catalog.begin() as tx:
        versions.set_pin(tx, INDEX, None)
        versions.set_pin(tx, "unknown", 7)
        assert versions.pointer_in(tx, "unknown") is None
    assert versions.pointer(catalog, INDEX) == Pointer(INDEX, 2, FIRST, "s2", 2)


def test_hiding_documents_is_a_new_generation_for_the_same_version(catalog: Catalog) -> None:
    assert versions.view(catalog, INDEX) is None
    publish(catalog, 1)
    assert versions.view(catalog, INDEX) == (Pointer(INDEX, 1, FIRST, "s1", 1), ())
    with catalog.begin() as tx:
        versions.hide(tx, INDEX, ["b", "a"])
        versions.hide(tx, "second", ["c"])
    assert versions.view(catalog, INDEX) == (Pointer(INDEX, 1, FIRST, "s1", 2), ("a", "b"))
    with catalog.begin() as tx:
        versions.hide(tx, INDEX, ["a", "d"])
    assert versions.view(catalog, INDEX) == (Pointer(INDEX, 1, FIRST, "s1", 3), ("a", "b", "d"))
    assert versions.hidden_documents(catalog, INDEX) == ["a", "b", "d"]
    assert versions.hidden_documents(catalog, "second") == ["c"]


def test_what_is_settled_is_no_longer_filtered_out(catalog: Catalog) -> None:
    publish(catalog, 1)
    names = [f"doc{number:04d}" for number in range(1_200)]
    with catalog.begin() as tx:
        versions.hide(tx, INDEX, names)
        versions.hide(tx, "second", names[:1])
        versions.unhide(tx, INDEX, [*names[1:], "never hidden"])
    assert versions.hidden_documents(catalog, INDEX) == names[:1]
    assert versions.hidden_documents(catalog, "second") == names[:1]
    found = versions.view(catalog, INDEX)
    assert found is not None
    assert found[1] == ("doc0000",)


def test_only_what_was_published_and_is_still_stored_can_be_read(catalog: Catalog) -> None:
    for _ in range(3):
        publish(catalog, open_one(catalog))
    open_one(catalog)
    with catalog.begin() as tx:
        versions.set_version(tx, INDEX, 1, status="vacuumed")
    rows = versions.versions_of(catalog, INDEX)
    assert [row["number"] for row in rows] == [4, 3, 2, 1]
    assert [row["number"] for row in versions.readable(rows)] == [3, 2]
