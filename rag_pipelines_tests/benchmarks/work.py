"""Counts what a sync asks of its parts, at the parts themselves."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from rag_pipelines.embedding.local import LocalEmbedder
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.index.edge_shard import EdgeWriter
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines.sources.filesystem import FilesystemSource
from rag_pipelines.sources.git import GitSource

KINDS = ("fetched", "parsed", "embedded", "upserted", "payloads_set", "deleted", "optimized", "snapshots")
_STREAMS: tuple[tuple[type, str, str], ...] = (
    (FilesystemSource, "fetch", "fetched"),
    (GitSource, "fetch", "fetched"),
    (SandboxedParser, "parse", "parsed"),
)
_BATCHES: tuple[tuple[type, str, str], ...] = (
    (LocalEmbedder, "embed", "embedded"),
    (EdgeWriter, "upsert", "upserted"),
    (EdgeWriter, "set_payload", "payloads_set"),
    (EdgeWriter, "delete", "deleted"),
)
_CALLS: tuple[tuple[type, str, str], ...] = (
    (EdgeWriter, "optimize", "optimized"),
    (EdgeEngine, "snapshot", "snapshots"),
)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Within the block, every document fetched or parsed, text embedded, point written, and snapshot counts.

    Sees this process only, the local models and the embedded engine. Every kind of `KINDS` is in the answer.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))

    def passing(kind: str, things: Iterable[Any]) -> Iterator[Any]:
        for thing in things:
            counts[kind] += 1
            yield thing

    def stream(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(self: Any, things: Iterable[Any]) -> Any:
            return original(self, passing(kind, things))

        return call

    def batch(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(self: Any, things: Sized, *rest: Any, **named: Any) -> Any:
            counts[kind] += len(things)
            return original(self, things, *rest, **named)

        return call

    def plain(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(self: Any, *rest: Any, **named: Any) -> Any:
            counts[kind] += 1
            return original(self, *rest, **named)

        return call

    with ExitStack() as stack:
        for places, wrap in ((_STREAMS, stream), (_BATCHES, batch), (_CALLS, plain)):
            for owner, method, kind in places:
                stack.enter_context(patch.object(owner, method, wrap(kind, getattr(owner, method))))
        yield counts
