"""Fetches what changed and turns it into stored parsed documents; what fails is quarantined with its reason."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from rag_pipelines.catalog import documents as rows
from rag_pipelines.catalog.marks import unlucky_documents
from rag_pipelines.catalog.store import Row, now, reading
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.ports import (
    FetchFailure,
    Parser,
    ParseTask,
    Progress,
    Source,
)
from rag_pipelines.core.types import ParsedDocument, RawDocument, SourceItem
from rag_pipelines.pipeline.passes import begin_pass, end_pass
from rag_pipelines.pipeline.progress import Silent, elapsed_ms
from rag_pipelines.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
BATCH_DOCUMENTS = 64
BATCH_BYTES = 32 * 2**20
WRITERS = 8
Save = Callable[[Sequence[Row], Sequence[Row]], None]
"""Takes parse results (as `save_parsed`) and refusals (as `save_quarantined`) of a batch."""


class Artifacts(Protocol):
    """Where bytes and parsed documents go; each call returns the name."""

    def put(self, data: bytes) -> str:
        """Bytes as fetched."""

    def put_parsed(self, document: ParsedDocument) -> str:
        """What the parser made of them."""


def parse(
    workspace: Workspace,
    source: str,
    shards: Collection[int],
    run_id: str,
    progress: Progress | None = None,
) -> Counter[str]:
    """Fetch and parse every live document of the shards whose version or parser changed.

    Equal bytes under an equal parser are parsed once, wherever they lie. A document that fails keeps its
    last good text. Returns counts: fetched, parsed, same_bytes, same_text, refused.
    """
    config = workspace.configuration.source_named(source)
    parser = workspace.parser(config.parsing)
    began = time.monotonic()
    limits, settings = parse_settings(config, parser)
    unlucky = unlucky_documents(workspace.catalog, source)
    stage_pass = begin_pass(workspace, "parse", "", source, shards, settings, unlucky)
    counts: Counter[str] = Counter(fetched=0, parsed=0, same_bytes=0, same_text=0, refused=0)
    if stage_pass.nothing:
        return counts
    kinds = rows.parse_kinds(workspace.catalog, source, stage_pass.only)
    fingerprints = {kind: parser.fingerprint(f"file{kind}", None) for kind in kinds}
    due = rows.parse_due(workspace.catalog, source, shards, fingerprints, limits, stage_pass.only)
    if due:
        progress = progress or Silent()
        progress.start("parse", len(due))
        with workspace.opened_source(source) as connector:
            tick = stage_pass.later_tick(workspace)
            save = _saving(workspace)
            reader = Reader(workspace, limits, parser, counts, progress, tick, workspace.blobs, save)
            try:
                reader.run(connector, due)
            finally:
                reader.close()
        workspace.count(run_id, source, {**counts, "ms_parse": elapsed_ms(began)})
        progress.finish("parse")
    end_pass(workspace, stage_pass)
    return counts


def parse_settings(config: SourceConfig, parser: Parser) -> tuple[str, str]:
    """Fingerprints of the source's parsing limits, and of them together with every parser."""
    limits = fingerprint("limits", 1, config.parsing.model_dump(mode="json"))
    return limits, fingerprint("parsers", 1, [parser.version, limits])


def _saving(workspace: Workspace) -> Save:
    def save(parsed: Sequence[Row], refused: Sequence[Row]) -> None:
        with workspace.catalog.begin() as tx:
            rows.save_parsed(tx, parsed)
            rows.save_quarantined(tx, refused)

    return save


