"""What the UI shows of duplicates after a run: counts, clusters, their sizes, and pairs."""

from __future__ import annotations

from typing import Any

import dagster as dg

from rag_pipelines_tests.defs.conftest import execute
from rag_pipelines_tests.project import Project

PAGE = (
    "# Leave\n\nEvery employee has thirty days of paid leave in a year, and takes at least ten of them in one piece. "
    "Seven days may move to the next year, where they lapse at the end of March unless the head of department agrees "
    "to another date before the year ends, in writing and with a reason that the works council can read.\n"
)


def shown(result: dg.ExecuteInProcessResult, partition: str) -> dict[str, Any]:
    """The metadata of the duplicates in a partition."""
    assert result.success
    (found,) = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["knowledge", "duplicates"]) and event.partition == partition
    ]
    return {name: value.value for name, value in found.items()}


def test_clusters_are_shown_with_counts_sizes_and_pairs(
    project: Project, instance: dg.DagsterInstance
) -> None:
    project.source("docs", dedup={"policy": "collapse", "authority": 1}, shards=1)
    project.source("board", dedup={"policy": "collapse"}, shards=1)
    project.source("mail", dedup={"policy": "mark"}, shards=1)
    project.write("leave.md", PAGE)
    project.write("a|copy.md", PAGE, "board")
    project.write("letter.md", PAGE.replace("thirty", "forty"), "mail")

    found = shown(execute(project, "sync_all", instance), "docs/00")

    counts = ("signed", "candidates", "pairs", "regrouped", "clusters", "duplicates", "collapsed")
    assert {name: found[name] for name in counts} == {
        "signed": 3, "candidates": 1, "pairs": 1, "regrouped": 1, "clusters": 1, "duplicates": 2, "collapsed": 1,
    }  # fmt: skip
    assert found["cluster_sizes"].splitlines() == [
        "| documents | clusters |  |",
        "| --- | --- | --- |",
        "| 2 | 0 |  |",
        f"| 3 | 1 | {'█' * 30} |",
    ]
    similarity = found["largest_clusters"].splitlines()[2].split("|")[-2].strip()
    assert 0.8 < float(similarity) < 1
    assert found["largest_clusters"].splitlines()[2:] == [f"| leave.md | docs | 3 | 2 | 3 | {similarity} |"]
    assert found["samples"].splitlines()[2:] == [
        f"| mail: letter.md | docs: leave.md | {similarity} | mark |",
        "| board: a\\|copy.md | docs: leave.md | 1.000 | collapse |",
    ]
    assert [row["dagster/row_count"] for row in (found,)] == [1]


def test_a_run_of_one_source_counts_its_own_partitions_and_shows_the_whole_index(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for name in ("one.md", "two.md"):
        project.write(name, PAGE)
    project.source("docs", shards=1)
    project.source("board", shards=1, dedup={"policy": "off"})
    project.write("paper.md", PAGE, "board")
    assert shown(execute(project, "sync_board", instance), "board/00")["dagster/row_count"] == 0

    found = shown(execute(project, "sync_docs", instance), "docs/00")
    assert (found["dagster/row_count"], found["signed"], found["clusters"], found["collapsed"]) == (
        3,
        2,
        1,
        0,
    )
    again = shown(execute(project, "sync_docs", instance), "docs/00")
    assert (again["signed"], again["pairs"], again["clusters"], again["duplicates"]) == (0, 0, 1, 1)


def test_an_index_without_duplicates_says_so(project: Project, instance: dg.DagsterInstance) -> None:
    found = shown(execute(project, "sync_docs", instance), "docs/00")
    assert (found["clusters"], found["duplicates"]) == (0, 0)
    assert {found[name] for name in ("cluster_sizes", "largest_clusters", "samples")} == {"_none_"}
