"""A corpus of numbered documents without a file, and a workspace over it whose catalog is real."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Self

from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import IndexConfig, ParsingLimits, SourceConfig
from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.core.ports import (
    Embedder,
    FetchFailure,
    Parser,
    Source,
    Tokenizer,
    VectorEngine,
)
from rag_pipelines.core.types import (
    Excluded,
    ParsedDocument,
    RawDocument,
    SourceItem,
)
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.benchmarks.synthetic_parts import (
    REFUSED,
    HashEmbedder,
    ParagraphParser,
    Words,
    parsed,
)

SOURCE, INDEX = "docs", "knowledge"
SHARDS = 16
ONE_IN = 100
"""Of so many documents the parser refuses one; and one more is excluded, and one was deleted long ago."""
MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Corpus:
    """Numbered documents of two chunks each, and what was done to some of them since they were first listed."""

    documents: int
    editions: dict[int, int] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    regraded: set[int] = field(default_factory=set)
    with_old: bool = False

    @property
    def old(self) -> range:
        """Documents that were listed once and never parsed before they went."""
        return range(self.documents, self.documents + self.documents // ONE_IN)

    def refused(self, number: int) -> bool:
        """Whether the parser refuses it."""
        return number < self.documents and number % ONE_IN == ONE_IN - 1

    def item(self, number: int) -> SourceItem:
        """Its row of the listing."""
        return SourceItem(
            uri=f"{'moved' if number in self.moved else 'pages'}/{number:08d}.txt",
            version=f"{number}-{self.editions.get(number, 1)}",
            modified_at=MODIFIED,
            size=150,
            acl=("group:board",) if number in self.regraded else None,
        )

    def text(self, number: int) -> str:
        """Its bytes as text: one paragraph with the edition, one that never changes."""
        if self.refused(number):
            return REFUSED
        edition = self.editions.get(number, 1)
        return (
            f"Pump {number} edition {edition} is checked for leaks by the team of its hall.\n\n"
            f"Valve {number} stays open while pump and motor run at less than full speed."
        )

    def listing(self) -> Iterator[SourceItem | Excluded]:
        """Everything there is, in order."""
        for number in range(self.documents):
            if number not in self.missing:
                yield self.item(number)
        for number in range(self.documents // ONE_IN):
            yield Excluded(f"drafts/{number:08d}.txt", "matches the pattern drafts/**")
        if self.with_old:
            yield from map(self.item, self.old)

    def raw(self, item: SourceItem) -> RawDocument:
        """What fetching the item gives."""
        number = int(Path(item.uri).stem)
        return RawDocument(item.uri, item.version, self.text(number).encode(), Path(item.uri).name)


class CorpusSource:
    """The connector over a corpus; texts that it hands out are remembered, as an earlier sync would have."""

    def __init__(self, corpus: Corpus, remember: Callable[[ParsedDocument], object]) -> None:
        self._corpus = corpus
        self._remember = remember

    def probe(self) -> str | None:
        """There is no cheap way."""
        return None

    def list(self) -> Iterator[SourceItem | Excluded]:
        """The corpus's listing."""
        return self._corpus.listing()

    def fetch(self, items: Iterable[SourceItem]) -> Iterator[RawDocument | FetchFailure]:
        """The documents' bytes."""
        for item in items:
            raw = self._corpus.raw(item)
            self._remember(parsed(raw.data))
            yield raw

    def close(self) -> None:
        """Nothing is open."""


class SyntheticWorkspace(Workspace):
    """A workspace over a corpus: real catalog, and parts that cost next to nothing.

    `engine` None is the real embedded one. Blobs lie in memory.
    """

    def __init__(
        self,
        home: Path,
        corpus: Corpus,
        *,
        url: str = "",
        engine: VectorEngine | None = None,
        dimension: int = 16,
    ) -> None:
        variables = {
            "RAG_HOME": str(home),
            "RAG_CONFIGS": str(home),
            "RAG_DATABASE_URL": url,
            "RAG_BLOBS_URL": f"memory://{home.name}",
        }
        super().__init__(read_environment(variables), configuration(home))
        self.corpus = corpus
        self._engine = engine
        self._embedder = HashEmbedder(dimension)

    def __enter__(self) -> Self:
        return self

    @cached_property
    def engine(self) -> VectorEngine:
        """The one given, else the embedded one."""
        from rag_pipelines.index import open_engine

        return self._engine or open_engine(self.environment.engine_dir)

    @contextmanager
    def opened_source(self, name: str) -> Iterator[Source]:
        """The corpus."""
        yield CorpusSource(self.corpus, self.blobs.put_parsed)

    def parser(self, limits: ParsingLimits) -> Parser:
        """Paragraphs."""
        return ParagraphParser()

    def tokenizer(self, index: IndexConfig) -> Tokenizer:
        """Words."""
        return Words()

    def embedder(self, index: IndexConfig) -> Embedder:
        """Hashes."""
        return self._embedder

    def model_fingerprint(self, index: IndexConfig) -> str:
        """Of the hashes."""
        return self._embedder.fingerprint

    def dimension(self, index: IndexConfig) -> int:
        """Of the hashes."""
        return self._embedder.dimension


def configuration(root: Path) -> Configuration:
    """One source, cut into chunks of up to 16 words, and one index without a sparse part."""
    source = {
        "source": SOURCE,
        "connector": "filesystem",
        "params": {"url": "nowhere"},
        "tenant": "bench",
        "acl": ["group:staff"],
        "shards": SHARDS,
        "chunking": {"max_tokens": 16},
        "dedup": {"policy": "off"},
    }
    return Configuration(
        root,
        {SOURCE: SourceConfig.model_validate(source)},
        {INDEX: IndexConfig.model_validate({"index": INDEX, "sparse": None})},
        ServiceConfig.model_validate({"principal": {"tenant": "bench", "groups": ["staff"]}}),
    )
