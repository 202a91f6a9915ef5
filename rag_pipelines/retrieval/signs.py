"""Signs that a question is answered, each higher the likelier: of its best passages and of both searches.

They are computed from hits of the asker's own condition and from nothing else. Even how rare a term is comes
from those hits, not from the collection: what somebody may not read must not move what they are told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rag_pipelines.core.ports import SparseEncoder
from rag_pipelines.core.sentences import sentence_starts
from rag_pipelines.core.types import FloatArray, Hit, SparseVector
from rag_pipelines.retrieval.negation import denies
from rag_pipelines.retrieval.rerank import passage_text

VERSION = 1
"""Raise it with every change that alters a sign: calibrations of another version are refused."""

DEPTH = 50
"""How deep each half of the search is looked at."""

READ = 3
"""How many of the best passages are read sentence by sentence."""

SENTENCES = 6
"""How many of their sentences are embedded at most: those that share most with the question."""

LONGEST = 1000
"""Characters of a sentence that are read."""

FOCUS = 20.0
"""Sharpness of the softmax over cosines whose entropy is taken."""

Embed = Callable[[Sequence[str]], FloatArray]
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"\w[\w'’-]*")


@dataclass(frozen=True, slots=True)
class Found:
    """What a question found: the best passages, and each half of the search; None where the mode has no such half.

    `vector` is the question's.
    """

    best: Sequence[Hit]
    dense: Sequence[Hit] | None
    sparse: Sequence[Hit] | None
    vector: FloatArray | None


def signs(
    question: str, found: Found, terms: SparseEncoder, language: str, embed: Embed | None
) -> dict[str, float]:
    """Every sign that the mode allows for; `found.best` must not be empty.

    `embed` gives vectors of sentences in the space of the question's; without it and without a vector there is
    no cosine of sentences.
    """
    best = found.best[:READ]
    weighed = _Weighed(question, _pool(found), terms)
    sentences = _sentences(best, weighed)
    shares = np.array([weighed.share(text) for text in sentences])
    values = {
        "sparse_share": weighed.best_share,
        "terms_in_passage": weighed.share(passage_text(best[0])),
        "terms_in_sentence": float(shares.max()),
        "rarest_found": weighed.rarest_found(passage_text(best[0])),
        "names_found": names_found(question, passage_text(best[0])),
        "numbers_found": numbers_found(question, passage_text(best[0])),
    }
    closest = shares
    if found.dense is not None:
        values |= of_cosines(np.array([hit.score for hit in found.dense], np.float64))
    if embed is not None and found.vector is not None:
        cosines = _cosines(embed(sentences), found.vector)
        values["sentence_cosine"] = float(cosines.max())
        closest = shares + cosines
    nearest = sentences[int(np.argmax(closest))]
    values["denial_met"] = float(not denies(question, language) or denies(nearest, language))
    if found.dense is not None and found.sparse is not None:
        values["agreement"] = agreement(found.dense, found.sparse)
    return values


def of_cosines(scores: npt.NDArray[np.float64]) -> dict[str, float]:
    """The best score, how far the tenth lies below it, and how little the best ten resemble each other.

    `dense_focus` is 1 less the entropy of their softmax by the largest that so many could have.
    """
    if not scores.size:
        return {"dense_best": 0.0, "dense_margin": 0.0, "dense_focus": 0.0}
    top = scores[:10]
    shares = np.exp(FOCUS * (top - top[0]))
    shares /= shares.sum()
    entropy = -float((shares * np.log(shares)).sum())
    focus = 1 - entropy / math.log(top.size) if top.size > 1 else 1.0
    return {"dense_best": float(top[0]), "dense_margin": float(top[0] - top[-1]), "dense_focus": focus}


def agreement(dense: Sequence[Hit], sparse: Sequence[Hit], depth: int = 10) -> float:
    """Of the first ten places, the share that both halves give to the same points."""
    both = {hit.point_id for hit in dense[:depth]} & {hit.point_id for hit in sparse[:depth]}
    return len(both) / depth


def names_found(question: str, passage: str) -> float:
    """Share of the question's capitalised words, the first word left out, that occur in the passage; 1 without any."""
    names = {word for word in _WORD.findall(question)[1:] if word[0].isupper()}
    lowered = passage.casefold()
    return sum(name.casefold() in lowered for name in names) / len(names) if names else 1.0


def numbers_found(question: str, passage: str) -> float:
    """Share of the question's numbers that occur in the passage, as written; 1 without any."""
    numbers = set(_NUMBER.findall(question))
    return len(numbers & set(_NUMBER.findall(passage))) / len(numbers) if numbers else 1.0


class _Weighed:
    """The question's terms, each by how rare it is among the passages that were found."""

    def __init__(self, question: str, passages: Sequence[str], terms: SparseEncoder) -> None:
        self._terms = terms
        average = max(float(terms.count_terms(passages).mean()), 1.0)
        encoded = [_weights(vector) for vector in terms.encode(passages, average)]
        asked = _weights(terms.encode_query(question))
        self._highest = rarity(0, len(passages))
        self._rarity = {term: rarity(sum(term in one for one in encoded), len(passages)) for term in asked}
        # A passage that is the question itself: the best that a passage of its length could score.
        ideal = self._score(asked, _weights(terms.encode([question], average)[0]))
        self.best_share = max(self._score(asked, one) for one in encoded) / ideal if ideal else 0.0

    def _score(self, asked: Mapping[int, float], passage: Mapping[int, float]) -> float:
        return sum(times * self._rarity[term] * passage.get(term, 0.0) for term, times in asked.items())

    def share(self, text: str) -> float:
        """Share of the weight of the question's terms that the text has; 0 where the question has none."""
        total = sum(self._rarity.values())
        if not total:
            return 0.0
        own = self._ids(text)
        return sum(weight for term, weight in self._rarity.items() if term in own) / total

    def rarest_found(self, text: str) -> float:
        """1 less the rarity of the rarest term that the text lacks, by the highest there can be."""
        own = self._ids(text)
        missing = [weight for term, weight in self._rarity.items() if term not in own]
        return 1 - max(missing, default=0.0) / self._highest

    def _ids(self, text: str) -> frozenset[int]:
        return frozenset(self._terms.encode_query(text).indices.tolist())


def rarity(having: int, passages: int) -> float:
    """BM25's inverse document frequency, of passages."""
    return math.log(1 + (passages - having + 0.5) / (having + 0.5))


def _weights(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


def _pool(found: Found) -> list[str]:
    hits = {hit.point_id: hit for hits in (found.best, found.dense or (), found.sparse or ()) for hit in hits}
    return [passage_text(hit) for hit in hits.values()]


def _sentences(best: Sequence[Hit], weighed: _Weighed) -> list[str]:
    found: list[str] = []
    for hit in best:
        text = str(hit.payload["text"])
        starts = [0, *sentence_starts(text, 0, len(text)), len(text)]
        pieces = (text[a:b].strip()[:LONGEST] for a, b in pairwise(starts))
        found += [piece for piece in pieces if piece]
    if len(found) <= SENTENCES:
        return found or [""]
    shares = [weighed.share(text) for text in found]
    order = sorted(range(len(found)), key=lambda place: (-shares[place], place))
    return [found[place] for place in sorted(order[:SENTENCES])]


def _cosines(vectors: FloatArray, question: FloatArray) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(question)
    return np.asarray(vectors @ question / lengths, np.float64)
