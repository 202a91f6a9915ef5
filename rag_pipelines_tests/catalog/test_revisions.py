"""The revision of an index changes with whatever may change an answer, and says when one is being changed."""

from __future__ import annotations

from rag_pipelines.catalog import marks, versions
from rag_pipelines.catalog.revisions import Revision, revision
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Catalog
from rag_pipelines_tests.catalog.rows import FIRST, INDEX

SOURCES = ("docs", "wiki")


def found(catalog: Catalog) -> Revision | None:
    return revision(catalog, INDEX, SOURCES)


def test_everything_that_changes_an_answer_changes_the_revision(catalog: Catalog) -> None:
    assert found(catalog) is None
    with catalog.begin() as tx:
        for name in (*SOURCES, "other"):
            register_source(tx, name, 1)
        versions.move_pointer(tx, INDEX, 1, FIRST, "s1")
    assert found(catalog) == Revision(1, 1, 0, False)
    with catalog.begin() as tx:
        marks.next_tick(tx, "wiki")
        marks.next_tick(tx, "docs")
        marks.next_tick(tx, "other")
    assert found(catalog) == Revision(1, 1, 2, False)
    with catalog.begin() as tx:
        versions.hide(tx, INDEX, ["5c7d8b0e-2b5e-5c1c-9d3e-6f0a5b1c2d3e"])
    assert found(catalog) == Revision(1, 2, 2, False)
    with catalog.begin() as tx:
        versions.request_refresh(tx, INDEX)
    assert found(catalog) == Revision(1, 2, 2, True)
    with catalog.begin() as tx:
        versions.move_pointer(tx, INDEX, 2, FIRST, "s2")
        versions.request_refresh(tx, INDEX, wanted=False)
    assert found(catalog) == Revision(2, 3, 2, False)
    assert revision(catalog, INDEX, ()) == Revision(2, 3, 0, False)
