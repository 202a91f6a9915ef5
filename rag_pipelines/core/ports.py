"""What the pipeline asks of its parts. Every implementation passes the conformance suite of its port."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.filters import EVERYTHING, Condition
from rag_pipelines.core.filters import Scalar as Value
from rag_pipelines.core.types import (
    Excluded,
    FloatArray,
    Hit,
    ParsedDocument,
    Point,
    RawDocument,
    SourceItem,
    SparseVector,
    StoredPoint,
    VectorSpace,
)


class Progress(Protocol):
    """Where long work reports to: a terminal bar, a Dagster log, or nowhere."""

    def start(self, stage: str, total: int | None) -> None:
        """A stage begins; `total` is None where the amount is not known."""

    def advance(self, stage: str, amount: int = 1) -> None:
        """So much more of the stage is done."""

    def finish(self, stage: str) -> None:
        """The stage is complete."""


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """One item that could not be fetched, while the others could."""

    item: SourceItem
    error: SourceError


class Source(Protocol):
    """A connector, opened for one configured source."""

    def probe(self) -> str | None:
        """A cheap token that differs once anything may have changed; None where there is no cheap way.

        Raises SourceError where the source cannot be reached.
        """

    def list(self) -> Iterator[SourceItem | Excluded]:
        """Every document there is. Complete, or it raises SourceError: never a silent partial listing."""

    def fetch(self, items: Iterable[SourceItem]) -> Iterator[RawDocument | FetchFailure]:
        """The bytes of the items, one result for each, in order, as of the last listing where possible.

        An item that vanished or broke is a FetchFailure; a source that broke raises SourceError.
        """

    def close(self) -> None:
        """Release connections and temporary files."""


@dataclass(frozen=True, slots=True)
class ParseTask:
    """One document to parse. `key` is the caller's; `name` and `media_type` are hints only."""

    key: str
    data: bytes
    name: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class ParseFailure:
    """Why a document could not be parsed, in words for the person who owns it."""

    reason: str


@dataclass(frozen=True, slots=True)
class ParseOutcome:
    """Exactly one of `document` and `failure` is set."""

    key: str
    document: ParsedDocument | None = None
    failure: ParseFailure | None = None


class Parser(Protocol):
    """Turns bytes into text inside the sandbox."""

    def parse(self, tasks: Iterable[ParseTask]) -> Iterator[ParseOutcome]:
        """One outcome a task, in any order; a hostile document costs only itself.

        Tasks are consumed lazily, so that memory holds a few documents at a time.
        """

    @property
    def version(self) -> str:
        """Of all parser code: while it stays, no document's fingerprint changes."""

    def fingerprint(self, name: str, media_type: str | None) -> str:
        """Of the parser code and settings that would read such a document."""

    def close(self) -> None:
        """End the worker processes."""


