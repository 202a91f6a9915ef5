"""Small suites and passages, written out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.config.files import ConfigFile
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import Citation, Passage
from rag_pipelines.evaluation.running import Answer, run_suite
from rag_pipelines.evaluation.runs import Run
from rag_pipelines.evaluation.suites import Suite, read_suite

HEADER = "query-id\tcorpus-id\tscore"
SPANS = "query-id\tcorpus-id\tstart\tend\tscore"


class Counting:
    """Progress that remembers its total and how far it got."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.finished = False

    def start(self, stage: str, total: int | None) -> None:
        """Remember the total."""
        self.total = total

    def advance(self, stage: str, amount: int = 1) -> None:
        """Count."""
        self.done += amount

    def finish(self, stage: str) -> None:
        """Remember the end."""
        self.finished = True


def passage(
    uri: str,
    score: float = 1.0,
    *,
    start: int = 0,
    end: int = 100,
    source: str = "docs",
    version: int = 1,
    metadata: Mapping[str, Any] | None = None,
    page: int | None = None,
) -> Passage:
    """A passage of a document of source `docs`."""
    doc_id = document_id(source, uri)
    citation = Citation(
        source,
        uri,
        doc_id,
        f"{uri}-{start}",
        start,
        end,
        page,
        (),
        "r",
        f"hash-{uri}",
        "p",
        "c",
        "m",
        version,
    )
    return Passage(1, score, "secret text", None, citation, metadata or {})


def write_suite(folder: Path, queries: Sequence[Mapping[str, Any]], qrels: Sequence[str]) -> Path:
    """A folder in BEIR layout."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries), "utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n", "utf-8")
    return folder


def suite_of(
    folder: Path, queries: Sequence[Mapping[str, Any]], qrels: Sequence[str], **config: Any
) -> Suite:
    """The suite of these queries and lines of judgements."""
    write_suite(folder, queries, qrels)
    return read_suite(
        ConfigFile(folder / "suite.yaml", {}, {}),
        EvaluationConfig(suite="small", path=str(folder), **config),
        folder,
    )


def query(query_id: str, text: str | None = None, **metadata: Any) -> dict[str, Any]:
    """A line of queries.jsonl."""
    return {"_id": query_id, "text": text or f"question {query_id}", "metadata": metadata}


def run_of(suite: Suite, found: Mapping[str, Sequence[str] | Answer], **options: Any) -> Run:
    """A run that finds these documents, by the question's id, in this order."""
    ids = {one.text: query_id for query_id, one in suite.queries.items()}

    def search(text: str, k: int) -> Sequence[Passage] | Answer:
        documents = found.get(ids[text], ())
        if isinstance(documents, Answer):
            return documents
        return [
            passage(uri, 1.0 / n, version=options.get("version", 1)) for n, uri in enumerate(documents, 1)
        ]

    return run_suite(suite, search, Counting(), **{"index": "handbook", **options})
