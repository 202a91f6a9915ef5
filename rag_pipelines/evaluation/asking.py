"""Asks a suite through the searcher that answers everybody else, and counts what the version holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import Principal, StoredPoint
from rag_pipelines.evaluation.costs import IndexSize, SizeOf
from rag_pipelines.evaluation.running import Answer, Search, run_suite
from rag_pipelines.evaluation.runs import Run
from rag_pipelines.evaluation.suites import IndexDocument, Suite
from rag_pipelines.retrieval.search import Searcher


def ask_index(
    suite: Suite, searcher: Searcher, principal: Principal, version: int | None, progress: Progress
) -> Run:
    """Every question of the suite, asked of one version as the principal. Raises as `run_suite` does."""
    number, _, _ = searcher.scroll_reader(version)
    settings = {
        "retrieval": searcher.config.retrieval.model_dump(mode="json"),
        "principal": principal.subject,
    }
    return run_suite(
        suite,
        search_of(searcher, principal, number),
        progress,
        index=searcher.config.index,
        version=number,
        fingerprint=fingerprint("evaluation", 1, settings),
        settings=settings,
    )


def search_of(searcher: Searcher, principal: Principal, version: int) -> Search:
    """The function that `run_suite` asks: this version, as the principal.

    Passages count also where the index would withhold them, and beside them how sure of an answer it is.
    """

    def search(text: str, k: int) -> Answer:
        found = searcher.search(text, k, principal, version=version, passages_when_unanswerable=True)
        return Answer(found.passages, found.confidence, found.answerable)

    return search


def inventory(searcher: Searcher, version: int) -> tuple[tuple[IndexDocument, ...], IndexSize]:
    """The documents that the version holds, each once, and how large it is; reads every point of it."""
    _, reader, shown = searcher.scroll_reader(version)
    size = SizeOf()
    documents = tuple(_documents(size.counted(reader.scroll(shown, with_vectors=True))))
    return documents, size.size


def documents_of(searcher: Searcher, version: int | None) -> Iterator[IndexDocument]:
    """The documents that the version holds, each once; reads no vectors, and nothing before the first is wanted."""
    _, reader, shown = searcher.scroll_reader(version)
    yield from _documents(reader.scroll(shown))


def _documents(points: Iterable[StoredPoint]) -> Iterator[IndexDocument]:
    seen: set[str] = set()
    for point in points:
        payload = point.payload
        if payload["doc_id"] not in seen:
            seen.add(payload["doc_id"])
            yield IndexDocument(
                doc_id=payload["doc_id"],
                source=payload["source"],
                uri=payload["uri"],
                title=payload.get("title"),
                tenant=payload.get("tenant"),
                language=payload.get("language"),
                media_type=payload.get("media_type"),
                metadata=payload.get("meta") or {},
            )
