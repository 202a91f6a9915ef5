"""Rows of texts that were compared: signatures, bands and verified pairs, all by the hash of the parsed text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.dedup_tables import bands, pairs, signatures
from rag_pipelines.catalog.store import Transaction, batches, upsert
from rag_pipelines.catalog.tables import documents

PAGE = 1000


def signed(tx: Transaction, dedup_fp: str, texts: Collection[str]) -> dict[str, bytes | None]:
    """Text -> its signature, for those that were signed (None: a text without a word)."""
    found: dict[str, bytes | None] = {}
    for batch in batches(sorted(texts)):
        statement = sa.select(signatures.c.parsed_hash, signatures.c.signature).where(
            signatures.c.dedup_fp == dedup_fp, signatures.c.parsed_hash.in_(batch)
        )
        found |= {row[0]: row[1] for row in tx.execute(statement)}
    return found


def sharing(
    tx: Transaction, dedup_fp: str, keys: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], list[str]]:
    """(band, key) -> the stored texts that have it."""
    by_band: dict[int, set[int]] = {}
    for band, key in keys:
        by_band.setdefault(band, set()).add(key)
    found: dict[tuple[int, int], list[str]] = {}
    for band, wanted in by_band.items():
        for batch in batches(sorted(wanted)):
            statement = sa.select(bands.c.key, bands.c.parsed_hash).where(
                bands.c.dedup_fp == dedup_fp, bands.c.band == band, bands.c.key.in_(batch)
            )
            for key, text in tx.execute(statement):
                found.setdefault((band, key), []).append(text)
    return found


def save_signed(
    tx: Transaction,
    dedup_fp: str,
    new: Mapping[str, bytes | None],
    keys: Mapping[str, Sequence[tuple[int, int]]],
    found: Iterable[tuple[str, str, float]],
) -> None:
    """Signatures, bands and verified pairs of new texts, together: a text that is signed has all of its pairs."""
    upsert(
        tx,
        signatures,
        [{"dedup_fp": dedup_fp, "parsed_hash": text, "signature": data} for text, data in new.items()],
        update=(),
    )
    rows = [
        {"dedup_fp": dedup_fp, "band": band, "key": key, "parsed_hash": text}
        for text, of_text in keys.items()
        for band, key in of_text
    ]
    upsert(tx, bands, sorted(rows, key=lambda row: (row["band"], row["key"])), update=())
    edges = [
        {"dedup_fp": dedup_fp, "low": min(a, b), "high": max(a, b), "similarity": similarity}
        for a, b, similarity in found
    ]
    upsert(tx, pairs, edges, update=())


def pairs_of(tx: Transaction, dedup_fp: str, texts: Collection[str]) -> dict[tuple[str, str], float]:
    """(low, high) -> similarity of every verified pair that has one of the texts."""
    found: dict[tuple[str, str], float] = {}
    for batch in batches(sorted(texts)):
        for side in (pairs.c.low, pairs.c.high):
            statement = sa.select(pairs.c.low, pairs.c.high, pairs.c.similarity).where(
                pairs.c.dedup_fp == dedup_fp, side.in_(batch)
            )
            found |= {(row[0], row[1]): row[2] for row in tx.execute(statement)}
    return found


def pairs_among(tx: Transaction, dedup_fp: str, texts: Collection[str]) -> list[tuple[str, str]]:
    """(low, high) of every verified pair of which both are among the texts."""
    ordered = sorted(texts)
    found: list[tuple[str, str]] = []
    for lows in batches(ordered):
        for highs in batches(ordered):
            mine = (pairs.c.dedup_fp == dedup_fp) & pairs.c.low.in_(lows) & pairs.c.high.in_(highs)
            found += [
                (row[0], row[1]) for row in tx.execute(sa.select(pairs.c.low, pairs.c.high).where(mine))
            ]
    return found


def unused_texts(tx: Transaction, dedup_fp: str) -> dict[str, bytes | None]:
    """Some signed texts that no document has any more, with their signatures."""
    own = signatures.c
    used = sa.select(documents.c.doc_id).where(documents.c.parsed_hash == own.parsed_hash).exists()
    statement = sa.select(own.parsed_hash, own.signature).where(own.dedup_fp == dedup_fp, ~used).limit(PAGE)
    return {row[0]: row[1] for row in tx.execute(statement)}


def forget_texts(tx: Transaction, dedup_fp: str, keys: Mapping[str, Sequence[tuple[int, int]]]) -> None:
    """Delete everything about these texts, given the band keys of each: bands cannot be found by their text."""
    for batch in batches(sorted(keys)):
        for side in (pairs.c.low, pairs.c.high):
            tx.execute(sa.delete(pairs).where(pairs.c.dedup_fp == dedup_fp, side.in_(batch)))
        mine = signatures.c.dedup_fp == dedup_fp
        tx.execute(sa.delete(signatures).where(mine, signatures.c.parsed_hash.in_(batch)))
    rows = [
        {"in_band": band, "by_key": key, "text": text}
        for text, of_text in keys.items()
        for band, key in of_text
    ]
    one = sa.delete(bands).where(
        bands.c.dedup_fp == dedup_fp,
        bands.c.band == sa.bindparam("in_band"),
        bands.c.key == sa.bindparam("by_key"),
        bands.c.parsed_hash == sa.bindparam("text"),
    )
    for batch in batches(rows):
        tx.execute(one, list(batch))


def forget_settings(tx: Transaction, in_use: Collection[str]) -> None:
    """Delete everything that was found with settings other than these."""
    for table in (pairs, bands, signatures):
        tx.execute(sa.delete(table).where(table.c.dedup_fp.not_in(sorted(in_use))))
