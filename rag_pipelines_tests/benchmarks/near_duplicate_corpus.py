"""A numbered corpus in which every tenth document is a copy, and a catalog filled with its signatures in bulk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipelines.blobs import BlobStore, encode_parsed, open_blobs
from rag_pipelines.catalog import marks
from rag_pipelines.catalog.dedup_tables import bands, members, pairs, signatures
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Catalog, now
from rag_pipelines.catalog.tables import documents
from rag_pipelines.config.dedup import SourceDedup
from rag_pipelines.core.ids import content_hash, document_id
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.dedup import Signer, band_keys, dedup_fingerprint, jaccard, shingle, to_bytes
from rag_pipelines.pipeline.deduplicate import duplicates_fingerprint
from rag_pipelines.pipeline.listing import listed_row
from rag_pipelines_tests.benchmarks.bulk import Encoded, Rows, encode, load, without_indexes
from rag_pipelines_tests.benchmarks.synthetic import INDEX, MODIFIED, SOURCE, Corpus, SyntheticWorkspace
from rag_pipelines_tests.benchmarks.synthetic_parts import NoEngine, parsed

BATCH = 5_000
BANDED = 100_000
FAMILY = 10
"""Of so many consecutive documents the last has the text of the one before it, exactly or but for a word."""
WORDS = 48


@dataclass(slots=True)
class Copies(Corpus):
    """Texts of 48 random words; in every second family of ten the copy is exact, in the others a word differs."""

    copied: dict[int, int] = field(default_factory=dict)
    resembling: dict[int, int] = field(default_factory=dict)

    def refused(self, number: int) -> bool:
        """None is."""
        return False

    def original(self, number: int) -> int | None:
        """Whose text a document has in the beginning, where it is a copy."""
        return number - 1 if number % FAMILY == FAMILY - 1 else None

    def exact(self, number: int) -> bool:
        """Whether the copies of its family differ in nothing."""
        return number // FAMILY % 2 == 0

    def text(self, number: int) -> str:
        """As edited last."""
        if number in self.copied:
            return self.text(self.copied[number])
        if number in self.resembling:
            return with_another_word(self.text(self.resembling[number]), number)
        edition, of = self.editions.get(number, 1), self.original(number)
        if edition > 1 or of is None:
            return random_words(f"{number} {edition}")
        words = random_words(f"{of} 1")
        return words if self.exact(number) else with_another_word(words, number)

    def document(self, number: int) -> ParsedDocument:
        """Its text, parsed."""
        return parsed(self.text(number).encode())

    def doc_id(self, number: int) -> str:
        """Its id."""
        return document_id(SOURCE, self.item(number).uri)


class CopiesWorkspace(SyntheticWorkspace):
    """A workspace whose source is collapsed; blobs lie in `blobs`, or in memory where that is None."""

    def __init__(self, home: Path, documents: int, *, url: str = "", blobs: Path | None = None) -> None:
        super().__init__(home, Copies(documents), url=url, engine=NoEngine())
        self.copies = Copies(documents)
        self.corpus = self.copies
        self._blobs = blobs
        source = self.configuration.sources[SOURCE]
        collapsed = source.model_copy(update={"dedup": SourceDedup(policy="collapse")})
        self.configuration = replace(self.configuration, sources={SOURCE: collapsed})

    @cached_property
    def blobs(self) -> BlobStore:
        """In a folder or in memory."""
        return open_blobs(str(self._blobs) if self._blobs else self.environment.blobs_url)


def with_another_word(text: str, number: int) -> str:
    """The text but for its last word."""
    return f"{text.rpartition(' ')[0]} changed{number}"


def random_words(seed: str) -> str:
    """The same words for the same seed, and hardly one in common for two."""
    return hashlib.shake_128(seed.encode()).digest(2 * WORDS).hex(" ", 2)


def fill(
    workspace: CopiesWorkspace, *, compared: bool = True, on_progress: Callable[[int], None] | None = None
) -> None:
    """Documents that are parsed and, unless told otherwise, compared: as a whole pass would have left them.

    Without that every parsed text is stored as well, so that a pass can read it.
    """
    catalog, corpus = workspace.catalog, workspace.copies
    config = workspace.configuration.sources[SOURCE]
    with catalog.begin() as tx:
        register_source(tx, SOURCE, config.shards)
        tick = marks.next_tick(tx, SOURCE)
    maker = _Maker(workspace, tick)
    with without_indexes(catalog):
        for start in range(0, corpus.documents, BATCH):
            numbers = range(start, min(start + BATCH, corpus.documents))
            load(catalog, encode(catalog, maker.rows(numbers, compared)))
            if not compared:
                for number in numbers:
                    workspace.blobs.put_parsed(corpus.document(number))
            if on_progress is not None:
                on_progress(numbers.stop)
        if compared:
            for encoded in maker.bands():
                load(catalog, encoded)
    if compared:
        own = duplicates_fingerprint(workspace.configuration.indexes[INDEX], config)
        with catalog.begin() as tx:
            marks.save_marks(tx, "dedup", INDEX, SOURCE, range(config.shards), own, tick)


class _Maker:
    """Makes the rows of documents, and keeps the band keys of their texts until all of them are there."""

    def __init__(self, workspace: CopiesWorkspace, tick: int) -> None:
        self._corpus = workspace.copies
        self._catalog: Catalog = workspace.catalog
        self._source = workspace.configuration.sources[SOURCE]
        self._settings = workspace.configuration.indexes[INDEX].dedup
        self._fingerprint = dedup_fingerprint(self._settings)
        self._signer = Signer(self._settings)
        self._tick = tick
        self._texts: list[str] = []
        self._keys: list[npt.NDArray[np.int64]] = []

    def rows(self, numbers: range, compared: bool) -> Rows:
        """All rows but those of bands; a family lies in one call."""
        found: Rows = {table: [] for table in (documents, signatures, members, pairs)}
        found[documents] = [self._document(number) for number in numbers]
        if not compared:
            return found
        keys: list[list[int]] = []
        for number, row in zip(numbers, found[documents], strict=True):
            if self._corpus.original(number) is None or not self._corpus.exact(number):
                signature = self._signer.sign(shingle(self._corpus.text(number), self._settings.ngram))
                found[signatures].append(
                    {
                        "dedup_fp": self._fingerprint,
                        "parsed_hash": row["parsed_hash"],
                        "signature": to_bytes(signature),
                    }
                )
                self._texts.append(row["parsed_hash"])
                keys.append([key for _, key in band_keys(signature, self._settings)])
            found[members].append(self._member(row))
            if self._corpus.original(number) is not None:
                self._join(number, found)
        self._keys.append(np.array(keys, np.int64))
        return found

    def bands(self) -> Iterator[Encoded]:
        """Rows of bands in the order of their key, which is the order of the table."""
        keys = np.concatenate(self._keys)
        for band in range(self._settings.bands):
            order = np.argsort(keys[:, band], kind="stable")
            for start in range(0, order.size, BANDED):
                rows = [
                    (self._fingerprint, band, int(keys[place, band]), self._texts[place])
                    for place in order[start : start + BANDED].tolist()
                ]
                if self._catalog.dialect == "sqlite":
                    yield {bands.name: [*rows]}
                else:
                    yield {bands.name: "".join("{}\t{}\t{}\t{}\n".format(*row) for row in rows)}

    def _document(self, number: int) -> dict[str, Any]:
        item = self._corpus.item(number)
        document = self._corpus.document(number)
        row = listed_row(self._source, self._corpus.doc_id(number), item)
        return {
            **dict.fromkeys(column.name for column in documents.c),
            **row,
            "parsed_hash": content_hash(encode_parsed(document)),
            "parser": document.parser,
            "media_type": document.media_type,
            "revision": item.version,
            "revised_at": MODIFIED.isoformat(),
            "touched": self._tick,
            "seen_at": now(),
        }

    def _member(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "index_name": INDEX,
            "doc_id": row["doc_id"],
            "source": SOURCE,
            "parsed_hash": row["parsed_hash"],
            "scope": "",
            "policy": self._source.dedup.policy,
            "cluster": row["doc_id"],
            "representative": row["doc_id"],
            "similarity": 1.0,
        }

    def _join(self, number: int, found: Rows) -> None:
        """The last two of a family are a cluster, of which the lesser id stands for the other."""
        both = found[members][-2:]
        first = min(row["doc_id"] for row in both)
        similarity = 1.0
        if not self._corpus.exact(number):
            texts = (self._corpus.text(number - 1), self._corpus.text(number))
            similarity = jaccard(*(shingle(text, self._settings.ngram) for text in texts))
            low, high = sorted(row["parsed_hash"] for row in both)
            pair = {"dedup_fp": self._fingerprint, "low": low, "high": high, "similarity": similarity}
            found[pairs].append(pair)
        for row in both:
            row |= {"cluster": first, "representative": first}
            row["similarity"] = similarity if row["doc_id"] != first else 1.0
