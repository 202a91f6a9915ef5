"""How far each stage has looked at each shard, so that a sync looks at what was touched since and no more.

Every change of a document's row carries the source's next tick in `documents.touched`. A stage that has
gone through a shard leaves a mark: the tick it had seen, and the fingerprint of the settings it worked with.
With the same settings only documents touched later can be due; with others, or without a mark, all are looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.control_tables import marks
from rag_pipelines.catalog.store import Catalog, Transaction, batches, reading, rows_of, upsert
from rag_pipelines.catalog.tables import documents, quarantine, sources

LISTING = "list"
_NOTHING: sa.ColumnClause[str] = sa.literal_column("''")
"""Written out, since SQLite holds a partial index against the statement and not against its parameters."""

MANY = 20_000
"""Beyond this many touched documents one look at all of them is cheaper than asking for each."""


def next_tick(tx: Transaction, source: str) -> int:
    """A tick later than every one given out for the source."""
    tx.execute(sa.update(sources).where(sources.c.source == source).values(tick=sources.c.tick + 1))
    return current_tick(tx, source)


def current_tick(tx: Transaction, source: str) -> int:
    """The newest tick of the source; 0 before its first change."""
    found = tx.execute(sa.select(sources.c.tick).where(sources.c.source == source)).scalar()
    return int(found or 0)


def touch(tx: Transaction, doc_ids: Sequence[str], tick: int) -> None:
    """Every stage looks at these documents again."""
    for batch in batches(doc_ids):
        tx.execute(sa.update(documents).where(documents.c.doc_id.in_(batch)).values(touched=tick))


def unlucky_documents(catalog: Catalog, source: str) -> list[str]:
    """Documents whose fetch or parse failed for a passing reason, to be tried with the next run."""
    with reading(catalog.engine) as tx:
        rows = tx.execute(
            sa.select(quarantine.c.doc_id)
            .where(quarantine.c.source == source, quarantine.c.input == _NOTHING)
            .distinct()
        )
        return [row[0] for row in rows]


def tick_seen(
    tx: Transaction, stage: str, index: str, source: str, shards: Collection[int], fingerprint: str
) -> int:
    """The tick up to which the stage went through all of the shards with these settings; -1 for never."""
    found = {
        row["shard"]: row["tick"]
        for row in rows_of(tx.execute(sa.select(marks).where(*_of(stage, index, source))))
        if row["fingerprint"] == fingerprint
    }
    return min((found.get(shard, -1) for shard in shards), default=-1)


def touched_since(catalog: Catalog, source: str, shards: Collection[int], tick: int) -> list[str] | None:
    """Documents of the shards with a later touch; None where looking at all of them is the thing to do."""
    if tick < 0:
        return None
    wanted = set(shards)
    statement = (
        sa.select(documents.c.doc_id, documents.c.shard)
        .where(documents.c.source == source, documents.c.touched > tick)
        .limit(MANY + 1)
    )
    with reading(catalog.engine) as tx:
        rows = tx.execute(statement).all()
    return None if len(rows) > MANY else [row[0] for row in rows if row[1] in wanted]


def save_marks(
    tx: Transaction, stage: str, index: str, source: str, shards: Collection[int], fingerprint: str, tick: int
) -> None:
    """The stage has gone through the shards; writes nothing that already stands."""
    found = {
        row["shard"]: (row["fingerprint"], row["tick"])
        for row in rows_of(tx.execute(sa.select(marks).where(*_of(stage, index, source))))
    }
    changed = [
        {
            "stage": stage,
            "index_name": index,
            "source": source,
            "shard": shard,
            "fingerprint": fingerprint,
            "tick": tick,
        }
        for shard in shards
        if found.get(shard) != (fingerprint, tick)
    ]
    upsert(tx, marks, changed)


def forget_marks(tx: Transaction, source: str, stage: str | None = None) -> None:
    """The stage, or every stage, looks at the whole source again."""
    chosen = marks.c.stage == stage if stage is not None else marks.c.stage != LISTING
    tx.execute(sa.delete(marks).where(marks.c.source == source, chosen))


def shard_versions(catalog: Catalog, source: str) -> dict[int, str]:
    """Shard -> what changes whenever one of its documents came, changed or went; '0' before the first."""
    with reading(catalog.engine) as tx:
        rows = rows_of(tx.execute(sa.select(marks).where(*_of(LISTING, "", source))))
        shards = tx.execute(sa.select(sources.c.shards).where(sources.c.source == source)).scalar()
    found = {row["shard"]: str(row["tick"]) for row in rows}
    return {shard: found.get(shard, "0") for shard in range(shards or 0)}


def stage_marks(tx: Transaction, stage: str, index: str) -> dict[str, dict[int, tuple[str, int]]]:
    """Source -> shard -> (fingerprint, tick) of a stage of an index."""
    found: dict[str, dict[int, tuple[str, int]]] = {}
    rows = tx.execute(sa.select(marks).where(marks.c.stage == stage, marks.c.index_name == index))
    for row in rows_of(rows):
        found.setdefault(row["source"], {})[row["shard"]] = (row["fingerprint"], row["tick"])
    return found


def restricted(
    statement: sa.Select[Any], column: sa.ColumnElement[Any], only: Sequence[str] | None
) -> Iterator[sa.Select[Any]]:
    """The statement for these ids, a batch each; as it is where `only` is None."""
    if only is None:
        yield statement
        return
    for batch in batches(only):
        yield statement.where(column.in_(batch))


def _of(stage: str, index: str, source: str) -> tuple[sa.ColumnElement[bool], ...]:
    return marks.c.stage == stage, marks.c.index_name == index, marks.c.source == source
