"""Questions written anew by a model behind a real HTTP server on loopback, and everything that can go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.config.query import QueryConfig, RewritingConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.retrieval.rewriting import ChatRewriter, RewriteFailed
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.retrieval.chat_server import ChatServer, serve

QUESTION = "hi, wat happens w/ the gate at nite??"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serve() as running:
        yield running


def config(server: ChatServer, **settings: Any) -> RewritingConfig:
    return RewritingConfig.model_validate({"base_url": server.url, "model": "small", **settings})


def test_the_question_goes_out_and_queries_come_back(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_KEY", "secret")
    server.content = '"gate closing time"\n\n  night   gate \ngate closing time\n'
    rewriter = ChatRewriter(config(server, api_key_env="CHAT_KEY", prompt="Rewrite it."))
    assert rewriter.rewrite(QUESTION) == ("gate closing time", "night gate")
    rewriter.close()

    (request,) = server.requests
    assert (request["path"], request["model"], request["temperature"]) == ("/v1/chat/completions", "small", 0)
    assert request["messages"] == [
        {"role": "system", "content": "Rewrite it."},
        {"role": "user", "content": QUESTION},
    ]
    assert server.keys == ["Bearer secret"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 500}, "the endpoint answered 500"),
        ({"status": 401}, "the endpoint answered 401"),
        ({"body": b"not json"}, "no chat completion"),
        ({"body": b"[]"}, "no chat completion"),
        ({"body": b'{"choices": []}'}, "no chat completion"),
        ({"body": b'{"choices": [{"message": {}}]}'}, "no chat completion"),
        ({"body": json.dumps({"choices": [{"message": {"content": None}}]}).encode()}, "answered nothing"),
        ({"content": " \n "}, "answered nothing"),
        ({"content": "x" * 1001}, "more than 1000 characters"),
        ({"body": b"x" * 100_000}, "answered too much"),
        ({"hang": True}, "no answer within 0.2 s"),
        ({"drip": True}, "no answer within 0.2 s"),
    ],
)
def test_what_goes_wrong_is_said(server: ChatServer, answer: dict[str, Any], reason: str) -> None:
    for name, value in answer.items():
        setattr(server, name, value)
    rewriter = ChatRewriter(config(server, timeout_seconds=0.2 if reason.startswith("no answer") else 10))
    with pytest.raises(RewriteFailed, match=reason):
        rewriter.rewrite(QUESTION)
    rewriter.close()


def test_nobody_there_is_said(server: ChatServer) -> None:
    rewriter = ChatRewriter(RewritingConfig(base_url="http://127.0.0.1:9/v1", model="small"))
    with pytest.raises(RewriteFailed, match=r"cannot be reached \(ConnectError\)"):
        rewriter.rewrite(QUESTION)


def test_a_missing_key_is_an_error_before_any_question(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAT_KEY", raising=False)
    with pytest.raises(ConfigError, match="CHAT_KEY is not set"):
        ChatRewriter(config(server, api_key_env="CHAT_KEY"))


@pytest.mark.parametrize("source", ["rewriting", "synonyms"])
def test_phrasings_need_the_section_they_come_from(source: str) -> None:
    with pytest.raises(ValidationError, match=f"phrasings come from {source}, which has no section here"):
        QueryConfig.model_validate({"phrasings": {"sources": [source]}})


def rewriting(server: ChatServer, **query: Any) -> dict[str, Any]:
    return {
        "query": {"rewriting": {"base_url": server.url, "model": "small", "timeout_seconds": 10}, **query}
    }


def test_the_rewritten_question_is_searched(server: ChatServer, copies: Project) -> None:
    server.content = "car park gate opens at six"
    copies.index("knowledge", retrieval={"mode": "sparse", **rewriting(server)})
    result = copies.search("zzz", 1)
    assert [passage.citation.uri for passage in result.passages] == ["gate.md"]
    assert result.as_json()["understanding"] == {
        "question": "car park gate opens at six",
        "corrections": {},
        "expansions": {},
        "phrasings": [],
        "rewriting": {"model": "small", "used": True, "reason": None},
    }


def test_on_failure_the_question_is_asked_as_it_was(server: ChatServer, copies: Project) -> None:
    server.status = 503
    copies.index("knowledge", retrieval={"mode": "sparse", **rewriting(server)})
    result = copies.search("car park gate", 1)
    assert [passage.citation.uri for passage in result.passages] == ["gate.md"]
    told = result.as_json()["understanding"]
    assert told["question"] == "car park gate"
    assert told["rewriting"] == {
        "model": "small",
        "used": False,
        "reason": "the endpoint answered 503",
    }


def test_as_a_phrasing_it_is_asked_beside_the_question(server: ChatServer, copies: Project) -> None:
    server.content = "hotels nights euros\ntickets first class"
    settings = rewriting(server, phrasings={"sources": ["rewriting"], "most": 1}, spelling={})
    copies.index("knowledge", retrieval={"mode": "sparse", "feedback": {"passages": 0}, **settings})
    result = copies.search("parkk gate", 5)
    assert {passage.citation.uri for passage in result.passages} >= {"gate.md", "travel.md"}
    told = result.understanding
    assert told is not None
    assert told.phrasings == ("hotels nights euros",)
    assert server.requests[0]["messages"][1]["content"] == "parkk gate", (
        "what was asked, not what was corrected"
    )
