"""The benchmarks of near-duplicates at scale and in answers: right when small, and they notice what is wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog.dedup_tables import bands, members, pairs, signatures
from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines_tests.benchmarks import near_duplicate_scale as scale
from rag_pipelines_tests.benchmarks.near_duplicate_corpus import CopiesWorkspace, fill
from rag_pipelines_tests.benchmarks.near_duplicate_memory import by_rows, in_memory, make
from rag_pipelines_tests.benchmarks.near_duplicate_questions import Question, near_duplicates
from rag_pipelines_tests.benchmarks.near_duplicate_retrieval import Answer, distinct, named, ndcg, useful
from rag_pipelines_tests.benchmarks.synthetic import INDEX, SHARDS, SOURCE

ENOUGH = 1500
WORDS = " ".join(f"word{number}" for number in range(104))
NEARLY = f"{WORDS} more"


def contents(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    """Every row about duplicates."""
    with reading(catalog.engine) as tx:
        return {
            table.name: sorted((dict(row) for row in tx.execute(sa.select(table)).mappings()), key=repr)
            for table in (signatures, bands, pairs, members)
        }


def test_a_filled_catalog_is_what_a_pass_over_all_leaves(tmp_path: Path, database_url: str) -> None:
    with CopiesWorkspace(tmp_path / "filled", 200, url=database_url) as workspace:
        fill(workspace)
        found = contents(workspace.catalog)
        assert deduplicate(workspace, INDEX, SOURCE, range(SHARDS), "nothing")["signed"] == 0
    with CopiesWorkspace(tmp_path / "compared", 200) as workspace:
        fill(workspace, compared=False)
        deduplicate(workspace, INDEX, SOURCE, range(SHARDS), "all")
        wanted = contents(workspace.catalog)
    assert {name: len(rows) for name, rows in wanted.items()} == {
        "signatures": 190,
        "bands": 190 * 16,
        "pairs": 10,
        "members": 200,
    }
    assert len({row["cluster"] for row in wanted["members"]}) == 180
    assert found == wanted


def test_a_pass_reads_and_writes_in_proportion_to_the_change(tmp_path: Path, database_url: str) -> None:
    scale.filled(tmp_path, ENOUGH, database_url)
    report = scale.measure(tmp_path, ENOUGH, database_url, [1, 10], other=10)

    assert report.faults == []
    assert report.rows["bands"] == (ENOUGH - ENOUGH // 20) * 16
    costs = {cost.change: cost for cost in report.costs}
    assert costs["nothing"].read + costs["nothing"].written < 25
    assert (costs["10 edited"].signed, costs["10 edited"].candidates) == (7, 2)
    assert costs["10 edited"].written < 10 * 20
    assert costs["10 edited"].read < 10 * 20
    assert costs["10 added"].regrouped == costs["10 deleted"].regrouped == 10


def test_a_pass_over_all_rows_is_noticed(tmp_path: Path) -> None:
    scale.filled(tmp_path, ENOUGH, "")
    with CopiesWorkspace(tmp_path, ENOUGH) as workspace, workspace.catalog.begin() as tx:
        tx.exec_driver_sql("DROP INDEX ix_members_index_name_parsed_hash")
    report = scale.measure(tmp_path, ENOUGH, "", [10], other=10)
    assert any("members.parsed_hash IN" in fault for fault in report.faults)


def test_both_ways_find_the_same_copies(tmp_path: Path) -> None:
    make(tmp_path, 300, "")
    assert by_rows(tmp_path, 300, "").duplicates == in_memory(300).duplicates == 30


def test_texts_alike_count_once() -> None:
    assert distinct([WORDS, "something else entirely, of other words", NEARLY]) == [0, 1]
    assert near_duplicates({"a": WORDS, "b": NEARLY, "c": "of other words altogether"}) == {"a", "b"}


@pytest.mark.parametrize(
    ("uris", "gained"), [((("x",), ("x", "a")), 1 / math.log2(3)), ((("a",), ("a",)), 1.0), ((("x",),), 0.0)]
)
def test_a_location_answers_as_a_passage_does(uris: tuple[tuple[str, ...], ...], gained: float) -> None:
    asked = Question("what?", frozenset({"a"}))
    answer = Answer((WORDS, NEARLY)[: len(uris)], uris)
    assert ndcg(asked, answer) == pytest.approx(gained)
    assert named(asked, answer) == ({"a"} if gained else set())
    assert useful(asked, answer) == (1 if gained else 0)