class Tokenizer(Protocol):
    """The embedding model's own tokens."""

    def offsets(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        """For each text an array (tokens, 2) of half-open character spans, without special tokens."""


@dataclass(frozen=True, slots=True)
class EmbeddingBatch:
    """`vectors` is (texts, dimension) float32 in the order of the texts, unit length for cosine.

    `truncated` counts texts longer than the model reads.
    """

    vectors: FloatArray
    truncated: int


class Embedder(Protocol):
    """A dense embedding model behind one of the backends."""

    @property
    def fingerprint(self) -> str:
        """Of everything that changes the vectors beyond rounding: model weights, pooling, prefix, precision class."""

    @property
    def description(self) -> str:
        """For people and for lineage: model, backend, precision."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Vectors of passages; `on_done(n)` is called as batches of n texts finish.

        Raises EmbeddingError; never returns fewer vectors than texts, NaN, or a zero vector.
        """

    def embed_query(self, text: str) -> FloatArray:
        """Vector (dimension,) of a question."""

    def close(self) -> None:
        """Release the model."""


class SparseEncoder(Protocol):
    """BM25 term weights; the engine multiplies by the inverse document frequency."""

    @property
    def fingerprint(self) -> str:
        """Of the analyzer and its settings."""

    def terms(self, text: str) -> list[str]:
        """What a text is reduced to, in order; for explaining."""

    def count_terms(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Length of each text in terms, for the average that BM25 normalises by."""

    def encode(self, texts: Sequence[str], average_length: float) -> list[SparseVector]:
        """Weights of passages."""

    def encode_query(self, text: str) -> SparseVector:
        """Weights of a question; repeated terms count."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One query to the engine: dense, sparse, or both fused (`fusion` rrf or dbsf).

    `candidates` is how deep each of the two goes before fusion; `exact` scans instead of approximating.
    """

    limit: int
    dense: FloatArray | None = None
    sparse: SparseVector | None = None
    condition: Condition = EVERYTHING
    fusion: str = "dbsf"
    candidates: int = 100
    rrf_k: int = 60
    exact: bool = False


class CollectionReader(Protocol):
    """A collection open for reading; safe to use from several threads."""

    def search(self, request: SearchRequest) -> list[Hit]:
        """Best first. Never fewer hits than match the condition, up to the limit. Raises EngineError."""

    def count(self, condition: Condition = EVERYTHING) -> int:
        """Exact number of points that match."""

    def facet(self, field: str, condition: Condition, limit: int) -> list[tuple[Value, int]]:
        """The most frequent values of a field among the points that match, with the exact number of points.

        Most frequent first, equal ones by value; a value that no such point has is not told. The field needs a
        payload index of whole numbers, texts or truth values.
        """

    def scroll(
        self,
        condition: Condition = EVERYTHING,
        *,
        with_vectors: bool = False,
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[StoredPoint]:
        """Every point that matches, in the order of ids; those behind the id `after` where it is given."""

    def close(self) -> None:
        """Release files and connections."""


class CollectionWriter(CollectionReader, Protocol):
    """The one writer of a collection. What a call has returned from survives a power cut after `flush`."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Insert or replace by id."""

    def set_payload(self, point_ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Merge these keys into the payload of the points; unknown ids are ignored."""

    def delete(self, point_ids: Sequence[str]) -> None:
        """Remove the points; unknown ids are ignored."""

    def flush(self) -> None:
        """Make everything written so far durable."""

    def optimize(self) -> None:
        """Build what makes searching fast, after a large change."""

    def missing_indexes(self) -> list[str]:
        """Payload fields of the space that should have an index and have none."""

    def create_indexes(self) -> None:
        """Make the missing payload indexes. Opening a writer does so only where there is no point yet."""


class VectorEngine(Protocol):
    """Where collections live."""

    @property
    def name(self) -> str:
        """`edge`, `server` or `local`."""

    def writer(self, collection: str, space: VectorSpace) -> CollectionWriter:
        """Open for writing, creating the collection if it is not there.

        Raises EngineError (transient) that names the holder while another process writes, and
        EngineError where the collection exists with another vector space.
        """

    def snapshot(self, collection: str) -> str:
        """Make all that was flushed visible to new readers and return the token to open it by.

        Called with no writer open or by the process that has it. Constant time on a server, a copy when embedded.
        """

    def reader(self, collection: str, snapshot: str) -> CollectionReader:
        """Open what `snapshot` returned. Raises EngineError where it is gone."""

    def prune(self, collection: str, keep: Sequence[str]) -> None:
        """Delete the collection's snapshots but these; open readers go on until they close."""

    def drop(self, collection: str) -> None:
        """Delete the collection and its snapshots; nothing happens where it is not there."""

    def exists(self, collection: str) -> bool:
        """Whether the engine has the collection."""

    def collections(self) -> list[str]:
        """Every collection that this program made and that can be opened, whatever a catalog knows of it."""

    def check(self) -> str:
        """One line for `doctor`: version and where; raises EngineError where it does not work."""

    def close(self) -> None:
        """Release connections."""
