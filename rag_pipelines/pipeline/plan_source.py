"""What a sync would do with one source: listed, fetched and parsed for real, written nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag_pipelines.blobs import encode_parsed
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import planning
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.duplicates import COLLAPSE
from rag_pipelines.catalog.marks import unlucky_documents
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.catalog.values import storable_json
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.ports import Parser, Progress, Source
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.pipeline.listing import Comparison
from rag_pipelines.pipeline.parse import Reader, parse_settings
from rag_pipelines.pipeline.passes import begin_pass
from rag_pipelines.pipeline.plan_index import Forecast, document_weight
from rag_pipelines.pipeline.plan_parts import Part, Quarantine, Stratum
from rag_pipelines.pipeline.plan_target import Target, compared_anew, settings_changes
from rag_pipelines.pipeline.workspace import Workspace

STRATA = ("chunk", "gone", "stage")
READ = ("fetched", "parsed", "same_bytes", "same_text", "refused")


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """Counts by the names that the stages of a sync report them under, `indexes` per index.

    `compared_anew` are indexes in which other documents may be copies of others afterwards; `at_most` says that
    new copies, which the sync leaves out, are counted as if they were indexed.
    `listed` is false for a source that is only brought along because an index changes its vector space.
    `sampled` and `of`: how many documents were looked at in place of how many, 0 where all were.
    """

    source: str
    counts: dict[str, int] = field(default_factory=dict)
    indexes: dict[str, dict[str, int]] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    held_reason: str = ""
    sampled: int = 0
    of: int = 0
    listed: bool = True
    compared_anew: tuple[str, ...] = ()
    at_most: bool = False
    error: str | None = None


def plan_source(
    workspace: Workspace, source: str, targets: Sequence[Target], sample: int, progress: Progress
) -> SourcePlan:
    """List the source, read what changed, and forecast every index. A source that fails says so in `error`."""
    planner = _Planner(workspace, workspace.configuration.source_named(source), targets, sample, progress)
    try:
        with workspace.opened_source(source) as connector:
            planner.listing(connector)
            planner.read(connector)
    except SourceError as error:
        return SourcePlan(source, error=str(error))
    return planner.result(listed=True)


def plan_rest(
    workspace: Workspace, source: str, targets: Sequence[Target], sample: int, progress: Progress
) -> SourcePlan:
    """Of a source that is not listed now, what publishing these indexes brings along."""
    config = workspace.configuration.source_named(source)
    return _Planner(workspace, config, targets, sample, progress).result(listed=False)


class _Unwritten:
    """Names artifacts as the blob store would, and keeps parsed documents until they were cut."""

    def __init__(self) -> None:
        self.documents: dict[str, ParsedDocument] = {}

    def put(self, data: bytes) -> str:
        return content_hash(data)

    def put_parsed(self, document: ParsedDocument) -> str:
        name = content_hash(encode_parsed(document))
        self.documents[name] = document
        return name


class _Planner:
    """One source on its way through the stages."""

    def __init__(
        self,
        workspace: Workspace,
        config: SourceConfig,
        targets: Sequence[Target],
        sample: int,
        progress: Progress,
    ) -> None:
        self._workspace, self._config, self._progress = workspace, config, progress
        self._targets, self._sample = targets, sample
        name, catalog = config.source, workspace.catalog
        known = document_rows.source_row(catalog, name)
        # Where the number of shards changes, rows still lie in the shards of the old one.
        self._shards = range(max(config.shards, known["shards"] if known else 0))
        with reading(catalog.engine) as tx:
            self._quarantine = Quarantine(planning.quarantine_inputs(tx, name))
        self._reparsed: set[str] = set()
        self._listed: set[str] = set()
        self._due = Stratum(sample)
        self._counts: Counter[str] = Counter()
        self._held_reason = ""
        self._forecasts = {
            target.space.index: Forecast(
                workspace=workspace,
                source=config,
                target=target,
                shards=self._shards,
                quarantine=self._quarantine,
                reparsed=self._reparsed,
                dirty=point_rows.dirty_documents(catalog, target.space.collection, name),
                strata={stage: Stratum(sample) for stage in STRATA},
            )
            for target in targets
        }
        self._read: dict[str, Part] = {}

    def listing(self, connector: Source) -> None:
        """Compare the listing with the catalog and put every difference where its work is."""
        catalog, name = self._workspace.catalog, self._config.source
        with reading(catalog.engine) as tx:
            comparison = Comparison(self._config, document_rows.count_live(tx, name))
        parser = self._workspace.parser(self._config.parsing)
        limits, _ = parse_settings(self._config, parser)
        self._progress.start("list", None)
        for batch in comparison.batches(connector.list(), self._progress):
            with reading(catalog.engine) as tx:
                listed = [difference.row for difference in comparison.differences(tx, batch)]
                known = planning.documents_of(tx, [row["doc_id"] for row in listed])
            blank = planning.blank_document()
            self._take(
                [{**known.get(row["doc_id"], blank), **storable_json(row)} for row in listed], parser, limits
            )
        with reading(catalog.engine) as tx:
            verdict = comparison.settle(tx)
            gone = planning.documents_of(tx, verdict.deleted)
        self._quarantine.forget(gone)
        self._listed.update(gone)
        for forecast in self._forecasts.values():
            forecast.place([{**row, "live": False} for row in gone.values()])
        self._counts.update(comparison.found)
        self._held_reason = verdict.reason
        self._progress.finish("list")

    def _take(self, rows: Sequence[Row], parser: Parser, limits: str) -> None:
        """Documents that the listing changed: to be read, or only to be staged."""
        self._listed.update(row["doc_id"] for row in rows)
        same_text: list[Row] = []
        for row in rows:
            wanted = parser.fingerprint(f"file{row['kind'] or ''}", None)
            if (row["raw_version"], row["parse_fp"]) == (row["version"], wanted):
                self._quarantine.lift(row["doc_id"], document_rows.PARSE_STAGES)
                same_text.append(row)
            elif self._quarantine.refused(
                row["doc_id"], document_rows.PARSE_STAGES, f"{row['version']} {wanted} {limits}"
            ):
                same_text.append(row)
            else:
                self._add_due({**row, "wanted_fp": wanted})
        for forecast in self._forecasts.values():
            forecast.place(same_text)

    def _stored(self, row: Row) -> ParsedDocument:
        return self._workspace.blobs.get_parsed(row["parsed_hash"])

    def _add_due(self, row: Row) -> None:
        self._reparsed.add(row["doc_id"])
        self._due.add(row, document_weight(row))

    def read(self, connector: Source) -> None:
        """Fetch and parse what is due, and let every index have it a batch at a time."""
        parser = self._workspace.parser(self._config.parsing)
        limits = self._look_for_unread(parser)
        due = self._due.rows
        if not due:
            return
        parts = {index: self._due.part() for index in self._forecasts}
        own = self._due.part()
        waiting = {row["doc_id"]: row for row in due}
        artifacts = _Unwritten()

        def parsed_of(row: Row) -> ParsedDocument:
            return artifacts.documents.get(row["parsed_hash"]) or self._stored(row)

        def save(parsed: Sequence[Row], refused: Sequence[Row]) -> None:
            batch: list[Row] = [{**waiting[row["doc_id"]], **storable_json(dict(row))} for row in parsed]
            for row in parsed:
                self._quarantine.lift(row["doc_id"], document_rows.PARSE_STAGES)
            for row in refused:
                self._quarantine.add(row["doc_id"], row["stage"], "", row["input"], own.per_document)
                batch.append(waiting[row["doc_id"]])
            for index, forecast in self._forecasts.items():
                forecast.add(parts[index], batch, parsed_of)
            artifacts.documents.clear()

        self._progress.start("parse", len(due))
        reader = Reader(self._workspace, limits, parser, own.counts, self._progress, 0, artifacts, save)
        try:
            reader.run(connector, due)
        finally:
            reader.close()
        self._progress.finish("parse")
        self._read = {**parts, "": own}

    def _look_for_unread(self, parser: Parser) -> str:
        """Documents that the catalog knows to be due, after an interrupted run or with another parser."""
        catalog, name = self._workspace.catalog, self._config.source
        limits, settings = parse_settings(self._config, parser)
        unlucky = unlucky_documents(catalog, name)
        stage_pass = begin_pass(self._workspace, "parse", "", name, self._shards, settings, unlucky)
        if not stage_pass.nothing:
            kinds = document_rows.parse_kinds(catalog, name, stage_pass.only)
            wanted = {kind: parser.fingerprint(f"file{kind}", None) for kind in kinds}
            due, settled = document_rows.parse_pending(
                catalog, name, self._shards, wanted, limits, stage_pass.only
            )
            for doc_id in settled:
                self._quarantine.lift(doc_id, document_rows.PARSE_STAGES)
            for row in due:
                if row["doc_id"] not in self._listed:
                    self._add_due(row)
        return limits

    def result(self, *, listed: bool) -> SourcePlan:
        """Everything together, after every document was looked at."""
        counts: Counter[str] = Counter(dict.fromkeys(READ, 0)) if listed else Counter()
        parts: list[Part] = []
        if own := self._read.get(""):
            counts.update({name: round(value) for name, value in own.scaled().items()})
            parts.append(own)
        indexes: dict[str, dict[str, int]] = {}
        for index, forecast in self._forecasts.items():
            mine = [self._read[index]] if index in self._read else []
            found, every = forecast.finish(mine, self._stored, self._progress)
            indexes[index] = dict(found)
            parts += every
        least = min(
            (part for part in parts if not part.exact), key=lambda part: part.kept / part.of, default=Part()
        )
        if listed:
            counts.update(self._counts)
            counts["quarantined"] = self._quarantine.documents
        return SourcePlan(
            self._config.source,
            dict(counts),
            indexes,
            tuple(settings_changes(self._workspace, self._config, self._targets)),
            self._held_reason,
            least.kept,
            least.of,
            listed,
            tuple(compared_anew(self._workspace, self._config, self._targets)),
            self._config.dedup.policy == COLLAPSE and any(found["chunked"] for found in indexes.values()),
        )
