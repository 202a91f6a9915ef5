"""A run's files and its row: killed between the two, the next command finds both."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rag_pipelines.catalog import evaluations
from rag_pipelines.catalog.store import Catalog, open_catalog
from rag_pipelines.core.errors import NotFound
from rag_pipelines.evaluation.costs import IndexSize
from rag_pipelines.evaluation.records import (
    FOLDER,
    record_missing,
    run_name,
    run_number,
    store_run,
    stored_run,
)
from rag_pipelines.evaluation.runs import RECORD, Run, read_run, write_run
from rag_pipelines_tests.evaluation.samples import HEADER, query, run_of, suite_of

KILLED = """
import os, signal, sys
from pathlib import Path
from rag_pipelines.catalog.store import open_catalog
from rag_pipelines.core.faults import arm
from rag_pipelines.evaluation.records import store_run
from rag_pipelines.evaluation.runs import read_run
arm(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == sys.argv[4] else None)
store_run(open_catalog(sys.argv[1]), Path(sys.argv[2]), read_run(Path(sys.argv[3])))
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two judged questions, one of them answered at the second place, on a version of known size."""
    suite = suite_of(
        tmp_path / "suite",
        [query("a"), query("b"), query("n", answerable=False)],
        [HEADER, "a\td1\t1", "b\td2\t1"],
        measures=("RR@10",),
    )
    made = run_of(suite, {"a": ["d1"], "b": ["x", "d2"]}, version=4, settings={"principal": "ana"})
    queries = {name: msgspec.structs.replace(one, ms=8.0, cpu_ms=4.0) for name, one in made.queries.items()}
    return msgspec.structs.replace(made, queries=queries, size=IndexSize(10, 300, 200), fingerprint="f1")


def test_the_row_says_what_the_run_does(catalog: Catalog, tmp_path: Path, run: Run) -> None:
    name = store_run(catalog, tmp_path, run)
    number = run_number(name)
    assert number is not None
    found = evaluations.evaluation(catalog, number)
    assert found is not None
    assert (found["suite"], found["index_name"], found["version"]) == ("small", "handbook", 4)
    assert (found["principal"], found["queries"], found["fingerprint"]) == ("ana", 2, "f1")
    assert found["measures"] == {"RR@10": {"mean": 0.75, "low": 0.5, "high": 1.0}}
    assert found["latency"] == {"p50": 8.0, "p95": 8.0}
    assert found["cost"] == {"cpu_ms": 4.0, "chunks": 10, "bytes": 500}
    assert stored_run(catalog, tmp_path, number) == run == read_run(tmp_path / FOLDER / run_name(run))


@pytest.mark.parametrize(("point", "missing"), [("evaluation.stored", 1), ("evaluation.recorded", 0)])
def test_killed_it_is_found_by_the_next_command(
    database_url: str, tmp_path: Path, run: Run, point: str, missing: int
) -> None:
    write_run(run, tmp_path / "given")
    arguments = [database_url, str(tmp_path / "home"), str(tmp_path / "given"), point]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    catalog = open_catalog(database_url)
    try:
        assert len(evaluations.list_evaluations(catalog)) == 1 - missing
        assert record_missing(catalog, tmp_path / "home") == missing
        assert record_missing(catalog, tmp_path / "home") == 0
        (row,) = evaluations.list_evaluations(catalog)
        assert stored_run(catalog, tmp_path / "home", row["id"]) == run
    finally:
        catalog.close()


def test_a_damaged_run_is_passed_over(catalog: Catalog, tmp_path: Path, run: Run) -> None:
    folder = tmp_path / FOLDER / run_name(run)
    write_run(run, folder)
    (folder / RECORD).write_text("{", encoding="utf-8")
    assert record_missing(catalog, tmp_path) == 0
    assert record_missing(catalog, tmp_path / "nothing") == 0


def test_what_is_not_there_is_explained(catalog: Catalog, tmp_path: Path, run: Run) -> None:
    with pytest.raises(NotFound, match="there is no stored run e1; `rag-pipelines evals` lists them"):
        stored_run(catalog, tmp_path, 1)
    number = run_number(store_run(catalog, tmp_path, run))
    assert number is not None
    with pytest.raises(NotFound, match="were deleted, or the run was made on another machine"):
        stored_run(catalog, tmp_path / "elsewhere", number)


@pytest.mark.parametrize(
    ("text", "number"), [("e12", 12), ("12", None), ("e", None), ("e1x", None), ("eval", None), ("e²", None)]
)
def test_numbers_of_runs(text: str, number: int | None) -> None:
    assert run_number(text) == number
