"""Two passages, and a question that is asked of them through everything but the search."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from rag_pipelines.answers.answering import Answerer, Event
from rag_pipelines.answers.reading import Reading
from rag_pipelines.answers.values import Answered
from rag_pipelines.config.answers import AnswersConfig
from rag_pipelines.config.models import SparseConfig
from rag_pipelines.core.types import Citation, FloatArray, Passage
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.retrieval.result import SearchResult

QUESTION = "How many days of leave?"
TEXTS = ("Everyone has thirty days of paid leave a year.", "Seven days move into the next year.")
GOOD = "Everyone has thirty days of paid leave [1]. Seven days move into the next year [2]."
SENTENCES = ["Everyone has thirty days of paid leave.", "Seven days move into the next year."]
BY_TERMS = {"terms_weight": 1, "threshold": 0.6}
"""Support by shared terms alone, so that no model is loaded."""


def passage(number: int, text: str, title: str = "Leave") -> Passage:
    """One as a search gives it; its chunk_id is its number."""
    where = Citation(
        "docs", "leave.md", f"doc-{number}", str(number), 0, len(text), None, (), "r1", "", "", "", "", 1
    )
    return Passage(number, 1.0, text, title, where)


def found(*texts: str, answerable: bool | None = None) -> SearchResult:
    """A search's result of these passages."""
    passages = tuple(passage(number, text) for number, text in enumerate(texts or TEXTS, 1))
    return SearchResult("knowledge", 1, passages, answerable=answerable)


def _never(texts: Sequence[str] | str) -> FloatArray:
    raise AssertionError("nothing is embedded here")


READING = Reading(Bm25Encoder(SparseConfig()), _never, _never, lambda text: len(text.split()))


def provider(url: str, **values: Any) -> dict[str, Any]:
    """A provider's configuration; a test in which nothing comes gives it less time."""
    return {
        "name": "first",
        "base_url": url,
        "model": "m",
        "connect_seconds": 2,
        "read_seconds": 20,
        "seconds": 20,
        **values,
    }


def config(*providers: dict[str, Any], **values: Any) -> AnswersConfig:
    """Answers from these providers, without retries unless said."""
    return AnswersConfig.model_validate(
        {"providers": list(providers), "support": BY_TERMS, "retries": 0, "seconds": 60, **values}
    )


def events(
    settings: AnswersConfig, result: SearchResult | None = None, *, root: Path | None = None, **options: Any
) -> list[Event]:
    """Every event of one answer. Raises as `Answerer.answer` does."""

    async def asked() -> list[Event]:
        answerer = Answerer(settings, root or Path())
        try:
            async with aclosing(answerer.answer(QUESTION, result or found(), READING, **options)) as items:
                return [item async for item in items]
        finally:
            await answerer.close()

    return asyncio.run(asked())


def answered(settings: AnswersConfig, result: SearchResult | None = None, **options: Any) -> Answered:
    """The last event."""
    last = events(settings, result, **options)[-1]
    assert isinstance(last, Answered)
    return last
