"""Two corpora that differ only in what the asker may not read give them the same answers, byte for byte.

Where a global statistic enters (how rare a term is among all documents) that cannot be had: those paths are
searched by the dense vectors alone.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.access.corpus import CHAIN, Asker, Case, Corpus, draw_case, draw_corpus
from rag_pipelines_tests.access.oracle import FACETS, URL
from rag_pipelines_tests.access.world import World, built
from rag_pipelines_tests.project import Parts

ANA = Asker("ana", "acme", ("staff",), "internal")
DIGITS = re.compile(r"(\d\.\d{4})\d+")
"""numpy's products differ in their last bits with the number of rows; the engine's do not.

So equal vectors may not tie there, and texts must differ.
"""

TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)")
NONCE = re.compile(r'"nonce":"(\w+)"')


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    """A parser for all corpora."""
    kept = Parts()
    yield kept
    kept.close()


def hidden(corpus: Corpus, asker: Asker) -> list[int]:
    """Papers that the asker may read in no version."""
    return [number for number, rights in corpus.now.items() if not asker.may_read(rights)]


def drawn(seed: int) -> Corpus:
    """One of which the asker may read some papers, all in one version."""
    for attempt in itertools.count(seed):
        corpus = draw_corpus(random.Random(attempt))
        corpus = replace(corpus, first=corpus.second, rolled_back=False)
        away = hidden(corpus, ANA)
        kept = {paper.source for number, paper in corpus.second.items() if number not in away}
        if len(kept) == 2 and len(away) >= 3 and corpus.dedup == "mark" and between(corpus, away):
            return corpus
    raise AssertionError


def between(corpus: Corpus, away: Sequence[int]) -> bool:
    """Whether a hidden paper is near to two readable ones that are not near to each other."""
    texts = {
        (number in away, part): True
        for number, paper in corpus.second.items()
        for part, sentences in enumerate(CHAIN)
        if paper.sections[0][1] == "\n\n".join(sentences)
    }
    return texts.keys() == {(False, 0), (True, 1), (False, 2)}


def unlike(corpus: Corpus) -> Corpus:
    """The same without two equal texts."""
    papers = {}
    for number, paper in corpus.second.items():
        marked = ((heading, f"{number}.{at} {text}") for at, (heading, text) in enumerate(paper.sections))
        papers[number] = replace(paper, sections=tuple(marked))
    return replace(corpus, first=papers, second=papers)


def answers(world: World, case: Case) -> Iterator[tuple[str, int, str]]:
    """Every path: what was asked, the status and the body, moments and the fences' nonces left out."""
    for served in world.served.values():
        served.ask_as(ANA)
    client = world.served["dense"].client
    grouped = world.served["grouped"].client.post(f"{URL}/search", json={"query": case.query, "k": 50})
    yield "grouped", grouped.status_code, grouped.text
    sent: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"{URL}/search", {"query": case.query, "k": 50, "explain": True}),
        ("POST", f"{URL}/search", {"query": case.query, "k": 2, "filters": case.filters}),
        ("POST", f"{URL}/search", {"query": case.query, "k": 3, "neighbours": 2, "context_tokens": 200}),
        ("POST", f"{URL}/search", {"query": case.query, "k": 4, "mmr_lambda": 0.4, "per_document": 1}),
        ("POST", f"{URL}/search", {"query": case.query, "filters": {"tema": "alpha"}}),
        ("POST", f"{URL}/search", {"query": case.query, "version": 9}),
        ("POST", f"{URL}/facets", {"fields": list(FACETS), "filters": case.filters}),
        ("POST", f"{URL}/facets", {"fields": list(FACETS), "unit": "documents"}),
        ("POST", f"{URL}/facets", {"fields": ["tenant"]}),
        ("GET", f"{URL}/documents?limit=2", {}),
        ("GET", f"{URL}/documents?source=secnd", {}),
        ("GET", f"{URL}/documents?prefix=1", {}),
        ("GET", f"{URL}/suggestions?prefix={case.prefix}", {}),
        ("GET", f"{URL}/suggestions?prefix=p&limit=2", {}),
        ("GET", f"{URL}/versions", {}),
        ("GET", "/v1/indexes", {}),
        ("GET", "/v1/indexes/knowlege/versions", {}),
        ("POST", "/v1/sources/secnd/reindex", {}),
        ("GET", "/readyz", {}),
    ]
    names = [document_id(source, str(number)) for number in range(20) for source in ("first", "second")]
    sent += [("GET", f"{URL}/documents/{name}", {}) for name in names]
    for method, path, body in sent:
        answer = client.request(method, path, json=body if method == "POST" else None)
        text = TIMES.sub("TIME", answer.text)
        for nonce in NONCE.findall(text):
            text = text.replace(nonce, "NONCE")
        yield f"{method} {path}", answer.status_code, text


def shortened(found: tuple[str, int, str], engine: str) -> tuple[str, int, str]:
    """Four digits of each fraction are compared where the engine is made of numpy."""
    path, status, text = found
    return path, status, DIGITS.sub(r"\1", text) if engine == "local" else text


@pytest.mark.parametrize(("engine", "seed"), [("edge", 1), ("edge", 100), ("local", 200)])
def test_what_is_hidden_changes_no_byte(parts: Parts, engine: str, seed: int) -> None:
    corpus = drawn(seed) if engine == "edge" else unlike(drawn(seed))
    away = hidden(corpus, ANA)
    cases = [draw_case(random.Random(seed + n)) for n in range(3)]
    told = []
    for one in (corpus, corpus.without(away)):
        with built(one, parts, engine, ("dense", "grouped")) as world:
            assert world.live == 1
            told.append([[shortened(found, engine) for found in answers(world, case)] for case in cases])
    assert told[0] == told[1]
    statuses = {status for found in told[0] for _, status, _ in found}
    assert statuses == {200, 400, 404}
