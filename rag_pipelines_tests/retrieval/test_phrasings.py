"""Several phrasings of a question and the fusion of their rankings."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.config.query import PhrasingsConfig
from rag_pipelines.core.filters import Match
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit
from rag_pipelines.embedding.stopwords import stop_words
from rag_pipelines.retrieval.phrasings import fusing_phrasings, keywords, phrasings, with_synonyms
from rag_pipelines.retrieval.synonyms import Expansion

DROPPED = stop_words("english").__contains__
QUESTION = "How do I start a VM with SSO?"
EXPANSIONS = [
    Expansion("VM", ("virtual machine", "instance"), 17, 19),
    Expansion("SSO", ("single sign-on",), 25, 28),
]


def test_synonyms_stand_in_place() -> None:
    assert with_synonyms(QUESTION, EXPANSIONS) == [
        "How do I start a virtual machine with single sign-on?",
        "How do I start a instance with single sign-on?",
    ]
    assert with_synonyms(QUESTION, []) == []


def test_keywords_leave_function_words_out() -> None:
    assert keywords("How do I start a VM, in C++?", DROPPED) == "start VM, C++?"
    assert keywords("what is this", DROPPED) == ""


def test_phrasings_take_turns_and_none_comes_twice() -> None:
    settings = PhrasingsConfig(sources=("rewriting", "synonyms", "keywords"), most=4)
    rewritten = ("start virtual machine", QUESTION, "third")
    assert phrasings(QUESTION, EXPANSIONS, rewritten, DROPPED, settings) == (
        "start virtual machine",
        "How do I start a virtual machine with single sign-on?",
        "start VM SSO?",
        "How do I start a instance with single sign-on?",
    )
    few = PhrasingsConfig(sources=("keywords",), most=1)
    assert phrasings("start VM", (), (), DROPPED, few) == ()


VECTORS = {name: np.array([number], np.float32) for number, name in enumerate(("one", "two", "three"))}


def test_rankings_are_fused_by_reciprocal_rank() -> None:
    rankings = {0: ["a", "b", "c"], 1: ["c", "a", "d"], 2: ["c"]}
    asked: list[tuple[int, int, object]] = []

    def ask(request: SearchRequest) -> list[Hit]:
        assert request.dense is not None
        number = int(request.dense[0])
        asked.append((number, request.limit, request.condition))
        return [Hit(name, 1.0, {"from": number}) for name in rankings[number]]

    others = [
        SearchRequest(limit=1, dense=VECTORS[name], condition=Match("x", "y")) for name in ("two", "three")
    ]
    condition = Match("tenant", "acme")
    request = SearchRequest(limit=2, dense=VECTORS["one"], condition=condition, candidates=50)
    found = fusing_phrasings(ask, others, rrf_k=1)(request)

    assert asked == [(0, 50, condition), (1, 50, condition), (2, 50, condition)]
    # a: 1/1 + 1/2, c: 1/3 + 1/1 + 1/1, b: 1/2, d: 1/3
    assert [hit.point_id for hit in found] == ["c", "a"]
    assert [hit.score for hit in found] == pytest.approx([7 / 3, 1.5])
    assert found[0].payload == {"from": 0}


def test_one_phrasing_alone_is_asked_as_it_is() -> None:
    def ask(request: SearchRequest) -> list[Hit]:
        return []

    assert fusing_phrasings(ask, [], 60) is ask
