"""Whether what a sentence cites supports it: a proxy by shared terms, numbers, names and closeness of vectors.

It finds sentences about something else and invented figures. It cannot tell a statement from its denial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag_pipelines.answers.reading import Reading, names, numbers, sentences_of, whole, words
from rag_pipelines.config.answers import SupportConfig
from rag_pipelines.core.types import FloatArray, Passage


@dataclass(frozen=True, slots=True)
class Support:
    """Of one sentence by what it cites, each from 0 to 1.

    `terms`, `numbers` and `names` are shares of the sentence's own that the cited passages have, 1 where it has none
    (of terms 0); `cosine` is to the nearest of their sentences, 0 where nothing is embedded.
    """

    terms: float
    cosine: float
    numbers: float
    names: float

    def score(self, config: SupportConfig) -> float:
        """The weighted mean that the threshold is compared with."""
        return config.terms_weight * self.terms + (1 - config.terms_weight) * self.cosine

    def holds(self, config: SupportConfig) -> bool:
        """Whether the sentence counts as supported."""
        if (config.numbers and self.numbers < 1) or (config.names and self.names < 1):
            return False
        return self.score(config) >= config.threshold


class Supporter:
    """Checks the sentences of one answer; the sentences of a passage are embedded when it is first cited."""

    def __init__(self, config: SupportConfig, reading: Reading, passages: Sequence[Passage]) -> None:
        self._config = config
        self._reading = reading
        self._passages = passages
        self._vectors: dict[int, FloatArray] = {}

    def check(self, text: str, cited: Sequence[int]) -> bool:
        """Whether the passages of these numbers support the sentence; without any, nothing does.

        Nothing is embedded where no cosine could change that. Raises EmbeddingError.
        """
        if not cited:
            return False
        config, bare = self._config, self._plain(text, cited)
        if bare.holds(config) or not replace(bare, cosine=1.0).holds(config):
            return bare.holds(config)
        return self.support(text, cited).holds(config)

    def support(self, text: str, cited: Sequence[int]) -> Support:
        """The figures themselves. Raises EmbeddingError."""
        bare = self._plain(text, cited)
        return replace(bare, cosine=self._cosine(text, cited)) if self._config.terms_weight < 1 else bare

    def _plain(self, text: str, cited: Sequence[int]) -> Support:
        read = "\n".join(whole(self._passages[number - 1]) for number in cited)
        own, theirs = self._reading.ids(text), self._reading.ids(read)
        return Support(
            len(own & theirs) / len(own) if own else 0.0,
            0.0,
            _share(numbers(text), numbers(read)),
            _share(names(text), words(read)),
        )

    def _cosine(self, text: str, cited: Sequence[int]) -> float:
        vector = self._reading.embed([text])[0]
        best = max(float((self._of(number) @ vector).max()) for number in cited)
        return float(np.clip(best, 0, 1))

    def _of(self, number: int) -> FloatArray:
        if number not in self._vectors:
            passage = self._passages[number - 1]
            pieces = [*sentences_of(passage.text), whole(passage)]
            self._vectors[number] = self._reading.embed(pieces)
        return self._vectors[number]


def _share(own: frozenset[str], theirs: frozenset[str]) -> float:
    return len(own & theirs) / len(own) if own else 1.0
