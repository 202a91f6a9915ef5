"""What a question means to an index: rewritten, spelt, expanded, phrased in several ways, as configured.

The rewriter gets the question as it was asked, so that nothing of the index leaves the house; its answer is a
query and nothing more: it is searched under the same condition as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.query import QueryConfig
from rag_pipelines.core.filters import Condition
from rag_pipelines.core.ports import CollectionReader, SparseEncoder
from rag_pipelines.core.types import SparseVector
from rag_pipelines.embedding.stopwords import stop_words
from rag_pipelines.retrieval.locations import Scope
from rag_pipelines.retrieval.phrasings import phrasings
from rag_pipelines.retrieval.remembered import Memories
from rag_pipelines.retrieval.rewriting import ChatRewriter, RewriteFailed, Rewriter
from rag_pipelines.retrieval.spelling import Correction, Spelling
from rag_pipelines.retrieval.synonyms import Expansion, Synonyms


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Whether a model's query was used, and if not, why."""

    model: str
    used: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Understanding:
    """What was asked of the index: `question` and, fused with it, the `phrasings`."""

    question: str
    corrections: tuple[Correction, ...] = ()
    expansions: tuple[Expansion, ...] = ()
    phrasings: tuple[str, ...] = ()
    rewriting: Rewriting | None = None

    def as_json(self) -> dict[str, Any]:
        """`rewriting` only where it is configured."""
        told: dict[str, Any] = {
            "question": self.question,
            "corrections": {one.word: one.replacement for one in self.corrections},
            "expansions": {one.phrase: list(one.synonyms) for one in self.expansions},
            "phrasings": list(self.phrasings),
        }
        if self.rewriting is not None:
            one = self.rewriting
            told["rewriting"] = {"model": one.model, "used": one.used, "reason": one.reason}
        return told


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a question goes: what is open, what of it the asker may read, and the name of that for what is kept."""

    reader: CollectionReader
    sparse: SparseEncoder | None
    readable: Condition
    scope: Callable[[], Scope]


@dataclass(frozen=True, slots=True)
class Understander:
    """The parts that an index configures; safe to use from several threads."""

    settings: QueryConfig
    function_words: frozenset[str] = frozenset()
    synonyms: Synonyms | None = None
    spelling: Spelling | None = None
    rewriter: Rewriter | None = field(default=None)

    def understand(self, question: str, asked: Asked) -> Understanding:
        """Rewrite, correct, expand, phrase. Raises EngineError; a rewriter that fails is no failure."""
        rewritten, rewriting = self._rewritten(question)
        text = question
        in_phrasings = self.settings.phrasings is not None and "rewriting" in self.settings.phrasings.sources
        if rewritten and not in_phrasings:
            text = rewritten[0]
        corrections: tuple[Correction, ...] = ()
        if self.spelling is not None and asked.sparse is not None:
            text, corrections = self.spelling.correct(
                text, asked.reader, asked.sparse, asked.readable, asked.scope
            )
        expansions = tuple(self.synonyms.find(text)) if self.synonyms is not None else ()
        others: tuple[str, ...] = ()
        if self.settings.phrasings is not None:
            others = phrasings(
                text, expansions, rewritten, self.function_words.__contains__, self.settings.phrasings
            )
        return Understanding(text, corrections, expansions, others, rewriting)

    def close(self) -> None:
        """Release the rewriter's connections."""
        if self.rewriter is not None:
            self.rewriter.close()

    def _rewritten(self, question: str) -> tuple[tuple[str, ...], Rewriting | None]:
        if self.rewriter is None or self.settings.rewriting is None:
            return (), None
        model = self.settings.rewriting.model
        try:
            return self.rewriter.rewrite(question), Rewriting(model, True)
        except RewriteFailed as error:
            return (), Rewriting(model, False, str(error))


def open_understander(
    config: IndexConfig, root: Path, memories: Memories | None = None
) -> Understander | None:
    """What the index configures, None for nothing; `root` is the project's folder. Raises ConfigError."""
    memories = memories or Memories()
    settings = config.retrieval.query
    if not settings.active:
        return None
    words = stop_words(config.sparse.analyzer) if config.sparse is not None else frozenset[str]()
    return Understander(
        settings,
        words,
        Synonyms(settings.synonyms, root, words.__contains__) if settings.synonyms is not None else None,
        Spelling(settings.spelling) if settings.spelling is not None else None,
        memories.rewriter(ChatRewriter(settings.rewriting), config.index)
        if settings.rewriting is not None
        else None,
    )


def expanded(
    terms: SparseVector, expansions: Sequence[Expansion], sparse: SparseEncoder, weight: float
) -> SparseVector:
    """The question's terms and, with less weight, those of synonyms that it does not have itself."""
    added = " ".join(synonym for expansion in expansions for synonym in expansion.synonyms)
    if not added:
        return terms
    others = sparse.encode_query(added).indices
    new = np.setdiff1d(others, terms.indices)
    indices = np.concatenate([terms.indices, new])
    values = np.concatenate([terms.values, np.full(new.size, weight, np.float32)])
    order = np.argsort(indices)
    return SparseVector(indices[order], values[order])
