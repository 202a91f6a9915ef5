"""Answers without a model: the sentences of the passages that are nearest to the question, quoted."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import numpy as np

from rag_pipelines.answers.reading import Reading, sentences_of, whole
from rag_pipelines.answers.values import Draft, Finish, Task, Tokens
from rag_pipelines.config.answers import EXTRACTIVE, ExtractiveConfig, PricesConfig
from rag_pipelines.core.types import Passage

EMBEDDED = 16
"""How many sentences are embedded at most: those that share most with the question."""

ALIKE = 0.95
"""Cosine from which a sentence says nothing new."""

RANK_BONUS = 0.2
"""What standing in the first passage adds, halved with each place: retrieval has read more than the sentence."""

HEADING_WORDS = 8
_HEADING = re.compile(r"[^\n\d|]*[^\s\d|.?!:;,…。！？]")


@dataclass(frozen=True, slots=True)
class _Quoted:
    text: str
    number: int
    position: int


class Extractive:
    """The provider that is always there. It costs a batch of embeddings and no tokens."""

    name = EXTRACTIVE
    model = None
    seconds = math.inf
    prices = PricesConfig(prompt=0, completion=0)
    ceiling = None

    def __init__(self, config: ExtractiveConfig, reading: Reading) -> None:
        self._config = config
        self._reading = reading

    async def answer(self, task: Task) -> AsyncGenerator[Draft | Finish, None]:
        """The best sentence first, the others in the order of passages and text. Raises EmbeddingError."""
        for one in await asyncio.to_thread(self.quote, task.question, task.passages):
            yield one
        yield Finish("", Tokens())

    def quote(self, question: str, passages: Sequence[Passage]) -> list[Draft]:
        """As `answer`, at once."""
        places: dict[str, list[int]] = {}
        found: list[_Quoted] = []
        for number, passage in enumerate(passages, 1):
            above = {passage.title, *passage.citation.heading_path, *_headings(passage.text)}
            for position, text in enumerate(sentences_of(passage.text)):
                if text in above:
                    continue
                if text not in places:
                    found.append(_Quoted(text, number, position))
                places.setdefault(text, []).append(number)
        if not found:
            return []
        shares = self._shares(question, found, passages)
        order = sorted(range(len(found)), key=lambda at: -shares[at])[:EMBEDDED]
        candidates = [found[at] for at in order]
        vectors = self._reading.embed([one.text for one in candidates])
        scores = vectors @ self._reading.embed_query(question) + [
            shares[at] + RANK_BONUS * 0.5 ** (found[at].number - 1) for at in order
        ]
        chosen: list[int] = []
        for at in map(int, np.argsort(-scores, kind="stable")):
            if scores[at] < self._config.nearness * scores.max() or len(chosen) == self._config.sentences:
                break
            if all(float(vectors[at] @ vectors[other]) < ALIKE for other in chosen):
                chosen.append(at)
        first, *others = chosen
        others.sort(key=lambda at: (candidates[at].number, candidates[at].position))
        return [
            Draft(candidates[at].text, tuple(dict.fromkeys(places[candidates[at].text])))
            for at in (first, *others)
        ]

    def _shares(self, question: str, found: Sequence[_Quoted], passages: Sequence[Passage]) -> list[float]:
        """Share of the weight of the question's terms that a sentence has, a term being worth more the rarer it is.

        What stands above the text counts half: a sentence rarely repeats what its page is about.
        """
        asked = self._reading.ids(question)
        own = [self._reading.ids(one.text) & asked for one in found]
        above = [self._reading.ids(whole(passage)) & asked for passage in passages]
        weights = {term: math.log(1 + len(found) / (1 + sum(term in one for one in own))) for term in asked}
        total = sum(weights.values())
        if not total:
            return [0.0] * len(found)

        def weight(terms: frozenset[int]) -> float:
            return sum(weights[term] for term in terms)

        return [
            (weight(mine) + weight(above[one.number - 1] - mine) / 2) / total
            for mine, one in zip(own, found, strict=True)
        ]


def _headings(text: str) -> set[str]:
    """Lines that head what follows them: a passage of several sections has some that its citation does not name.

    Few words, no number and no end of a sentence, alone between blank lines and not at the end.
    """
    lines = [block.strip() for block in text.split("\n\n")][:-1]
    return {line for line in lines if len(line.split()) <= HEADING_WORDS and _HEADING.fullmatch(line)}
