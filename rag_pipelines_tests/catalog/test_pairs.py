"""Pairs of texts that an answer asks for."""

from __future__ import annotations

from rag_pipelines.catalog.signatures import pairs_among, save_signed
from rag_pipelines.catalog.store import Catalog, reading


def test_pairs_among_texts_are_those_of_which_both_are_asked_for(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        save_signed(tx, "now", {}, {}, [("a", "b", 0.9), ("c", "b", 0.8), ("d", "a", 1.0)])
        save_signed(tx, "before", {}, {}, [("a", "c", 0.9)])
    with reading(catalog.engine) as tx:
        assert sorted(pairs_among(tx, "now", {"a", "b", "c"})) == [("a", "b"), ("b", "c")]
        many = {"a", "d", *(f"text {number}" for number in range(1200))}
        assert pairs_among(tx, "now", many) == [("a", "d")]
        assert pairs_among(tx, "now", {"a"}) == []
