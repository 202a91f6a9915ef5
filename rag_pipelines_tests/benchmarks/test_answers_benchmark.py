"""The benchmarks of answers count what they say."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from rag_pipelines.answers.support import Support
from rag_pipelines.config.answers import SupportConfig
from rag_pipelines.evaluation.qrels import Query
from rag_pipelines_tests.answers.asking import READING, passage
from rag_pipelines_tests.benchmarks.answer_support import (
    NEAREST,
    OTHERS,
    SUPPORTED,
    Calibrated,
    Pair,
    pairs,
    rates,
    weighed,
)
from rag_pipelines_tests.benchmarks.answer_support import table as support_table
from rag_pipelines_tests.benchmarks.answers import Abstentions, Asked, Measured, summary, table


def pair(kind: str, terms: float, cosine: float = 0.0, numbers: float = 1.0) -> Pair:
    return Pair(kind, "a", Support(terms, cosine, numbers, 1.0))


def test_weights_are_compared_on_the_half_that_chose_no_threshold() -> None:
    tuned = [pair(SUPPORTED[0], 1.0), pair(SUPPORTED[1], 0.6), pair(NEAREST[0], 0.4), pair(NEAREST[1], 0.2)]
    held_out = [
        pair(SUPPORTED[0], 0.9),
        pair(SUPPORTED[1], 0.45),
        pair(NEAREST[0], 0.5),
        pair(NEAREST[1], 0.1),
    ]
    found = weighed(tuned, held_out, 1.0)
    assert (found.tuned_auroc, found.threshold, found.auroc, found.accuracy) == (1.0, 0.5, 0.75, 0.5)


def test_rates_are_of_each_kind_and_of_each_rule() -> None:
    half = [pair(OTHERS[1], 1.0, numbers=0.5), pair(OTHERS[1], 1.0), pair(SUPPORTED[0], 0.1)]
    found = rates(half, SupportConfig(terms_weight=1, threshold=0.5))
    assert [(one.kind, one.pairs, one.chosen, one.without_numbers) for one in found] == [
        (SUPPORTED[0], 1, 0.0, 0.0),
        (OTHERS[1], 2, 0.5, 1.0),
    ]
    half = [pair(SUPPORTED[0], 1), pair(NEAREST[0], 0)]
    shown = support_table(Calibrated(9, [weighed(half, half, 1)], SupportConfig(), found))
    assert "| a number changed | 2 | 50.0% | 100.0% | 50.0% |" in shown


def test_pairs_are_made_of_sentences_answers_and_other_passages() -> None:
    corpus = {
        "p1": {"_id": "p1", "title": "Rollo", "text": "Rollo came in 911. He stayed."},
        "p2": {"_id": "p2", "title": "Rollo", "text": "The duchy grew."},
    }
    rows: list[dict[str, Any]] = [
        {"text": "When did Rollo come?", "metadata": {"answers": ["911"], "gold_doc": "p1"}},
        {"text": "What did he do?", "metadata": {"answers": ["stayed"], "gold_doc": "p1"}},
    ]
    reading = replace(READING, embed=lambda texts: np.zeros((len(texts), 2), np.float32))
    found = pairs(rows, corpus, reading, lambda question, gold: passage(1, "Nothing of it."))
    first = {one.kind: one.support for one in found[:7]}
    assert first[SUPPORTED[0]] == Support(1.0, 0.0, 1.0, 1.0)
    assert first[NEAREST[0]].terms == 0
    assert first[OTHERS[1]].numbers == 0
    assert (first[SUPPORTED[1]].numbers, first[OTHERS[2]].numbers) == (1.0, 1.0)
    assert [one.kind for one in found[7:]] == [SUPPORTED[0], SUPPORTED[1], *NEAREST, OTHERS[0], OTHERS[2]]


def asked(
    answerable: bool, text: str, citations: list[int], gold: str, read: str, *, supported: bool = True
) -> Asked:
    sentences = [{"text": text, "citations": citations, "supported": supported}]
    cited = [{"number": number, "uri": f"p{number}", "text": read} for number in citations]
    answer = {"answerable": supported, "text": text, "sentences": sentences, "citations": cited}
    query = Query("q", "Who?", {}, answerable, 1)
    return Asked(query, [gold], "p1", [{"text": read}], answer, 10.0, 20.0)


def test_shares_of_sentences_and_of_questions() -> None:
    found = summary(
        [
            asked(True, "It was  Rollo.", [1], "rollo", "Before. It was Rollo."),
            asked(True, "It was Rollo.", [1], "rollo", "It was Rollo."),
            asked(True, "Nobody knows.", [2], "Rollo", "It was Rollo.", supported=False),
            asked(False, "Somebody did.", [], "", "Text."),
        ]
    )
    assert (found.answerable, found.unanswerable, found.sentences) == (3, 1, 4)
    assert (found.cited, found.supported, found.verbatim) == (0.75, 0.75, 0.5)
    assert (found.gold_in_text, found.gold_cited, found.gold_found) == (2 / 3, 2 / 3, 1.0)
    assert (found.answered, found.unanswerable_answered) == (2 / 3, 1.0)
    measured = Measured(found, Abstentions(4, 0.5, 0.25, 4))
    assert json.loads(json.dumps(asdict(measured)))["answers"]["search_ms"] == 10
    assert "| sentences with a citation | 4 | 75.0% |" in table(measured)
    assert "in 4 of 4." in table(measured)
