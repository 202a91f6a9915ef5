"""Asks a version of an index a suite, as the evaluation command and the release gates do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import Principal
from rag_pipelines.evaluation.running import Answer, run_suite
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

    def search(text: str, k: int) -> Answer:
        found = searcher.search(text, k, principal, version=number, passages_when_unanswerable=True)
        return Answer(found.passages, found.confidence, found.answerable)

    return run_suite(
        suite,
        search,
        progress,
        index=searcher.config.index,
        version=number,
        fingerprint=fingerprint("evaluation", 1, settings),
        settings=settings,
    )


def documents_of(searcher: Searcher, version: int | None) -> Iterator[IndexDocument]:
    """The documents that the version holds."""
    _, reader, shown = searcher.scroll_reader(version)
    seen: set[str] = set()
    for point in reader.scroll(shown):
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


def run_folder(home: Path, run: Run) -> Path:
    """Where a run is kept below RAG_HOME: by suite, version, moment and settings."""
    moment = datetime.fromisoformat(run.started_at).astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    return home / "evaluations" / run.suite / f"{run.index}-v{run.version}-{moment}-{run.fingerprint}"
