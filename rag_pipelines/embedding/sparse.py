"""BM25 term weights of passages and questions; the engine multiplies by the inverse document frequency."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from rag_pipelines.config.models import SparseConfig
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.types import SparseVector
from rag_pipelines.embedding.stopwords import stop_words

CODE = 1
"""Raise it with every change that alters a term or a weight."""

CACHED_WORDS = 200_000
LONGEST_CACHED = 64

_UNSPACED = (  # scripts that write no spaces between words: Thai, Lao, Burmese, Khmer, kana, ideographs, Hangul
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ecf\u1000-\u103f\u1780-\u17d3\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_SYMBOLS = r"(?:(?:\+\+|#)(?!\w))?"
_JOINT = r"(?:__|[._-])"
_ASCII = re.compile(rf"[a-z0-9]+(?:{_JOINT}[a-z0-9]+)*{_SYMBOLS}")
_SEPARATORS = re.compile(r"[._+#-]+")
_UNSPACED_START = re.compile(f"[{_UNSPACED}]")


@cache
def _unicode() -> re.Pattern[str]:
    """The ASCII pattern for all scripts: letters with their combining marks, runs of unspaced scripts apart."""
    marks = "".join(c for c in map(chr, range(0x300, 0xFFFF)) if unicodedata.category(c) in ("Mn", "Mc"))
    letters = rf"[^\W_{_UNSPACED}]+(?:[{marks}]+[^\W_{_UNSPACED}]*)*"
    return re.compile(rf"[{_UNSPACED}]+|{letters}(?:{_JOINT}{letters})*{_SYMBOLS}")


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII.findall(text.lower())
    return _unicode().findall(unicodedata.normalize("NFKC", text).lower())


def _stemmer(analyzer: str) -> Any:
    if analyzer == "none":
        return None
    from Stemmer import Stemmer

    return Stemmer(analyzer, 0)


class Bm25Encoder:
    """Terms are stemmed words without stop words, as the analyzer's language has them (`none`: neither).

    An identifier (`ERR_42`, `foo.bar`, `X-Id`, `v3.5.1`) is a term whole, and so is each part. Scripts without
    spaces between words give each character and each pair of neighbours. A term's index is its xxhash32; two terms
    that share one count as the same. Safe to use from several threads.
    """

    def __init__(self, config: SparseConfig) -> None:
        self._config = config
        self._stop_words = stop_words(config.analyzer)
        self._stemmer = _stemmer(config.analyzer)
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[int, ...]] = {}

    @property
    def fingerprint(self) -> str:
        """Of the code, the analyzer, k1 and b: everything but the average length."""
        return fingerprint("sparse", CODE, self._config.model_dump(mode="json"))

    def terms(self, text: str) -> list[str]:
        """What the text is reduced to, in order; for explaining and testing."""
        return [term for word in _words(text) for term in self._terms_of(word)]

    def count_terms(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Length of each text in terms, for the average that BM25 normalises by."""
        return np.fromiter((len(self._ids(text)) for text in texts), dtype=np.int64, count=len(texts))

    def encode(self, texts: Sequence[str], average_length: float) -> list[SparseVector]:
        """tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average)) of each term.

        Raises ValueError where the average is not positive.
        """
        if not average_length > 0:
            raise ValueError(
                f"average_length is {average_length}; pass the mean of count_terms over the collection"
            )
        k1, b = self._config.k1, self._config.b
        vectors = []
        for text in texts:
            ids = self._ids(text)
            indices, tf = np.unique(ids, return_counts=True)
            damping = k1 * (1 - b + b * len(ids) / average_length)
            vectors.append(SparseVector(indices, (tf * (k1 + 1) / (tf + damping)).astype(np.float32)))
        return vectors

    def encode_query(self, text: str) -> SparseVector:
        """How often each term occurs in the question."""
        indices, tf = np.unique(self._ids(text), return_counts=True)
        return SparseVector(indices, tf.astype(np.float32))

    def _ids(self, text: str) -> npt.NDArray[np.uint32]:
        words, cached = _words(text), self._cache
        try:
            found = [cached[word] for word in words]
        except KeyError:
            found = [self._learn(word) for word in words]
        return np.array(list(chain.from_iterable(found)), dtype=np.uint32)

    def _learn(self, word: str) -> tuple[int, ...]:
        known = self._cache.get(word)
        if known is not None:
            return known
        ids = tuple(
            xxhash.xxh32_intdigest(term.encode("utf-8", "surrogatepass")) for term in self._terms_of(word)
        )
        if len(word) <= LONGEST_CACHED:
            with self._lock:
                if len(self._cache) >= CACHED_WORDS:
                    self._cache.clear()
                self._cache[word] = ids
        return ids

    def _terms_of(self, word: str) -> list[str]:
        if _UNSPACED_START.match(word):
            return [*word, *(a + b for a, b in pairwise(word))]
        parts = [part for part in _SEPARATORS.split(word) if part]
        whole = [] if parts == [word] else [word]
        return whole + [self._stem(part) for part in parts if part not in self._stop_words]

    def _stem(self, word: str) -> str:
        if self._stemmer is None:
            return word
        with self._lock:
            stemmed: str = self._stemmer.stemWord(word)
        return stemmed
