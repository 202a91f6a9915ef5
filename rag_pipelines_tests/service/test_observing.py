"""What is seen of requests: the tree of spans, figures, and lines that hold no word of a question or a document."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from rag_pipelines.catalog import control_tables, latencies
from rag_pipelines.core.errors import EmbeddingError, EngineError
from rag_pipelines.core.stages import Watch, stage, watched
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.service.app import create_app
from rag_pipelines.service.logs import JsonLines, TextLines, repeats
from rag_pipelines.service.metrics import MOST_TENANTS, Metrics
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import SETTINGS, running
from rag_pipelines_tests.service.otlp_collector import attributes, collecting, tree
from rag_pipelines_tests.shared_data import ROOT

PATH = "/v1/indexes/knowledge/search"
QUERY = "how many days of leave move into the following year"
SECRET = "paid leave a year"
"""Stands in a document."""
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextmanager
def telling(
    project: Project, variables: dict[str, str] | None = None, **telemetry: Any
) -> Iterator[TestClient]:
    """The application with these settings of `telemetry`."""
    project.configure("service", {**SETTINGS, "telemetry": telemetry})
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (variables or {}).items():
                patch.setenv(name, value)
            with running(project) as client:
                yield client
    finally:
        project.configure("service", SETTINGS)


def samples(client: TestClient) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


@contextmanager
def written(form: type[logging.Formatter]) -> Iterator[io.StringIO]:
    """What the process would write to its log, all loggers and levels."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form())
    handler.addFilter(lambda record: not record.name.startswith("httpx"))  # that is the test's own client
    root, own = logging.getLogger(), logging.getLogger("rag_pipelines.service")
    levels = root.level, own.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    own.setLevel(logging.INFO)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        own.setLevel(levels[1])


def test_one_request_is_a_tree_of_spans_at_a_collector(project: Project) -> None:
    with collecting() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=search",
            "OTEL_SERVICE_NAME": "answers",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        with telling(project, variables, traces=True) as client:
            answer = client.post(f"{PATH}?note=secretnote", json={"query": QUERY, "k": 2}, headers=TRACED)
            assert answer.status_code == 200
    spans = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    assert tree(spans, bytes.fromhex(PARENT)) == [
        (
            "POST /v1/indexes/{index}/search",
            [("retrieve", [("embed", []), ("search", []), ("search", [])])],
        )
    ]
    server, retrieve, embed, search, _ = spans
    said = attributes(server)
    assert said.pop("network.protocol.version") == "1.1"
    assert said == {
        "http.request.method": "POST",
        "http.route": "/v1/indexes/{index}/search",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "rag.request_id": answer.headers["x-request-id"],
        "rag.index": "knowledge",
    }
    assert attributes(retrieve) == {"rag.index": "knowledge", "rag.k": 2, "rag.version": 1, "rag.passages": 2}
    assert attributes(embed)["gen_ai.operation.name"] == "embeddings"
    assert "all-MiniLM-L6-v2" in str(attributes(embed)["gen_ai.request.model"])
    assert attributes(search)["db.operation.name"] == "search"
    assert (server.kind, embed.kind, search.kind) == (2, 1, 3)  # server, internal, client
    assert collector.resource["service.name"] == "answers"
    assert collector.resource["deployment.environment.name"] == "test"
    assert collector.headers[0]["path"] == "/v1/traces"
    assert collector.headers[0]["x-team"] == "search"
    exported = b"".join(collector.bodies)
    assert b"knowledge" in exported
    for hidden in (QUERY, "days of leave", SECRET, "secretnote", "leave.md"):
        assert hidden.encode() not in exported


