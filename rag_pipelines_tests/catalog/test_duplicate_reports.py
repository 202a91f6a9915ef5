"""What is reported of duplicates, on hand-made clusters: totals, sizes, the largest, samples."""

from __future__ import annotations

from typing import Any

import pytest

from rag_pipelines.catalog import duplicate_reports as reports
from rag_pipelines.catalog.duplicates import count_duplicates, save_members
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.ids import content_hash, document_id
from rag_pipelines_tests.catalog.rows import INDEX, listed, quarantine, refused, save


def member(name: str, cluster: str, representative: str, similarity: float = 1.0, **values: Any) -> Any:
    """A member row; documents are named `source/uri`."""
    return {
        "index_name": INDEX,
        "doc_id": named(name),
        "source": name.partition("/")[0],
        "parsed_hash": content_hash(name),
        "scope": "",
        "policy": "collapse",
        "cluster": named(cluster),
        "representative": named(representative),
        "similarity": similarity,
        **values,
    }


def named(name: str) -> str:
    source, _, uri = name.partition("/")
    return document_id(source, uri)


@pytest.fixture
def clustered(catalog: Catalog) -> Catalog:
    """A cluster of four over three sources, a pair that nobody stands for, a document alone, another index."""
    rows = [
        member("docs/a", "docs/a", "docs/a"),
        member("mirror/a", "docs/a", "docs/a"),
        member("mirror/b", "docs/a", "docs/a", 0.85),
        member("mail/a", "docs/a", "docs/a", 0.9, policy="mark"),
        member("docs/z", "docs/z", "docs/z"),
        member("board/z", "docs/z", "board/z"),
        member("docs/alone", "docs/alone", "docs/alone"),
    ]
    names = ["docs/a", "mirror/a", "mirror/b", "mail/a", "docs/z", "board/z", "docs/alone"]
    shards = {"mirror/b": 1, "docs/z": 1}
    save(
        catalog,
        *(
            listed(uri, source=source, shard=shards.get(f"{source}/{uri}", 0))
            for source, _, uri in (name.partition("/") for name in names)
        ),
    )
    with catalog.begin() as tx:
        save_members(tx, [*rows, *({**row, "index_name": "other"} for row in rows[:2])])
    return catalog


def test_totals_name_collapsed_and_marked_documents_of_each_source(clustered: Catalog) -> None:
    assert reports.totals_by_source(clustered, INDEX) == {
        "board": {"compared": 1, "duplicates": 0, "collapsed": 0, "marked": 0},
        "docs": {"compared": 3, "duplicates": 0, "collapsed": 0, "marked": 0},
        "mail": {"compared": 1, "duplicates": 1, "collapsed": 0, "marked": 1},
        "mirror": {"compared": 2, "duplicates": 2, "collapsed": 2, "marked": 0},
    }
    assert count_duplicates(clustered, INDEX) == {"duplicates": 3, "collapsed": 2}
    assert count_duplicates(clustered, INDEX, "mail") == {"duplicates": 1, "collapsed": 0}
    assert reports.totals_by_source(clustered, "nothing") == {}


def test_shards_count_what_was_compared_of_the_sources_asked_for(clustered: Catalog) -> None:
    found = reports.compared_by_shard(clustered, INDEX, ["docs", "mirror"])
    assert found == {("docs", 0): 2, ("docs", 1): 1, ("mirror", 0): 1, ("mirror", 1): 1}


def test_sizes_count_clusters_of_several_whether_or_not_one_is_collapsed(clustered: Catalog) -> None:
    assert reports.cluster_sizes(clustered, INDEX) == [(2, 1), (4, 1)]
    assert reports.cluster_sizes(clustered, INDEX, "mail") == [(4, 1)]
    assert reports.cluster_sizes(clustered, "other") == [(2, 1)]
    assert reports.cluster_sizes(clustered, "nothing") == []


def test_histogram_has_ranges_that_double_and_bars_to_scale() -> None:
    assert reports.size_histogram([(2, 60), (3, 4), (5, 1), (8, 1), (17, 30)]) == [
        ("2", 60), ("3", 4), ("4", 0), ("5-8", 2), ("9-16", 0), ("17-32", 30),
    ]  # fmt: skip
    assert [len(bar) for bar in reports.bars([60, 4, 0, 1, 30])] == [30, 2, 0, 1, 15]
    assert (reports.size_histogram([]), reports.bars([])) == ([], [])


def test_largest_clusters_come_first_with_their_first_choice(clustered: Catalog) -> None:
    large, small = reports.largest_clusters(clustered, INDEX, 9)
    assert large == {
        "cluster": named("docs/a"),
        "uri": "a",
        "source": "docs",
        "documents": 4,
        "sources": 3,
        "indexed": 2,
        "least_similarity": 0.85,
    }
    assert (small["uri"], small["documents"], small["indexed"], small["least_similarity"]) == (
        "z",
        2,
        2,
        None,
    )
    assert reports.largest_clusters(clustered, INDEX, 1) == [large]
    assert reports.largest_clusters(clustered, INDEX, 9, "board") == [small]


def test_samples_begin_with_the_least_similar_pair(clustered: Catalog) -> None:
    first, second = reports.sample_pairs(clustered, INDEX, 2)
    assert first == {
        "uri": "b",
        "source": "mirror",
        "representative": "a",
        "representative_source": "docs",
        "similarity": 0.85,
        "policy": "collapse",
    }
    assert (second["source"], second["similarity"], second["policy"]) == ("mail", 0.9, "mark")


def test_refusals_are_those_of_reading_and_of_the_index_itself(clustered: Catalog) -> None:
    row = listed("a", source="docs")
    quarantine(
        clustered,
        refused(row, "parse", "v1"),
        refused(row, "chunk", "v1", index_name=INDEX),
        refused(row, "chunk", "v1", index_name="other", reason="of the other"),
    )
    found = reports.refusals(clustered, INDEX, row["doc_id"])
    assert sorted((item["stage"], item["reason"]) for item in found) == [
        ("chunk", "is encrypted"),
        ("parse", "is encrypted"),
    ]
