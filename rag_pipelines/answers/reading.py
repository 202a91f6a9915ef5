"""What reading passages takes: terms, vectors and tokens, as the index that they come from has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rag_pipelines.config.models import SparseConfig
from rag_pipelines.core.ports import SparseEncoder, Tokenizer
from rag_pipelines.core.sentences import sentence_starts
from rag_pipelines.core.types import FloatArray, Passage
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.retrieval.search import Searcher

LONGEST = 1000
"""Characters of a sentence that are read."""

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"\w[\w'’-]*")


@dataclass(frozen=True, slots=True)
class Reading:
    """`embed` and `embed_query` give vectors of unit length; they and `tokens` load what they need on first use."""

    terms: SparseEncoder
    embed: Callable[[Sequence[str]], FloatArray]
    embed_query: Callable[[str], FloatArray]
    tokens: Callable[[str], int]

    def ids(self, text: str) -> frozenset[int]:
        """Its terms."""
        return frozenset(self.terms.encode_query(text).indices.tolist())


def reading_of(searcher: Searcher) -> Reading:
    """That of the snapshot which is open. Raises as `search` does."""
    encoder = searcher.encoder()

    def embed(texts: Sequence[str]) -> FloatArray:
        return unit(encoder.embedder().embed(texts).vectors)

    def embed_query(text: str) -> FloatArray:
        vector: FloatArray = unit(encoder.embedder().embed_query(text)[None, :])[0]
        return vector

    def tokens(text: str) -> int:
        return count_tokens(searcher.tokenizer(), text)

    terms = encoder.sparse or Bm25Encoder(SparseConfig(analyzer="none"))
    return Reading(terms, embed, embed_query, tokens)


def count_tokens(tokenizer: Tokenizer, text: str) -> int:
    """Tokens of the text, without special ones."""
    return len(tokenizer.offsets([text])[0])


def unit(vectors: FloatArray) -> FloatArray:
    """Rows of length 1; one of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, white space collapsed, long ones cut at `LONGEST` characters."""
    starts = [0, *sentence_starts(text, 0, len(text)), len(text)]
    found = (" ".join(text[a:b].split())[:LONGEST] for a, b in pairwise(starts))
    return [one for one in found if one]


def whole(passage: Passage) -> str:
    """Title, headings and text: what a passage is about often stands above it."""
    return "\n".join(filter(None, (passage.title, *passage.citation.heading_path, passage.text)))


def numbers(text: str) -> frozenset[str]:
    """Its numbers, without marks that group thousands, and fractions after a point."""
    return frozenset(_grouped(found) for found in _NUMBER.findall(text))


def _grouped(number: str) -> str:
    return re.sub(r",(?=\d{3}(?:\D|\Z))", "", number)


def names(text: str) -> frozenset[str]:
    """Its capitalised words, the first word left out, in small letters."""
    return frozenset(word.casefold() for word in _WORD.findall(text)[1:] if word[0].isupper())


def words(text: str) -> frozenset[str]:
    """All its words, in small letters."""
    return frozenset(word.casefold() for word in _WORD.findall(text))
