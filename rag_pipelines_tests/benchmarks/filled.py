"""Fills a catalog as a sync of every document of a corpus would have left it, many times faster.

Rows are made by the functions that the verbs use; they are written in bulk, without the indexes, which are
made afterwards. A test holds the result against that of the verbs.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import collection_rows, marks, versions
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import now
from rag_pipelines.catalog.tables import (
    chunks,
    documents,
    embeddings,
    index_documents,
    point_documents,
    points,
    quarantine,
)
from rag_pipelines.chunking import chunk_documents, chunker_fingerprint
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ids import content_hash, document_id
from rag_pipelines.core.types import CURRENT, Excluded
from rag_pipelines.pipeline import point_changes
from rag_pipelines.pipeline.embed import pack
from rag_pipelines.pipeline.listing import listed_row
from rag_pipelines.pipeline.payload import access_key
from rag_pipelines.pipeline.space import Space, open_space
from rag_pipelines_tests.benchmarks.bulk import Encoded, Rows, encode, load, without_indexes
from rag_pipelines_tests.benchmarks.synthetic import (
    INDEX,
    SOURCE,
    Corpus,
    SyntheticWorkspace,
)
from rag_pipelines_tests.benchmarks.synthetic_parts import NoEngine, parsed

BATCH = 5_000
FIRST = 1
WAITING = 4
"""So many finished batches may wait for the database: each is some 25 MB."""


def fill(
    workspace: SyntheticWorkspace,
    *,
    staged: bool = True,
    workers: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Documents parsed, cut, embedded and, unless told otherwise, staged as version 1, which is not published yet.

    With more than one worker the rows are made in so many processes.
    """
    catalog = workspace.catalog
    config = workspace.configuration.sources[SOURCE]
    with catalog.begin() as tx:
        register_source(tx, SOURCE, config.shards)
        tick = marks.next_tick(tx, SOURCE)
        marks.save_marks(tx, marks.LISTING, "", SOURCE, range(config.shards), "", tick)
        document_rows.update_source(tx, SOURCE, listed_at=now(), synced_at=now())
        excluded = [item for item in workspace.corpus.listing() if isinstance(item, Excluded)]
        document_rows.replace_exclusions(tx, SOURCE, {item.uri: item.reason for item in excluded})
    space = open_space(workspace, INDEX)
    if staged:
        with catalog.begin() as tx:
            collection_rows.save_collection(tx, space.catalog_row())
            number = versions.open_candidate(tx, INDEX, space.collection, space.fingerprint)
        if number != FIRST:
            raise ValueError(f"the catalog already has version {number - 1} of {INDEX}")
    made = _in_processes if workers > 1 else _here
    done = 0
    with without_indexes(catalog):
        for size, encoded in made(workspace, tick, staged, workers):
            load(catalog, encoded)
            done += size
            if on_progress is not None:
                on_progress(done)


def _batches(workspace: SyntheticWorkspace) -> Iterator[range]:
    numbers = range(workspace.corpus.documents + len(workspace.corpus.old))
    for start in range(0, len(numbers), BATCH):
        yield numbers[start : start + BATCH]


def _here(
    workspace: SyntheticWorkspace, tick: int, staged: bool, workers: int
) -> Iterator[tuple[int, Encoded]]:
    maker = Maker(workspace, tick, staged)
    for numbers in _batches(workspace):
        yield len(numbers), encode(workspace.catalog, maker.rows(numbers))


def _in_processes(
    workspace: SyntheticWorkspace, tick: int, staged: bool, workers: int
) -> Iterator[tuple[int, Encoded]]:
    asked = (
        (
            workspace.environment.home,
            workspace.corpus,
            workspace.environment.database_url,
            tick,
            staged,
            numbers,
        )
        for numbers in _batches(workspace)
    )
    running: deque[Future[tuple[int, Encoded]]] = deque()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for task in asked:
            running.append(pool.submit(_made_elsewhere, *task))
            if len(running) >= workers + WAITING:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _made_elsewhere(
    home: Path, corpus: Corpus, url: str, tick: int, staged: bool, numbers: range
) -> tuple[int, Encoded]:
    with SyntheticWorkspace(home, corpus, url=url, engine=NoEngine()) as workspace:
        return len(numbers), encode(workspace.catalog, Maker(workspace, tick, staged).rows(numbers))


