"""Synonyms and phrasings through the whole search, and what the answer tells of them."""

from __future__ import annotations

from typing import Any

from rag_pipelines.core.types import Principal
from rag_pipelines_tests.project import STAFF, Project

QUERY: dict[str, Any] = {
    "synonyms": {"two_way": [["lot", "car park"]], "one_way": {"HQ": ["accounting office"]}}
}


def uris(project: Project, question: str, query: dict[str, Any], **retrieval: Any) -> list[str]:
    project.index("knowledge", retrieval={"query": query, **retrieval})
    return project.uris(question, principal=STAFF)


def test_a_synonym_finds_what_the_question_does_not_say(copies: Project) -> None:
    sparse = {"mode": "sparse", "feedback": {"passages": 0}}
    assert uris(copies, "lot", {}, **sparse) == []
    assert uris(copies, "lot", QUERY, **sparse) == ["gate.md"]
    assert uris(copies, "the HQ", QUERY, **sparse)[:1] == ["travel.md"]


def test_dense_is_left_alone_unless_asked(copies: Project) -> None:
    def score(query: dict[str, Any]) -> float:
        copies.index("knowledge", retrieval={"mode": "dense", "query": query})
        return copies.search("lot", 1).passages[0].score

    plain, sparse_only = score({}), score(QUERY)
    both = score({"synonyms": {**QUERY["synonyms"], "dense": True}})
    assert sparse_only == plain
    assert both > plain + 0.05


def test_the_answer_tells_what_was_understood(copies: Project) -> None:
    query = {**QUERY, "spelling": {"min_passages": 1}, "phrasings": {"sources": ["synonyms", "keywords"]}}
    copies.index("knowledge", retrieval={"query": query})
    result = copies.search("when does the gatte of the lot open", principal=STAFF)
    assert result.as_json()["understanding"] == {
        "question": "when does the gatte of the lot open".replace("gatte", "gate"),
        "corrections": {"gatte": "gate"},
        "expansions": {"lot": ["car park"]},
        "phrasings": ["when does the gate of the car park open", "gate lot open"],
    }
    assert result.passages[0].citation.uri == "gate.md"
    explained = copies.search("when does the gatte of the lot open", principal=STAFF, explained=True)
    assert explained.explanations is not None
    assert explained.explanations[0].matched[0] == "gate"


def test_phrasings_stay_within_the_asker_s_rights(copies: Project) -> None:
    query = {**QUERY, "phrasings": {"sources": ["synonyms"]}}
    copies.index("knowledge", retrieval={"query": query})
    outsider = Principal("eve", "acme", ("board",))
    found = copies.search("HQ lot", 10, principal=outsider).passages
    assert {passage.citation.source for passage in found} == {"board"}
