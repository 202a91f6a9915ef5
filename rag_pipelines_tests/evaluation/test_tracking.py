"""Runs in a real tracking store, read back with MLflow's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.costs import IndexSize
from rag_pipelines.evaluation.runs import Run, read_run, write_run
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines.evaluation.summary import Summary, slices_of, summarise
from rag_pipelines.evaluation.tracking import TrackingError, log_run, metrics_of, open_client
from rag_pipelines_tests.evaluation.samples import HEADER, query, run_of, suite_of


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Two judged questions of two topics."""
    return suite_of(
        tmp_path / "suite",
        [query("a", topic="pumps/gates & more"), query("b", topic="leave")],
        [HEADER, "a\td1\t1", "b\td2\t1"],
        measures=("RR@10",),
        slices=("topic",),
    )


@pytest.fixture
def run(suite: Suite) -> Run:
    """One found first, one second, in 8 ms each."""
    settings = {"retrieval": {"fusion": "dbsf", "weights": {"dense": 0.5}}, "principal": "ana"}
    made = run_of(suite, {"a": ["d1"], "b": ["x", "d2"]}, version=4, settings=settings, fingerprint="f1")
    queries = {name: msgspec.structs.replace(one, ms=8.0, cpu_ms=4.0) for name, one in made.queries.items()}
    return msgspec.structs.replace(made, queries=queries, size=IndexSize(10, 300, 200))


@pytest.fixture
def summary(suite: Suite, run: Run) -> Summary:
    """Of the run, with its slices."""
    return summarise(suite, run, slices_of(suite))


def test_metrics_have_names_that_mlflow_takes(summary: Summary) -> None:
    assert metrics_of(summary) == {
        "RR_at_10": 0.75,
        "RR_at_10.low": 0.5,
        "RR_at_10.high": 1.0,
        "slice/topic/leave/RR_at_10": 0.5,
        "slice/topic/pumps_gates _ more/RR_at_10": 1.0,
        "queries": 2.0,
        "latency_p50_ms": 8.0,
        "latency_p95_ms": 8.0,
        "cpu_ms": 4.0,
        "index_chunks": 10.0,
        "index_bytes": 500.0,
    }


def test_a_run_arrives_whole(
    tmp_path: Path, run: Run, summary: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder, page = tmp_path / "run", tmp_path / "report.html"
    write_run(run, folder)
    page.write_text("<p>page</p>", encoding="utf-8")
    uri = os.environ.get("TEST_MLFLOW_URI") or (tmp_path / "store").as_uri()
    client = open_client(uri)
    logged = log_run(client, "e12", run, summary, folder, page)
    found = client.get_run(logged)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "e12 handbook version 4"
    assert found.data.metrics == metrics_of(summary)
    assert found.data.params == {
        "index": "handbook",
        "version": "4",
        "level": "document",
        "k": "10",
        "principal": "ana",
        "retrieval.fusion": "dbsf",
        "retrieval.weights.dense": "0.5",
    }
    tags = {key: value for key, value in found.data.tags.items() if key.startswith("rag_pipelines.")}
    assert tags["rag_pipelines.suite_hash"] == run.suite_hash
    assert (tags["rag_pipelines.version"], tags["rag_pipelines.fingerprint"]) == ("4", "f1")
    assert sorted(one.path for one in client.list_artifacts(logged)) == [
        "report.html",
        "run.json",
        "run.trec",
    ]
    back = tmp_path / "back"
    back.mkdir()
    client.download_artifacts(logged, "", str(back))
    assert read_run(back) == run
    again = log_run(client, "e13", run, summary, folder)
    assert client.get_run(again).info.experiment_id == found.info.experiment_id


def test_a_server_that_is_not_there_is_named(
    tmp_path: Path, run: Run, summary: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    write_run(run, tmp_path / "run")
    with pytest.raises(TrackingError, match="run e12 is stored here and was not logged to MLflow"):
        log_run(open_client("http://127.0.0.1:9"), "e12", run, summary, tmp_path / "run")


def test_without_the_library_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(
        ConfigError, match=r"MLflow is not installed: run `pip install 'rag-pipelines\[mlflow\]'`"
    ):
        open_client("http://127.0.0.1:9")


def test_the_command_line_does_not_load_the_library() -> None:
    code = "import sys, rag_pipelines.cli.app\nprint('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