class Maker:
    """Makes the rows of documents in every table."""

    def __init__(self, workspace: SyntheticWorkspace, tick: int, staged: bool) -> None:
        self._workspace = workspace
        self._space: Space = open_space(workspace, INDEX)
        self._tick = tick
        self._staged = staged
        self._source = workspace.configuration.sources[SOURCE]
        self._index = workspace.configuration.indexes[INDEX]
        self._parser = workspace.parser(self._source.parsing)
        self._rule = self._source.chunking.rule_for("text/plain")
        self._limits = fingerprint("limits", 1, self._source.parsing.model_dump(mode="json"))
        self._chunk_fp = chunker_fingerprint(self._rule, self._index.embedding.model)

    def rows(self, numbers: Iterable[int]) -> Rows:
        """All rows of these documents, by table."""
        found: Rows = {
            table: []
            for table in (documents, quarantine, index_documents, chunks, embeddings, points, point_documents)
        }
        texts: list[tuple[dict[str, Any], Any]] = []
        for number in numbers:
            row = self._document(number)
            if number >= self._workspace.corpus.documents:
                row["live"] = False
            elif self._workspace.corpus.refused(number):
                found[quarantine].append(self._refusal(row))
            else:
                texts.append((row, self._parse(number, row)))
            found[documents].append(row)
        cut = chunk_documents(
            [(row["doc_id"], document) for row, document in texts],
            self._rule,
            self._workspace.tokenizer(self._index),
        )
        for (row, _), pieces in zip(texts, cut, strict=True):
            made = [chunk_rows.chunk_row(INDEX, row, piece) for piece in pieces]
            found[chunks] += made
            found[index_documents].append(self._placed(row, made, found))
        found[embeddings] = self._vectors(found[chunks])
        return found

    def _document(self, number: int) -> dict[str, Any]:
        item = self._workspace.corpus.item(number)
        row = listed_row(self._source, document_id(SOURCE, item.uri), item)
        unknown = dict.fromkeys(column.name for column in documents.c)
        return {**unknown, **row, "touched": self._tick, "seen_at": now()}

    def _parse(self, number: int, row: dict[str, Any]) -> Any:
        raw = self._workspace.corpus.raw(self._workspace.corpus.item(number))
        document = parsed(raw.data)
        encoded = msgspec.json.encode(document, order="deterministic")
        row |= {
            "raw_version": row["version"],
            "raw_hash": content_hash(raw.data),
            "parse_fp": self._parser.fingerprint(raw.name, None),
            "parsed_hash": content_hash(encoded),
            "parser": document.parser,
            "media_type": document.media_type,
            "title": raw.title or document.title,
            "language": document.language,
            "link": raw.link,
            "revision": raw.version,
            "revised_at": row["modified_at"] or now(),
        }
        return document

    def _refusal(self, row: Mapping[str, Any]) -> dict[str, Any]:
        wanted = self._parser.fingerprint("", None)
        return {
            **{name: row[name] for name in ("doc_id", "source", "shard", "uri")},
            "stage": "parse",
            "index_name": "",
            "reason": "refused on purpose",
            "input": f"{row['version']} {wanted} {self._limits}",
            "since": now(),
        }

    def _placed(self, row: dict[str, Any], made: Sequence[dict[str, Any]], found: Rows) -> dict[str, Any]:
        placed = {
            "index_name": INDEX,
            **{name: row[name] for name in ("doc_id", "source", "shard")},
            "chunked_from": row["parsed_hash"],
            "chunk_fp": self._chunk_fp,
            "chunk_count": len(made),
            "collection": None,
            "staged_key": None,
            "access_key": None,
            "point_count": 0,
        }
        if not self._staged:
            return placed
        plan = point_changes.PointChanges()
        point_changes.compare_points(self._space, FIRST, row, made, [], plan)
        names = [column.name for column in points.c]
        for point in plan.rows:
            complete = {**point, "removed": CURRENT, "dirty": False}
            found[points].append({name: complete[name] for name in names})
        found[point_documents] += [
            {"document_key": key, "payload": payload} for key, payload in plan.documents.items()
        ]
        state = {**row, "i_chunked_from": row["parsed_hash"], "i_chunk_fp": self._chunk_fp}
        return placed | {
            "collection": self._space.collection,
            "staged_key": point_changes.staged_key(self._space, state),
            "access_key": access_key(row),
            "point_count": len(made),
        }

    def _vectors(self, made: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        embedder = self._workspace.embedder(self._index)
        vectors = embedder.embed([row["text"] for row in made]).vectors
        return [
            {"embed_hash": row["embed_hash"], "model_fp": self._space.model_fp, "vector": pack(vector)}
            for row, vector in zip(made, vectors, strict=True)
        ]
