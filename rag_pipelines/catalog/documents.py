"""Rows of sources, documents, exclusions and quarantine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.marks import restricted
from rag_pipelines.catalog.store import (
    Catalog,
    Row,
    Transaction,
    batches,
    now,
    reading,
    rows_of,
    update_rows,
    upsert,
)
from rag_pipelines.catalog.tables import documents, exclusions, quarantine, sources
from rag_pipelines.catalog.values import storable
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import Access, Classification

PARSE_STAGES = ("fetch", "parse")


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What a listing is compared with; `row_hash` covers metadata and rights."""

    live: bool
    version: str
    row_hash: str


def access_of(row: Row) -> Access:
    """The rights of a document row."""
    return Access(row["tenant"], Classification(row["classification"]), tuple(row["acl"]))


def there_for(tenant: str | None) -> sa.ColumnElement[bool]:
    """Whether a row of `documents` is there for an index of this tenant, or of all: one of another tenant is not."""
    present: sa.ColumnElement[bool] = documents.c.live
    return present if tenant is None else sa.and_(present, documents.c.tenant == tenant)


def columns_for(tenant: str | None) -> list[sa.ColumnElement[Any]]:
    """The columns of `documents`, with `live` as it is for an index of this tenant."""
    return [there_for(tenant).label("live") if own.name == "live" else own for own in documents.c]


def source_row(catalog: Catalog, source: str) -> Row | None:
    """The row of a source, or None before its first sync."""
    with reading(catalog.engine) as tx:
        found = rows_of(tx.execute(sa.select(sources).where(sources.c.source == source)))
    return found[0] if found else None


def update_source(tx: Transaction, source: str, **values: Any) -> None:
    """Set columns of a source's row."""
    tx.execute(sa.update(sources).where(sources.c.source == source).values(**values))


def known_documents(tx: Transaction, doc_ids: Collection[str]) -> dict[str, KnownDocument]:
    """The rows of these documents, live or gone, by id."""
    columns = documents.c
    compared = sa.select(columns.doc_id, columns.live, columns.version, columns.row_hash)
    return {
        row[0]: KnownDocument(row[1], row[2], row[3])
        for batch in batches(list(doc_ids))
        for row in tx.execute(compared.where(columns.doc_id.in_(batch)))
    }


def known_rights(tx: Transaction, doc_ids: Collection[str]) -> dict[str, Access]:
    """Who may read these documents so far."""
    columns = documents.c
    rights = sa.select(columns.doc_id, columns.tenant, columns.classification, columns.acl)
    return {
        row["doc_id"]: access_of(row)
        for batch in batches(list(doc_ids))
        for row in rows_of(tx.execute(rights.where(columns.doc_id.in_(batch))))
    }


def save_listed(tx: Transaction, rows: Sequence[Row]) -> None:
    """Insert or update rows as a listing gives them; what later stages recorded stays."""
    upsert(tx, documents, rows)


def forget_past(tx: Transaction, doc_ids: Sequence[str]) -> None:
    """Of documents that were gone and came back with other bytes: their earlier text is not theirs to show."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.update(documents)
            .where(documents.c.doc_id.in_(batch), documents.c.raw_version != documents.c.version)
            .values(raw_version=None, raw_hash=None, parse_fp=None, parsed_hash=None)
        )


def live_documents(tx: Transaction, source: str) -> Iterator[tuple[str, str, str]]:
    """(doc_id, uri, version) of every live document of the source."""
    for row in tx.execute(
        sa.select(documents.c.doc_id, documents.c.uri, documents.c.version).where(
            documents.c.source == source, documents.c.live
        )
    ):
        yield row[0], row[1], row[2]


def count_live(tx: Transaction, source: str) -> int:
    """How many live documents the source has."""
    return tx.execute(
        sa.select(sa.func.count()).where(documents.c.source == source, documents.c.live)
    ).scalar_one()


def live_among(tx: Transaction, doc_ids: Sequence[str]) -> dict[str, list[str]]:
    """Source -> those of the documents that are live."""
    found: dict[str, list[str]] = {}
    for batch in batches(doc_ids):
        for doc_id, source in tx.execute(
            sa.select(documents.c.doc_id, documents.c.source).where(
                documents.c.doc_id.in_(batch), documents.c.live
            )
        ):
            found.setdefault(source, []).append(doc_id)
    return found


def mark_gone(tx: Transaction, doc_ids: Sequence[str], tick: int) -> None:
    """A complete listing no longer has these; later stages take them out of the next version."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.update(documents)
            .where(documents.c.doc_id.in_(batch))
            .values(live=False, seen_at=now(), touched=tick)
        )
        tx.execute(sa.delete(quarantine).where(quarantine.c.doc_id.in_(batch)))


def replace_exclusions(tx: Transaction, source: str, current: Mapping[str, str]) -> None:
    """Make the source's exclusions these (uri -> reason), writing only what changed."""
    wanted = {document_id(source, uri): (uri, reason) for uri, reason in current.items()}
    known = {
        row.doc_id: row.reason
        for row in tx.execute(
            sa.select(exclusions.c.doc_id, exclusions.c.reason).where(exclusions.c.source == source)
        )
    }
    for batch in batches([doc_id for doc_id in known if doc_id not in wanted]):
        tx.execute(sa.delete(exclusions).where(exclusions.c.doc_id.in_(batch)))
    changed = [
        {"doc_id": doc_id, "source": source, "uri": uri, "reason": reason, "since": now()}
        for doc_id, (uri, reason) in wanted.items()
        if known.get(doc_id) != storable(reason)
    ]
    upsert(tx, exclusions, changed)


