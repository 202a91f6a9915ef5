"""Parser, tokenizer, model and engine that cost next to nothing, for benchmarks of what lies around them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipelines.core.filters import EVERYTHING, Condition, Scalar
from rag_pipelines.core.ports import (
    CollectionReader,
    CollectionWriter,
    EmbeddingBatch,
    ParseFailure,
    ParseOutcome,
    ParseTask,
)
from rag_pipelines.core.types import (
    Element,
    ElementKind,
    FloatArray,
    Hit,
    ParsedDocument,
    Point,
    StoredPoint,
    VectorSpace,
)

REFUSED = "this kind of document is refused"
_WORDS = re.compile(r"\S+")


def parsed(data: bytes) -> ParsedDocument:
    """A paragraph for each blank line."""
    text = data.decode()
    elements: list[Element] = []
    start = 0
    for paragraph in text.split("\n\n"):
        elements.append(Element(ElementKind.PARAGRAPH, start, start + len(paragraph)))
        start += len(paragraph) + 2
    return ParsedDocument(text, tuple(elements), "text/plain", "paragraphs", language="en")


class ParagraphParser:
    """In this process, without a sandbox."""

    version = "paragraphs1"

    def parse(self, tasks: Iterable[ParseTask]) -> Iterator[ParseOutcome]:
        """Refuses what consists of the sentence that says so."""
        for task in tasks:
            if task.data == REFUSED.encode():
                yield ParseOutcome(task.key, failure=ParseFailure("refused on purpose"))
            else:
                yield ParseOutcome(task.key, document=parsed(task.data))

    def fingerprint(self, name: str, media_type: str | None) -> str:
        """The same for everything."""
        return self.version

    def close(self) -> None:
        """Nothing is open."""


class Words:
    """A word is a token."""

    def offsets(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        """Where each word stands."""
        return [
            np.array([found.span() for found in _WORDS.finditer(text)], dtype=np.int32).reshape(-1, 2)
            for text in texts
        ]


class HashEmbedder:
    """A vector is a hash of its text: distinct, cheap, and without meaning."""

    description = "hash"

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.fingerprint = f"hash{dimension}"

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """All at once."""
        digests = b"".join(hashlib.shake_128(text.encode()).digest(self.dimension) for text in texts)
        vectors = np.frombuffer(digests, dtype=np.int8).astype(np.float32).reshape(-1, self.dimension) + 0.5
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        if on_done is not None:
            on_done(len(texts))
        return EmbeddingBatch(vectors, 0)

    def embed_query(self, text: str) -> FloatArray:
        """As a passage."""
        return np.asarray(self.embed([text]).vectors[0], dtype=np.float32)

    def close(self) -> None:
        """Nothing is open."""


class NoWriter:
    """Takes points and forgets them."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Forgotten."""

    def set_payload(self, point_ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Forgotten."""

    def delete(self, point_ids: Sequence[str]) -> None:
        """Forgotten."""

    def flush(self) -> None:
        """Nothing to make durable."""

    def optimize(self) -> None:
        """Nothing to make fast."""

    def missing_indexes(self) -> list[str]:
        """There are no points to look for."""
        return []

    def create_indexes(self) -> None:
        """There are no points to look for."""

    def close(self) -> None:
        """Nothing is open."""

    def search(self, request: Any) -> list[Hit]:
        """Nothing is found."""
        return []

    def count(self, condition: Condition = EVERYTHING) -> int:
        """Nothing is there."""
        return 0

    def facet(self, field: str, condition: Condition, limit: int) -> list[tuple[Scalar, int]]:
        """Nothing is there."""
        return []

    def scroll(
        self,
        condition: Condition = EVERYTHING,
        *,
        with_vectors: bool = False,
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[StoredPoint]:
        """Nothing is there."""
        return iter(())


class NoEngine:
    """Stands where the vector engine would, so that what is left is the catalog."""

    name = "none"

    def __init__(self) -> None:
        self._snapshots = 0

    def writer(self, collection: str, space: VectorSpace) -> CollectionWriter:
        """Takes everything."""
        return NoWriter()

    def snapshot(self, collection: str) -> str:
        """A number."""
        self._snapshots += 1
        return str(self._snapshots)

    def reader(self, collection: str, snapshot: str) -> CollectionReader:
        """Finds nothing."""
        return NoWriter()

    def prune(self, collection: str, keep: Sequence[str]) -> None:
        """Nothing is stored."""

    def drop(self, collection: str) -> None:
        """Nothing is stored."""

    def exists(self, collection: str) -> bool:
        """It is never lost."""
        return True

    def collections(self) -> list[str]:
        """Nothing is stored."""
        return []

    def check(self) -> str:
        """For `doctor`."""
        return "no engine"

    def close(self) -> None:
        """Nothing is open."""
