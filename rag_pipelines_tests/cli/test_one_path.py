"""Service, terminal and evaluation give the same passages for the same question, version, filters and principal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.evaluation.runs import read_run
from rag_pipelines.service.app import create_app
from rag_pipelines_tests.cli.conftest import PAGES, Commands
from rag_pipelines_tests.evaluation.samples import HEADER, write_suite
from rag_pipelines_tests.project import Project

PRINCIPAL = {"subject": "local", "tenant": "acme", "groups": ["staff"], "clearance": "internal"}
QUESTIONS = {"q1": "How many days of leave do I have?", "q2": "What does ERR_4217 mean?", "q3": "salaries"}
FILTERS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "q1": ({}, ()),
    "q2": ({"uri": ["pump.md", "other.md"]}, ("--filter", "uri=pump.md", "--filter", "uri=other.md")),
    "q3": ({"source": "docs"}, ("--filter", "source=docs")),
}
RETRIEVALS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "sections": {"context": {"parents": True, "neighbours": 1, "mmr_lambda": 0.6, "per_document": 2}},
    "one half": {"mode": "dense", "distinct": False, "locations": 0},
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Two versions of some pages, one of them the board's alone, and a suite of three questions."""
    project = Project(tmp_path_factory.mktemp("path"))
    project.source("docs", chunking={"strategy": "hierarchical", "max_tokens": 16, "parent_tokens": 48})
    project.source("board", acl=["group:board"])
    for name, text in PAGES.items():
        project.write(name, text)
    for name, text in PAGES.items():
        project.write(name, f"{text}\nThe board leaves salaries as they are.\n", "board")
    rows = [{"_id": name, "text": text} for name, text in QUESTIONS.items()]
    judged = [f"{name}\tdocs/leave.md\t1" for name in QUESTIONS]
    write_suite(project.root / "suite", rows, [HEADER, *judged])
    values = {"suite": "pages", "path": "suite", "judged_id": "source/uri", "k": 10, "measures": ["RR@10"]}
    project.configure("eval/pages", values)
    project.configure("service", {"principal": PRINCIPAL})
    (project.root / "ana.json").write_text(json.dumps(PRINCIPAL), encoding="utf-8")
    project.sync()
    project.write("leave.md", PAGES["leave.md"].replace("thirty", "forty"))
    project.write("other.md", PAGES["pump.md"])
    project.sync()
    return Commands(project)


def places(passages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What tells passages apart, in their order."""
    return [(p["doc_id"], p["chunk_id"], p["start"], p["end"], p["parsed_hash"]) for p in passages]


@pytest.mark.parametrize(
    ("name", "version"), [("as it is", 2), ("sections", 1), ("sections", 2), ("one half", 1)]
)
def test_the_three_ways_to_ask_are_one(asked: Commands, name: str, version: int) -> None:
    project = asked.project
    project.index("knowledge", retrieval=RETRIEVALS[name])
    ana = ("--as", str(project.root / "ana.json"), "--version", str(version))
    run = read_run(Path(asked.json("eval", "pages", *ana)["run"]))
    with project.workspace() as workspace:
        app = create_app(project.environment, workspace.configuration)
    with TestClient(app, base_url="http://localhost") as client:
        for query_id, question in QUESTIONS.items():
            body = {"query": question, "k": 10, "version": version}
            served = client.post("/v1/indexes/knowledge/search", json=body).json()["passages"]
            assert {passage["source"] for passage in served} == {"docs"}
            measured = run.queries[query_id]
            assert [
                (p.doc_id, p.chunk_id, p.start, p.end, p.parsed_hash) for p in measured.passages
            ] == places(served)
            assert measured.returned == len(served)

            filters, words = FILTERS[query_id]
            answer = client.post("/v1/indexes/knowledge/search", json={**body, "filters": filters}).json()
            assert asked.json("search", question, "-k", "10", *ana, *words) == answer
            assert answer["passages"]