def parse_kinds(catalog: Catalog, source: str, only: Sequence[str] | None = None) -> list[str]:
    """The distinct kinds (suffix, declared media type) among the source's live documents, or among these."""
    statement = sa.select(documents.c.kind).where(documents.c.source == source, documents.c.live).distinct()
    with reading(catalog.engine) as tx:
        return sorted(
            {
                str(row[0] or "")
                for part in restricted(statement, documents.c.doc_id, only)
                for row in tx.execute(part)
            }
        )


def parse_due(
    catalog: Catalog,
    source: str,
    shards: Collection[int],
    fingerprints: Mapping[str, str],
    limits: str,
    only: Sequence[str] | None = None,
) -> list[Row]:
    """Live documents whose parsed text is not of their current version and of the current parser.

    `fingerprints` maps each kind to the parser's present fingerprint, `limits` is the fingerprint of the
    source's parsing limits, `only` are the documents to look at (None: all of the shards). A document
    quarantined with the same version, parser and limits is not due again: it is retried once one of them
    changes. Where nothing is due any more because the document went back to what its stored text was read
    from, its quarantine is lifted. Rows carry the wanted fingerprint as `wanted_fp`.
    """
    rows, fine_again = parse_pending(catalog, source, shards, fingerprints, limits, only)
    if fine_again:
        with catalog.begin() as tx:
            lift_quarantine(tx, fine_again, PARSE_STAGES)
        fault_point("parse.readmitted")
    return rows


def parse_pending(
    catalog: Catalog,
    source: str,
    shards: Collection[int],
    fingerprints: Mapping[str, str],
    limits: str,
    only: Sequence[str] | None = None,
) -> tuple[list[Row], list[str]]:
    """What `parse_due` returns, and the documents whose quarantine it lifts; writes nothing."""
    columns = documents.c
    expected = expected_fingerprint(sa.func.coalesce(columns.kind, ""), fingerprints)
    of_parsing = sa.and_(quarantine.c.doc_id == columns.doc_id, quarantine.c.stage.in_(PARSE_STAGES))
    refused = (
        sa.select(quarantine.c.doc_id)
        .where(of_parsing, quarantine.c.input == columns.version + " " + expected + " " + limits)
        .exists()
    )
    due = sa.or_(
        columns.raw_version.is_distinct_from(columns.version), columns.parse_fp.is_distinct_from(expected)
    )
    in_shards = sa.and_(columns.source == source, columns.shard.in_(shards), columns.live)
    statement = sa.select(*columns, expected.label("wanted_fp")).where(in_shards, due, ~refused)
    settled = sa.select(columns.doc_id).join(quarantine, of_parsing).where(in_shards, ~due).distinct()
    with reading(catalog.engine) as tx:
        rows = [
            row for part in restricted(statement, columns.doc_id, only) for row in rows_of(tx.execute(part))
        ]
        fine_again = [
            row[0] for part in restricted(settled, quarantine.c.doc_id, only) for row in tx.execute(part)
        ]
    return sorted(rows, key=lambda row: str(row["uri"])), fine_again


def expected_fingerprint(
    column: sa.ColumnElement[Any], fingerprints: Mapping[str, str]
) -> sa.ColumnElement[str]:
    """The fingerprint that belongs to the column's value.

    The one that most values share needs no list of them: a corpus with a suffix of its own for every
    document (`paper.01234`) must not need a statement parameter each.
    """
    values: dict[str, list[str]] = {}
    for value, wanted in fingerprints.items():
        values.setdefault(wanted, []).append(value)
    if not values:
        return sa.literal("")
    common = max(values, key=lambda wanted: len(values[wanted]))
    exceptions = [(column.in_(kinds), wanted) for wanted, kinds in values.items() if wanted != common]
    return sa.case(*exceptions, else_=common) if exceptions else sa.literal(common)


def parsed_before(tx: Transaction, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row]:
    """For (raw_hash, parse_fp): a document row that was parsed from the same bytes by the same parser."""
    wanted = set(keys)
    found: dict[tuple[str, str], Row] = {}
    for batch in batches(sorted({raw for raw, _ in wanted})):
        same_bytes = sa.select(documents).where(
            documents.c.raw_hash.in_(batch), documents.c.parsed_hash.is_not(None)
        )
        for row in rows_of(tx.execute(same_bytes)):
            key = (row["raw_hash"], row["parse_fp"])
            if key in wanted:
                found[key] = row
    return found


def save_parsed(tx: Transaction, rows: Sequence[Row]) -> None:
    """Record the parse results; rows carry `doc_id` and every column to set. Lifts the quarantine."""
    update_rows(tx, documents, rows)
    lift_quarantine(tx, [row["doc_id"] for row in rows], PARSE_STAGES)


def save_quarantined(tx: Transaction, rows: Sequence[Row]) -> None:
    """Record documents that a stage refused; `since` keeps the first time for the same stage."""
    upsert(tx, quarantine, rows, update=("reason", "input", "source", "shard", "uri"))


def lift_quarantine(
    tx: Transaction, doc_ids: Sequence[str], stages: Sequence[str], index_name: str = ""
) -> None:
    """The documents passed these stages."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.delete(quarantine).where(
                quarantine.c.doc_id.in_(batch),
                quarantine.c.stage.in_(stages),
                quarantine.c.index_name == index_name,
            )
        )


def document_row(catalog: Catalog, doc_id: str) -> Row | None:
    """One document, live or gone."""
    with reading(catalog.engine) as tx:
        found = rows_of(tx.execute(sa.select(documents).where(documents.c.doc_id == doc_id)))
    return found[0] if found else None
