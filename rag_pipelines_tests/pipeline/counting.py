"""Counts what is really fetched, parsed, cut and embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from rag_pipelines import chunking
from rag_pipelines.core.ports import EmbeddingBatch, ParseOutcome, ParseTask
from rag_pipelines.pipeline.workspace import Workspace


@dataclass
class Work:
    """What was really done: documents fetched and parsed, texts embedded, documents cut."""

    fetched: list[str] = field(default_factory=list)
    parsed: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Begin to count anew."""
        for done in (self.fetched, self.parsed, self.cut, self.embedded):
            done.clear()


class Wrapped:
    def __init__(self, real: Any, work: Work) -> None:
        self.real, self.work = real, work

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Connector(Wrapped):
    def fetch(self, items: Iterable[Any]) -> Iterator[Any]:
        def counted() -> Iterator[Any]:
            for item in items:
                self.work.fetched.append(item.uri)
                yield item

        return iter(self.real.fetch(counted()))


class _Parser(Wrapped):
    def parse(self, tasks: Iterable[ParseTask]) -> Iterator[ParseOutcome]:
        def counted() -> Iterator[ParseTask]:
            for task in tasks:
                self.work.parsed.append(task.name)
                yield task

        return iter(self.real.parse(counted()))


class _Embedder(Wrapped):
    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        self.work.embedded += texts
        batch: EmbeddingBatch = self.real.embed(texts, on_done)
        return batch


def count_work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Put counts around the connectors, parsers, chunker and models of every workspace."""
    done = Work()
    opened_source, parser, embedder = Workspace.opened_source, Workspace.parser, Workspace.embedder

    @contextmanager
    def counted_source(self: Workspace, name: str) -> Iterator[Any]:
        with opened_source(self, name) as real:
            yield _Connector(real, done)

    real_chunks = chunking.chunk_documents

    def counted_chunks(documents: Sequence[tuple[str, Any]], *rest: Any) -> Any:
        done.cut += [doc_id for doc_id, _ in documents]
        return real_chunks(documents, *rest)

    monkeypatch.setattr(Workspace, "opened_source", counted_source)
    monkeypatch.setattr(Workspace, "parser", lambda self, limits: _Parser(parser(self, limits), done))
    monkeypatch.setattr(Workspace, "embedder", lambda self, index: _Embedder(embedder(self, index), done))
    monkeypatch.setattr("rag_pipelines.pipeline.chunk.chunk_documents", counted_chunks)
    return done
