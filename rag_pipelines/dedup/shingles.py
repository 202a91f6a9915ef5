"""Text -> its set of word n-grams, as sorted hashes, and the exact Jaccard similarity of two such sets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rag_pipelines.dedup.words import mix, word_hashes

Shingles = npt.NDArray[np.uint64]
"""Ascending and unique: a set."""

FACTOR = np.uint64(0xD6E8FEB86659FD93)


def shingle(text: str, ngram: int = 5) -> Shingles:
    """The hashes of every `ngram` consecutive words; of all words together where there are fewer.

    Empty for a text without a word. Two different n-grams share a hash with probability 2**-64.
    """
    words = word_hashes(text)
    size = min(ngram, words.size)
    if size == 0:
        return np.empty(0, np.uint64)
    count = words.size - size + 1
    hashes = np.full(count, size, np.uint64)
    for place in range(size):
        hashes *= FACTOR
        hashes += words[place : place + count]
    mix(hashes).sort()
    fresh = np.ones(count, np.bool_)
    np.not_equal(hashes[1:], hashes[:-1], out=fresh[1:])
    return hashes[fresh]


def jaccard(a: Shingles, b: Shingles) -> float:
    """Shared shingles by all shingles of the two; 0 where either has none, so that nothing is like the empty text."""
    if not a.size or not b.size:
        return 0.0
    both = np.concatenate((a, b))
    both.sort(kind="stable")
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    return common / (both.size - common)
