"""The client of the load benchmark counts what it is answered."""

from __future__ import annotations

import asyncio
from typing import Any

from rag_pipelines.config.limits import LimitsConfig
from rag_pipelines_tests.benchmarks.http_load import Plan, ask_all, carried_out, requests_of
from rag_pipelines_tests.benchmarks.service_capacity import figures, table
from rag_pipelines_tests.service.served import serving

BODIES = [{"question": "why"}, {"question": "how"}]


def test_every_answer_is_counted_under_its_status() -> None:
    with serving(LimitsConfig(concurrency=1, waiting=0)) as (url, _):
        calm = carried_out(Plan(f"{url}/echo", BODIES, 1, 0.3))
        assert list(calm["statuses"]) == ["200"]
        assert calm["statuses"]["200"]["count"] == calm["sent"] > 0
        refused = asyncio.run(ask_all(Plan(f"{url}/none", BODIES, 1, 0.1)))
        assert list(refused["statuses"]) == ["404"]
    gone = asyncio.run(ask_all(Plan(f"{url}/echo", BODIES, 1, 0.1)))
    assert list(gone["statuses"]) == ["0"]


def test_a_schedule_is_kept_and_what_finds_no_connection_is_counted() -> None:
    with serving(LimitsConfig(concurrency=1, waiting=0)) as (url, work):
        report = asyncio.run(ask_all(Plan(f"{url}/echo", BODIES, 4, 0.5, rate=40)))
        assert (report["sent"] + report["missed"], set(report["statuses"]) <= {"200", "503"}) == (20, True)
        work.end.set()


def test_a_token_is_sent_and_figures_are_of_answers_alone() -> None:
    (request,) = requests_of(Plan("http://h:1/p", BODIES[:1], 1, 1, token="secret"))
    assert b"Authorization: Bearer secret\r\n" in request
    report: dict[str, Any] = {
        "seconds": 2.0,
        "hits": 3,
        "statuses": {
            "200": {"count": 6, "p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0},
            "503": {"count": 2, "p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0},
        },
    }
    told = figures(report)
    assert told == {
        "per_second": 3.0,
        "p50": 1.0,
        "p95": 2.0,
        "p99": 3.0,
        "hits": 0.5,
        "refused": 2,
        "failed": 0,
    }
    report["statuses"] |= {"500": {"count": 1}, "0": {"count": 3}}
    assert figures(report)["failed"] == 4
    row = {"key": True, "rerank": False, "kept": "none", "filters": True, "clients": 1, **told, "rss_mb": 9}
    assert (
        table([row]).splitlines()[2]
        == "| yes | no | none | yes | 1 | 3.0 | 1.0 | 2.0 | 3.0 | 0.5 | 2 | 0 | 9 |"
    )
