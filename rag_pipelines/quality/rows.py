"""Facts as rows with their limits beside them, so that every source is judged by its own thresholds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import exp, floor, log
from typing import TYPE_CHECKING, Any

from rag_pipelines.config.quality import QualityConfig, Thresholds
from rag_pipelines.quality.facts import (
    ChunkFacts,
    DocumentFacts,
    Facts,
    IdentifierFacts,
    Live,
    SourceFacts,
    VectorFacts,
)
from rag_pipelines.quality.measures import centroid_drift, mix_after, mix_distance

if TYPE_CHECKING:
    import pandas as pd

EPSILON = 1e-9
SAMPLES = 5
FEW_POINTS = 50
"""A mean over fewer vectors says nothing."""


def document_rows(documents: Sequence[DocumentFacts], settings: QualityConfig) -> pd.DataFrame:
    """A row a document: how much of its text is missing from its chunks."""
    return _frame(
        {
            "source": one.source,
            "document": one.document,
            "uncovered": 1 - one.coverage,
            "uncovered_limit": 1 - settings.of(one.source).min_coverage + EPSILON,
            "percent": round(100 * one.coverage),
        }
        for one in documents
    )


def chunk_rows(chunks: Sequence[ChunkFacts]) -> pd.DataFrame:
    """A row a passage; without its text."""
    return _frame(
        {
            **{name: value for name, value in asdict(one).items() if name != "text"},
            "filled": bool(one.text.strip()),
            "verifies": one.faithful and 0 <= one.start < one.end <= one.length,
            "chunk": f"{one.source} {one.chunk}",
        }
        for one in chunks
    )


def vector_rows(vectors: Sequence[VectorFacts], settings: QualityConfig) -> pd.DataFrame:
    """A row a stored vector."""

    def row(one: VectorFacts) -> dict[str, Any]:
        limits = settings.of(one.source)
        return {
            **asdict(one),
            "right_dimension": one.dimension == one.expected,
            "off": abs(one.norm - 1) if one.norm is not None and one.finite else None,
            "off_limit": limits.norm_tolerance,
            "apart": 2.0 if one.stored is None else 1 - one.stored,
            "apart_limit": 1 - limits.min_stored_cosine + EPSILON,
            "changed": None if one.again is None else 1 - one.again,
            "changed_limit": 1 - limits.min_cosine + EPSILON,
        }

    return _frame(row(one) for one in vectors)


def source_rows(facts: Facts, settings: QualityConfig) -> pd.DataFrame:
    """A row a source: figures of the whole source and, beside each, how high it may be."""
    documents: dict[str, list[DocumentFacts]] = defaultdict(list)
    identifiers: dict[str, list[IdentifierFacts]] = defaultdict(list)
    for one in facts.documents:
        documents[one.source].append(one)
    for name in facts.identifiers:
        identifiers[name.source].append(name)
    return _frame(
        _source_row(one, documents[one.source], identifiers[one.source], settings.of(one.source))
        for one in facts.sources
    )


def _source_row(
    source: SourceFacts,
    documents: Sequence[DocumentFacts],
    names: Sequence[IdentifierFacts],
    limits: Thresholds,
) -> dict[str, Any]:
    looked_at = len(documents) + len(source.gone)
    base = source.documents * looked_at / source.changed if source.changed else 0.0
    row: dict[str, Any] = {"source": source.source, "document": "", "documents": source.documents}

    def share(name: str, wrong: Sequence[str], allowed: float, of: float, least: int) -> None:
        row[name] = len(wrong)
        row[f"{name}_limit"] = max(least - 1, floor(allowed * of + EPSILON))
        row[f"{name}_first"] = wrong[0] if wrong else ""
        row[f"{name}_samples"] = list(wrong[:SAMPLES])

    edited = [(one, one.before) for one in documents if one.before is not None]
    shrunk = [one.document for one, before in edited if one.characters * 2 < before.characters]
    share("shrunk", shrunk, limits.max_shrunk, base, limits.lost_floor)
    share(
        "foreign",
        [one.document for one in documents if _foreign(one, limits)],
        limits.max_foreign,
        base,
        limits.floor,
    )
    thin = [one.document for one in documents if one.kept is not None and one.kept < limits.min_kept_words]
    share("thin", thin, limits.max_thin, len(documents), limits.lost_floor)
    missed = [f"{one.identifier} of {one.document}" for one in names if not (one.found and one.whole)]
    share("missed", missed, limits.max_lost_identifiers, len(names), limits.floor)
    row["names"] = len(names)
    row["looked_at"] = len(documents)
    row["refused"] = source.refused
    known = source.documents + source.refused
    row["refused_limit"] = max(limits.lost_floor - 1, floor(limits.max_refused * known))
    if source.live is not None:
        row |= _lost(source, source.live, limits) | _drift(source, source.live, documents, limits)
    return row


def _foreign(one: DocumentFacts, limits: Thresholds) -> bool:
    """Whether the text is another document's.

    Its bytes do not have its words; or another document has the same text, and it had another one before or
    bytes that show no text. An equal text alone is a copy, and a small edit may make two pages alike.
    """
    if one.own is not None and one.own < limits.min_own_words:
        return True
    if one.twin is None:
        return False
    if one.before is not None:
        return one.before.similar < 0.5
    return one.own is None and not one.copied


def _lost(source: SourceFacts, live: Live, limits: Thresholds) -> dict[str, Any]:
    expected = max(live.documents - source.approved, 0)
    lost = max(expected - source.documents, 0)
    gone = max(live.chunks - source.chunks, 0)
    return {
        "lost": lost,
        "expected": expected,
        "lost_limit": max(limits.lost_floor - 1, floor(limits.max_lost_documents * expected)),
        "gone": gone if not source.approved else None,
        "before_chunks": live.chunks,
        "gone_limit": max(limits.lost_floor - 1, floor(limits.max_lost_chunks * live.chunks)),
    }


def _drift(
    source: SourceFacts, live: Live, documents: Sequence[DocumentFacts], limits: Thresholds
) -> dict[str, Any]:
    """How far the whole source moved; what is known of a sample of the changed documents counts for all of them."""
    looked_at = len(documents) + len(source.gone)
    scale = source.changed / looked_at if looked_at else 0.0
    row: dict[str, Any] = {}
    pairs = [(one, one.before) for one in documents if one.before is not None]
    grown = [log((one.characters + 1) / (before.characters + 1)) for one, before in pairs]
    if grown and source.documents:
        factor = exp(abs(sum(grown) * scale / max(source.documents, len(grown) * scale)))
        row |= {
            "length_change": factor if len(grown) * scale >= limits.lost_floor else 1.0,
            "length_limit": limits.max_length_change,
            "direction": "shorter" if sum(grown) < 0 else "longer",
        }
    came = Counter(one.language for one in documents)
    went = Counter(before.language for before in (*(before for _, before in pairs), *source.gone))
    if live.languages and looked_at:
        after = mix_after(live.languages, live.documents, _times(went, scale), _times(came, scale))
        moved = max(sorted(after, key=str), key=lambda key: after[key] - live.languages.get(key, 0.0))
        row |= {
            "language_drift": mix_distance(live.languages, after),
            "language_limit": max(limits.max_language_drift, limits.floor / max(source.documents, 1)),
            "language": moved or "unknown",
            "language_before": round(100 * live.languages.get(moved, 0.0)),
            "language_after": round(100 * after[moved]),
        }
    row |= _nulls(source, live, documents, limits, scale)
    if (
        live.centroid is not None
        and source.moved is not None
        and min(live.chunks, source.chunks) >= FEW_POINTS
    ):
        row["centroid_drift"] = centroid_drift(live.centroid, live.chunks, source.moved, scale)
        row["centroid_limit"] = limits.max_centroid_drift
    return row


def _nulls(
    source: SourceFacts, live: Live, documents: Sequence[DocumentFacts], limits: Thresholds, scale: float
) -> dict[str, Any]:
    """The filter field that lost most values."""
    worst, drift = "", 0.0
    were = [*(one.before for one in documents if one.before is not None), *source.gone]
    for name, before in live.nulls.items():
        now_null = sum(name in one.nulls for one in documents)
        were_null = sum(name in one.nulls for one in were)
        count = before * live.documents + (now_null - were_null) * scale
        total = max(live.documents + (len(documents) - len(were)) * scale, 1.0)
        if count / total - before > drift:
            worst, drift = name, count / total - before
    least = limits.floor / max(source.documents, 1)
    return {"null_drift": drift, "null_limit": max(limits.max_null_metadata, least), "field": worst}


def _times(counts: Counter[Any], scale: float) -> dict[Any, float]:
    return {key: count * scale for key, count in counts.items()}


def _frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))
