"""Which documents share a representative: live ones, within rights, the most similar first."""

from __future__ import annotations

from typing import Any

import pytest

from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.duplicates import members_by_document, save_members, standing_with
from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.catalog.rows import INDEX, listed, save

PAGES: dict[str, tuple[str, float, dict[str, Any]]] = {
    "a": ("a", 1.0, {"acl": ["*"]}),
    "b": ("a", 0.9, {"acl": ["group:staff", "user:ana"]}),
    "c": ("a", 1.0, {"acl": ["group:board"]}),
    "d": ("a", 0.8, {"acl": ["group:staff"], "classification": "confidential"}),
    "e": ("a", 0.95, {"acl": []}),
    "gone": ("a", 1.0, {"acl": ["*"], "live": False}),
    "apart": ("apart", 1.0, {"acl": ["*"]}),
    "z": ("z", 1.0, {"acl": ["*"]}),
}
"""Page -> its representative, its similarity to it, and its rights; all but `z` lie in one cluster."""


@pytest.fixture
def standing(catalog: Catalog) -> Catalog:
    """The pages, in two indexes."""
    save(catalog, *(listed(uri, source="docs", **values) for uri, (_, _, values) in PAGES.items()))
    rows = [
        {
            "index_name": index,
            "doc_id": document_id("docs", uri),
            "source": "docs",
            "parsed_hash": f"text of {uri}",
            "scope": "",
            "policy": "collapse",
            "cluster": document_id("docs", "z" if uri == "z" else "a"),
            "representative": document_id("docs", representative),
            "similarity": similarity,
        }
        for index in (INDEX, "other")
        for uri, (representative, similarity, _) in PAGES.items()
    ]
    with catalog.begin() as tx:
        save_members(tx, rows)
    return catalog


def found(catalog: Catalog, *asked: str, most: int = 9, **bounds: Any) -> dict[str, list[str]]:
    """Representative -> pages, both by their uris."""
    with reading(catalog.engine) as tx:
        rows = members_by_document(tx, INDEX, [document_id("docs", uri) for uri in asked])
        together = standing_with(tx, INDEX, list(rows.values()), most, **bounds)
    uris = {document_id("docs", uri): uri for uri in PAGES}
    return {uris[name]: sorted(row["uri"] for row in pages) for name, pages in together.items()}


def test_a_representative_and_the_live_documents_that_it_stands_for(standing: Catalog) -> None:
    assert found(standing, "a") == found(standing, "b", "d") == {"a": ["a", "b", "c", "d", "e"]}
    assert found(standing, "apart", "z", "c") == {
        "a": ["a", "b", "c", "d", "e"],
        "apart": ["apart"],
        "z": ["z"],
    }
    assert found(standing) == {}


def test_the_most_similar_come_first_where_there_is_room_for_few(standing: Catalog) -> None:
    assert [found(standing, "b", most=count)["a"] for count in (1, 2, 3, 4)] == [
        ["a"],
        ["a", "c"],
        ["a", "c", "e"],
        ["a", "b", "c", "e"],
    ]


def test_only_what_may_be_read_takes_room(standing: Catalog) -> None:
    staff = {"granted": ("*", "group:staff"), "tiers": ["public", "internal"]}

    assert found(standing, "a", most=2, **staff) == {"a": ["a", "b"]}
    assert found(standing, "a", granted=("group:staff",)) == {"a": ["b", "d"]}
    assert found(standing, "a", granted=()) == {}
    assert found(standing, "a", tiers=["confidential"]) == {"a": ["d"]}


def test_rows_carry_rights_and_what_a_citation_needs(standing: Catalog) -> None:
    with reading(standing.engine) as tx:
        rows = members_by_document(tx, INDEX, [document_id("docs", "b")])
        (pages,) = standing_with(tx, INDEX, list(rows.values()), 9).values()
    page = {row["uri"]: row for row in pages}["b"]
    assert access_of(page).acl == ("group:staff", "user:ana")
    assert (page["source"], page["similarity"], page["parsed_hash"]) == ("docs", 0.9, "text of b")
    assert {"title", "link"} <= page.keys()