def test_spans_of_a_program_that_set_a_provider_for_the_whole_process_are_ours_alone(
    project: Project, memory: tuple[TracerProvider, InMemorySpanExporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, exporter = memory
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    with telling(project) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get(f"/v1/{QUERY}?q={QUERY}").status_code == 404
    found = exporter.get_finished_spans()
    assert [span.name for span in found] == ["GET /healthz", "GET"]
    assert {span.attributes["http.response.status_code"] for span in found if span.attributes} == {200, 404}
    assert not [span for span in found if QUERY in span.to_json() or span.events]


@pytest.fixture
def memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def test_a_failing_stage_leaves_the_class_of_its_error_and_no_message(
    memory: tuple[TracerProvider, InMemorySpanExporter],
) -> None:
    provider, exporter = memory
    watch = Watch(provider.get_tracer("test"))
    with pytest.raises(ValueError, match="hidden"), watched(watch), stage("retrieve"), stage("search"):
        raise ValueError("hidden words")
    inner, outer = exporter.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert (inner.status.status_code, inner.status.description) == (StatusCode.ERROR, "ValueError")
    assert inner.attributes == {"error.type": "ValueError"}
    assert inner.events == ()
    assert set(watch.spent) == {"search", "retrieve"}
    assert watch.spent["retrieve"] >= watch.spent["search"] > 0


def test_a_stage_that_nobody_watches_is_nothing() -> None:
    with stage("embed", {"rag.k": 1}) as span:
        assert not span.is_recording()
    with pytest.raises(ValueError, match="no stage 'embedd'"):
        stage("embedd")


def test_rerank_is_a_span_of_its_own(
    project: Project, memory: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    import numpy as np

    provider, exporter = memory

    class Lengths:
        def score(self, query: str, passages: Sequence[str]) -> Any:
            return np.array([float(len(text)) for text in passages])

    project.index(
        "knowledge", retrieval={"rerank": {"model": "lengths", "top_n": 3}}, filter_fields=["product", "year"]
    )
    try:
        with project.searchers() as searchers:
            searcher = searchers.get("knowledge")
            searcher.parts = replace(searcher.parts, reranker=Lengths())
            with watched(Watch(provider.get_tracer("test"))) as watch:
                project_search(searcher)
    finally:
        project.index("knowledge", filter_fields=["product", "year"], description="Everything")
    found = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
    assert found["rerank"] == {
        "gen_ai.request.model": "lengths",
        "rag.rerank.passages": 3,
        "rag.rerank.applied": True,
    }
    assert {"embed", "search", "rerank", "retrieve"} == set(watch.spent)


def project_search(searcher: Any) -> SearchResult:
    from rag_pipelines.core.types import OPERATOR

    found: SearchResult = searcher.search("leave", 2, OPERATOR)
    return found


def test_counts_and_times_of_two_applications_in_one_process(project: Project) -> None:
    with telling(project) as client, telling(project) as other:
        assert client.post(PATH, json={"query": QUERY}).status_code == 200
        assert client.post(PATH, json={"query": QUERY, "k": 0}).status_code == 422
        assert client.post("/v1/indexes/other/search", json={"query": QUERY}).status_code == 404
        assert client.get("/v2/no/such/page").status_code == 404
        assert client.get("/docs").status_code == 200
        assert client.request("BREW", "/healthz").status_code == 405
        found = samples(client)
        elsewhere = samples(other)
    route = "/v1/indexes/{index}/search"
    counted = {"method": "POST", "route": route}
    assert value(found, "rag_requests_total", status="200", **counted) == 1
    assert value(found, "rag_requests_total", status="422", **counted) == 1
    assert value(found, "rag_requests_total", status="404", **counted) == 1
    assert value(found, "rag_requests_total", status="404", method="GET", route="unmatched") == 1
    assert value(found, "rag_requests_total", status="200", method="GET", route="/docs") == 1
    assert value(found, "rag_requests_total", status="405", method="_OTHER", route="/healthz") == 1
    assert value(found, "rag_request_seconds_count", route=route) == 3
    for name in ("embed", "search", "retrieve", "total"):
        labels = {"index": "knowledge", "variant": "", "stage": name}
        assert value(found, "rag_stage_seconds_count", **labels) == 1, name
    assert value(found, "rag_stage_seconds_count", index="knowledge", variant="", stage="rerank") is None
    assert value(found, "rag_searches_total", index="knowledge", variant="") == 1
    assert value(found, "rag_requests_in_flight") == 1  # the one that asks
    assert value(elsewhere, "rag_searches_total", index="knowledge", variant="") is None
    pairs_of_all = {item for _, pairs in found for item in pairs}
    assert not [
        item for item in pairs_of_all if "local" in item[1] or "other" in item[1] or "leave" in item[1]
    ]


def test_figures_of_the_catalog(project: Project) -> None:
    with telling(project) as client:
        assert client.get("/readyz").status_code == 200
        found = samples(client)
    assert value(found, "rag_index_version", index="knowledge") == 1
    assert value(found, "rag_index_version_open", index="knowledge") == 1
    assert value(found, "rag_index_followed", index="knowledge") == 1
    assert value(found, "rag_catalog_readable") == 1
    assert value(found, "rag_flags_current") == 1
    age = value(found, "rag_index_version_age_seconds", index="knowledge")
    assert age is not None
    assert 0 < age < 86_400
    source = value(found, "rag_source_age_seconds", source="docs")
    assert source is not None
    assert 0 < source < 86_400


def test_a_promise_a_source_never_synced_and_a_catalog_that_is_away(
    small: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.source("docs", freshness={"warn_after": "1h", "fail_after": "6h"})
    with small.workspace() as workspace, workspace.catalog.begin() as tx:
        changed = {"doc_id": "a", "source": "docs", "touched": 1}
        at = [f"2026-01-01T00:0{minute}+00:00" for minute in ("0:00", "0:40", "1:00")]
        latencies.expect(tx, [latencies.event("knowledge", changed, latencies.EDIT, at[0], at[1])])
        tx.execute(sa.update(control_tables.latencies).values(effective_at=at[2]))
    with telling(small, freshness_seconds=0.000001) as client:
        found = samples(client)
        assert value(found, "rag_source_age_seconds", source="docs") == float("inf")
        assert value(found, "rag_source_promise_seconds", source="docs", level="warn") == 3600
        assert value(found, "rag_source_promise_seconds", source="docs", level="fail") == 21_600
        assert value(found, "rag_index_version", index="knowledge") == 0
        arrival = {"source": "docs", "figure": "edit_to_searchable", "quantile": "0.95"}
        assert value(found, "rag_source_arrival_seconds", since="change", **arrival) == 60
        assert value(found, "rag_source_arrival_seconds", since="listing", **arrival) == 20

        def away(*_: object) -> None:
            raise OSError("the database is away")

        monkeypatch.setattr("rag_pipelines.catalog.versions.pointer", away)
        found = samples(client)
        assert value(found, "rag_catalog_readable") == 0
        assert value(found, "rag_source_age_seconds", source="docs") is None
        assert value(found, "rag_requests_in_flight") == 1


def test_hooks_abstentions_and_the_bound_on_tenants() -> None:
    from rag_pipelines.config.telemetry import TelemetryConfig

    metrics = Metrics(TelemetryConfig(tenant_label=True))
    result = SearchResult("knowledge", 3, (), confidence=0.1, answerable=False)
    for number in range(MOST_TENANTS + 2):
        metrics.searched(result, f"tenant{number}")
    metrics.looked_up("results", hit=True)
    metrics.looked_up("results", hit=False)
    metrics.answered("local", "llama", 120, 30, 0.25)
    metrics.attempted("local", "timeout")
    metrics.refused("credential")

    def sample(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    whose = {"index": "knowledge", "variant": ""}
    assert sample("rag_abstentions_total", tenant="tenant7", **whose) == 1
    assert sample("rag_searches_total", tenant="other", **whose) == 2
    assert sample("rag_searches_without_passages_total", **whose) == MOST_TENANTS + 2
    assert sample("rag_cache_lookups_total", cache="results", outcome="hit") == 1
    assert sample("rag_tokens_total", provider="local", model="llama", kind="prompt") == 120
    assert sample("rag_tokens_total", provider="local", model="llama", kind="completion") == 30
    assert sample("rag_cost_total", provider="local", model="llama") == 0.25
    assert sample("rag_provider_attempts_total", provider="local", outcome="timeout") == 1
    assert sample("rag_refusals_total", limit="credential") == 1


def test_metrics_on_a_port_of_their_own_or_off(project: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with telling(project, metrics_port=port) as client:
        assert client.get("/metrics").status_code == 404
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
        assert 'rag_index_version{index="knowledge"} 1.0' in answer.text
    with telling(project, metrics=False) as client:
        assert client.post(PATH, json={"query": QUERY}).status_code == 200
        assert client.get("/metrics").status_code == 404


def test_every_metric_of_the_dashboard_and_the_alerts_is_there(project: Project) -> None:
    import yaml

    project.source("docs", freshness={"warn_after": "1h", "fail_after": "6h"})
    try:
        with telling(project) as client:
            served = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
            names = {sample for sample, _ in samples(client)} | served
    finally:
        project.source("docs")
    folder = ROOT / "infra" / "monitoring"
    dashboard = json.loads((folder / "grafana-dashboard.json").read_text(encoding="utf-8"))
    alerts = yaml.safe_load((folder / "alerts.yaml").read_text(encoding="utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(shown) >= 15
    assert len(rules) >= 8
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    for expression in [*shown, *(rule["expr"] for rule in rules)]:
        assert expression.count("(") == expression.count(")")
        for name in re.findall(r"\brag_\w+", expression):
            base = re.sub(r"_(total|bucket|count|sum)$", "", name)
            assert name in names or base in served, name
            assert not (name == base and base in served and f"{base}_total" in names), name


def failing_requests(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """A request of each outcome, all about the same; the last one fails with the question and a passage."""

    def ask(path: str = PATH, **body: Any) -> Any:
        return client.post(path, json={"query": QUERY, **body})

    answers = [
        ask(),
        client.post(PATH, content=f'{{"query": "{QUERY}', headers={"content-type": "application/json"}),
        ask("/v1/indexes/days of leave/search"),
        ask(k=SECRET),
        client.get(f"/v1/{QUERY}?q={QUERY}"),
    ]
    found = {answer.status_code: answer for answer in answers}

    def echoing(*_: object, **__: object) -> None:
        raise EmbeddingError(f'the endpoint refused: HTTP 400: input "{QUERY[:30]}')

    def broken(*_: object, **__: object) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise RuntimeError(f"{QUERY}: {SECRET}") from error

    for raising in (echoing, broken):
        monkeypatch.setattr("rag_pipelines.retrieval.search.Searcher.search", raising)
        answer = ask(k=7)  # which nobody asked before, so that no answer is kept
        found[answer.status_code] = answer
    return found


@pytest.mark.parametrize("form", [JsonLines, TextLines])
def test_logs_hold_neither_questions_nor_documents(
    project: Project, form: type[logging.Formatter], monkeypatch: pytest.MonkeyPatch
) -> None:
    with written(form) as stream, telling(project) as client:
        answers = failing_requests(client, monkeypatch)
        monkeypatch.undo()
    assert set(answers) == {200, 400, 404, 422, 500, 503}
    assert all(answer.headers["x-request-id"] in stream.getvalue() for answer in answers.values())
    assert "RuntimeError" in stream.getvalue()
    for hidden in (QUERY, QUERY[:30], "days of leave", SECRET, "Seven days"):
        assert hidden not in stream.getvalue()


def test_a_line_of_json_for_each_request_and_its_errors(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with written(JsonLines) as stream, collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with telling(project, variables, traces=True) as client:
            good = client.post(PATH, json={"query": QUERY}, headers=TRACED)
            answers = failing_requests(client, monkeypatch)
            monkeypatch.undo()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    accessed = {
        line["request_id"]: line for line in lines if line["logger"] == "rag_pipelines.service.access"
    }
    assert len(accessed) == 8
    line = accessed[good.headers["x-request-id"]]
    assert line["trace_id"] == TRACE
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/indexes/{index}/search", 200)
    assert (line["level"], line["message"], line["index"]) == ("INFO", "request", "knowledge")
    assert line["ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert {one["status"]: one["route"] for one in accessed.values()}[404] == "unmatched"
    identity = answers[500].headers["x-request-id"]
    (error,) = [one for one in lines if one.get("request_id") == identity and "traceback" in one]
    assert (error["level"], error["error"], error["message"]) == ("ERROR", "RuntimeError", "unexpected error")
    assert "searching.py" in error["traceback"]
    assert error["traceback"].index("KeyError") < error["traceback"].index("RuntimeError")
    (warned,) = [one for one in lines if one.get("request_id") == answers[503].headers["x-request-id"]
                 and one["level"] == "ERROR"]  # fmt: skip
    assert warned["message"] == "(withheld: it repeats the request)"


@pytest.mark.parametrize(
    ("message", "said", "expected"),
    [
        ("refused: HTTP 400: 'Days of LEAVE'", "how many days of leave", True),
        ("the days are over", "how many days of leave", False),
        ("cannot embed ERR_4217", "ERR_4217", True),
        ("of leave", "of leave days", False),
        ("anything", "?!", False),
    ],
)
def test_what_counts_as_a_repetition(message: str, said: str, expected: bool) -> None:
    assert repeats(message, [said]) is expected


def test_outside_of_requests_our_own_errors_keep_their_reason() -> None:
    with written(JsonLines) as stream:
        for error in (EngineError("the engine is away"), ValueError(SECRET)):
            try:
                raise error
            except (EngineError, ValueError):
                logging.getLogger("rag_pipelines.service.following").exception(
                    "index=%s cannot be followed", "x"
                )
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["error"], first["reason"]) == ("EngineError", "the engine is away")
    assert (second["error"], second.get("reason")) == ("ValueError", None)
    assert SECRET not in stream.getvalue()


@pytest.mark.slow
def test_the_command_writes_json_lines_and_nothing_else(project: Project, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "service.log"
    command = [sys.executable, "-m", "rag_pipelines.cli", "serve", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=child(project), stdout=file, stderr=file)
    try:
        wait_until_ready(process, port, log)
        answer = httpx.post(
            f"http://127.0.0.1:{port}{PATH}", json={"query": QUERY}, trust_env=False, timeout=60
        )
        assert answer.status_code == 200
    finally:
        process.terminate()
        process.wait(30)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    (line,) = [one for one in lines if one.get("route") == "/v1/indexes/{index}/search"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert any("no authentication" in one["message"] for one in lines)


def child(project: Project) -> dict[str, str]:
    import os

    return {**os.environ, **project.environ}


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=30).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    pytest.fail(log.read_text(encoding="utf-8")[-2000:])


def test_the_application_is_observed_however_it_is_served(project: Project) -> None:
    with project.workspace() as workspace:
        app = create_app(project.environment, workspace.configuration)
    names = [getattr(middleware.cls, "__name__", "") for middleware in app.user_middleware]
    assert names.index("RequestIds") < names.index("Observed") < names.index("BodyLimit")