class Reader:
    """One pass over the due documents; holds what lies between fetch and commit.

    `artifacts` and `save` are where the results go: the stores in a sync, nowhere where it is only planned.
    """

    def __init__(
        self,
        workspace: Workspace,
        limits: str,
        parser: Parser,
        counts: Counter[str],
        progress: Progress,
        tick: int,
        artifacts: Artifacts,
        save: Save,
    ) -> None:
        self._tick = tick
        self._workspace = workspace
        self._artifacts = artifacts
        self._save = save
        self._limits = limits
        self._parser = parser
        self._counts = counts
        self._progress = progress
        self._waiting: dict[str, tuple[Row, RawDocument, str]] = {}
        self._parsed: list[tuple[Row, str | None, str, dict[str, Any]]] = []
        self._pending: list[Future[str]] = []
        self._writes = ThreadPoolExecutor(WRITERS, thread_name_prefix="blobs")
        self._refused: list[dict[str, Any]] = []

    def run(self, connector: Source, due: list[Row]) -> None:
        """Consume the connector and the parser side by side, committing as results come."""
        for outcome in self._parser.parse(self._tasks(connector, due)):
            row, raw, raw_hash = self._waiting.pop(outcome.key)
            if outcome.failure is not None:
                self._refuse(row, "parse", outcome.failure.reason)
            elif outcome.document is not None:
                document = outcome.document
                self._keep(
                    row,
                    raw,
                    {
                        "raw_hash": raw_hash,
                        "parsed_hash": self._writes.submit(self._artifacts.put_parsed, document),
                        "parser": document.parser,
                        "media_type": document.media_type,
                        "title": raw.title or document.title,
                        "language": document.language,
                    },
                )
                self._counts["parsed"] += 1
            if len(self._parsed) + len(self._refused) >= BATCH_DOCUMENTS:
                self._commit()
        self._commit()

    def close(self) -> None:
        """End the writing threads."""
        self._writes.shutdown(cancel_futures=True)

    def _tasks(self, connector: Source, due: list[Row]) -> Iterator[ParseTask]:
        by_uri = {row["uri"]: row for row in due}
        batch: list[tuple[Row, RawDocument]] = []
        size = 0
        for result in connector.fetch(_item(row) for row in due):
            if isinstance(result, FetchFailure):
                self._fetch_failed(by_uri[result.item.uri], result.error)
                continue
            self._counts["fetched"] += 1
            batch.append((by_uri[result.uri], result))
            size += len(result.data)
            if len(batch) >= BATCH_DOCUMENTS or size >= BATCH_BYTES:
                yield from self._unknown_bytes(batch)
                batch, size = [], 0
        yield from self._unknown_bytes(batch)

    def _unknown_bytes(self, batch: Iterable[tuple[Row, RawDocument]]) -> Iterator[ParseTask]:
        hashed = [(row, raw, content_hash(raw.data)) for row, raw in batch]
        with reading(self._workspace.catalog.engine) as tx:
            before = rows.parsed_before(tx, ((raw_hash, row["wanted_fp"]) for row, _, raw_hash in hashed))
        for row, raw, raw_hash in hashed:
            known = before.get((raw_hash, row["wanted_fp"]))
            if known is not None and known["kind"] == row["kind"]:
                self._counts["same_bytes"] += 1
                same = {name: known[name] for name in ("parsed_hash", "parser", "media_type", "language")}
                self._keep(row, raw, {**same, "raw_hash": raw_hash, "title": raw.title or known["title"]})
                continue
            self._pending.append(self._writes.submit(self._artifacts.put, raw.data))
            self._waiting[row["doc_id"]] = (row, raw, raw_hash)
            yield ParseTask(row["doc_id"], raw.data, raw.name, raw.media_type)

    def _keep(self, row: Row, raw: RawDocument, values: dict[str, Any]) -> None:
        self._progress.advance("parse")
        values |= {
            "doc_id": row["doc_id"],
            "raw_version": row["version"],
            "parse_fp": row["wanted_fp"],
            "touched": self._tick,
        }
        self._parsed.append((row, raw.link, raw.version, values))

    def _settled(self) -> list[dict[str, Any]]:
        """Rows to save, once every blob that they name is durable."""
        for write in self._pending:
            write.result()
        self._pending = []
        for row, link, version, values in self._parsed:
            if isinstance(values["parsed_hash"], Future):
                values["parsed_hash"] = values["parsed_hash"].result()
            if values["parsed_hash"] == row["parsed_hash"] and values["title"] == row["title"]:
                self._counts["same_text"] += 1
            else:
                values |= {
                    "link": link,
                    "revision": version,
                    "revised_at": row["modified_at"] or now(),
                }
        return [values for *_, values in self._parsed]

    def _refuse(self, row: Row, stage: str, reason: str, *, retry: bool = False) -> None:
        self._progress.advance("parse")
        self._counts["refused"] += 1
        self._refused.append(
            {
                "doc_id": row["doc_id"],
                "stage": stage,
                "index_name": "",
                "source": row["source"],
                "shard": row["shard"],
                "uri": row["uri"],
                "reason": reason,
                "input": "" if retry else f"{row['version']} {row['wanted_fp']} {self._limits}",
                "since": now(),
            }
        )

    def _fetch_failed(self, row: Row, error: SourceError) -> None:
        # A transient failure records no input, so that the next sync tries again.
        self._refuse(row, "fetch", str(error), retry=error.transient)

    def _commit(self) -> None:
        if not (self._parsed or self._refused):
            return
        settled = self._settled()
        fault_point("parse.stored")
        self._save(settled, self._refused)
        fault_point("parse.saved")
        self._parsed, self._refused = [], []


def _item(row: Row) -> SourceItem:
    return SourceItem(uri=row["uri"], version=row["version"], size=row["size"], metadata=row["metadata"])
