"""Facts about the passages of changed documents: as the engine has them, against text, catalog and model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.core.filters import All, HasId, Match
from rag_pipelines.core.ids import embed_text
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import FloatArray, SparseVector, StoredPoint
from rag_pipelines.pipeline.quality_documents import Read
from rag_pipelines.pipeline.quality_sample import Inspection
from rag_pipelines.quality.facts import ChunkFacts, IdentifierFacts, VectorFacts
from rag_pipelines.quality.identifiers import holds, rare_identifiers

BATCH = 1000
Embedded = tuple[int, str, FloatArray]
"""A place among the facts, what is embedded of the passage, and its stored vector."""

DEEP = 10
"""An identifier finds its passage among so many."""


@dataclass(slots=True)
class Points:
    """What is known of points."""

    chunks: list[ChunkFacts] = field(default_factory=list)
    vectors: list[VectorFacts] = field(default_factory=list)
    identifiers: list[IdentifierFacts] = field(default_factory=list)


def point_facts(inspection: Inspection, read: Read) -> Points:
    """Facts of every point of the documents that were read."""
    rows = [row for doc_id in sorted(read.now) for row in read.now[doc_id]]
    points = Points()
    texts: list[tuple[str, str, str]] = []
    embedded: list[Embedded] = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        stored = _stored(inspection, batch)
        points.chunks += _chunks(inspection, read, batch, stored)
        embedded += _vectors(inspection, read, batch, stored, points.vectors)
        texts += [
            (row["source"], _uri(read, row), str(stored[row["point_id"]].payload.get("text") or ""))
            for row in batch
            if row["point_id"] in stored
        ]
    _embed_again(inspection, embedded, points.vectors)
    points.identifiers = _identifiers(
        inspection, texts, {(row["source"], _uri(read, row)): row["doc_id"] for row in rows}
    )
    return points


def _stored(inspection: Inspection, rows: Sequence[Row]) -> dict[str, StoredPoint]:
    """What readers of the candidate get."""
    candidate = inspection.candidate
    asked = All((candidate.shown, HasId(tuple(row["point_id"] for row in rows))))
    return {point.point_id: point for point in candidate.reader.scroll(asked, with_vectors=True)}


def _uri(read: Read, row: Row) -> str:
    state = read.states.get(row["doc_id"])
    return str(state["uri"]) if state is not None else str(row["doc_id"])


def _chunks(
    inspection: Inspection, read: Read, rows: Sequence[Row], stored: Mapping[str, StoredPoint]
) -> list[ChunkFacts]:
    shown = [(row, stored[row["point_id"]].payload) for row in rows if row["point_id"] in stored]
    config = inspection.workspace.configuration.indexes[inspection.candidate.index]
    counted = inspection.workspace.tokenizer(config).offsets([str(said["text"]) for _, said in shown])
    facts = []
    for (row, said), tokens in zip(shown, counted, strict=True):
        text = read.texts.get(row["doc_id"], "")
        start, end = int(said["start"]), int(said["end"])
        known = row["source"] in inspection.workspace.configuration.sources
        rule = inspection.space.rule_for(row["source"], said.get("media_type") or "") if known else None
        facts.append(
            ChunkFacts(
                source=row["source"],
                document=_uri(read, row),
                chunk=str(said["chunk_id"]),
                ordinal=int(said["ordinal"]),
                text=str(said["text"]),
                start=start,
                end=end,
                length=len(text),
                faithful=text[start:end] == said["text"],
                tokens=len(tokens),
                limit=rule.max_tokens if rule is not None else len(tokens),
            )
        )
    return facts


def _vectors(
    inspection: Inspection,
    read: Read,
    rows: Sequence[Row],
    stored: Mapping[str, StoredPoint],
    facts: list[VectorFacts],
) -> list[Embedded]:
    """Append a fact for each row; returns those whose text is known."""
    with reading(inspection.workspace.catalog.engine) as tx:
        known = chunk_rows.load_embeddings(tx, inspection.model_fp, {row["embed_hash"] for row in rows})
    embedded: list[Embedded] = []
    points: list[StoredPoint] = []
    for row in rows:
        data, point = known.get(row["embed_hash"]), stored.get(row["point_id"])
        if data is None:
            continue
        vector = np.frombuffer(data, dtype="<f2").astype(np.float32)
        finite = bool(np.isfinite(vector).all())
        facts.append(
            VectorFacts(
                source=row["source"],
                document=_uri(read, row),
                ordinal=int(row["chunk"]["ordinal"]),
                dimension=len(vector),
                expected=inspection.dimension,
                finite=finite,
                norm=float(np.linalg.norm(vector)) if inspection.normalised and finite else None,
                stored=None if point is None else _cosine(point.dense, vector),
            )
        )
        if point is not None:
            text = embed_text(row["chunk"]["header"], str(point.payload["text"]))
            embedded.append((len(facts) - 1, text, vector))
            points.append(point)
    _compare_terms(inspection, [text for _, text, _ in embedded], points, [at for at, *_ in embedded], facts)
    return embedded


def _compare_terms(
    inspection: Inspection,
    texts: Sequence[str],
    stored: Sequence[StoredPoint],
    places: Sequence[int],
    facts: list[VectorFacts],
) -> None:
    encoder = inspection.space.sparse
    if encoder is None or not inspection.fitting:
        return
    wanted = encoder.encode(texts, inspection.space.average_length)
    for at, weights, point in zip(places, wanted, stored, strict=True):
        facts[at] = replace(facts[at], terms=_same_terms(point.sparse, weights))


def _same_terms(found: SparseVector | None, wanted: SparseVector) -> bool:
    if found is None:
        return not len(wanted.indices)
    order = np.argsort(found.indices)
    return np.array_equal(found.indices[order], wanted.indices) and np.allclose(
        found.values[order], wanted.values, rtol=1e-3
    )


def _cosine(one: FloatArray | None, other: FloatArray) -> float:
    if one is None or one.shape != other.shape:
        return -1.0
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if np.isfinite(lengths) and lengths > 0 else -1.0


def _embed_again(inspection: Inspection, embedded: Sequence[Embedded], facts: list[VectorFacts]) -> None:
    """Compare a seeded sample with what the model says now.

    Each text alone: a fault that mixes up the order of a batch would mix it up the same way again.
    """
    if not inspection.fitting or not embedded or not inspection.settings.reembedded:
        return
    seed = inspection.settings.seed
    key = {
        at: hashlib.sha256(f"{seed} {text}".encode("utf-8", "replace")).digest() for at, text, _ in embedded
    }
    chosen = sorted(embedded, key=lambda one: key[one[0]])[: inspection.settings.reembedded]
    config = inspection.workspace.configuration.indexes[inspection.candidate.index]
    embedder = inspection.workspace.embedder(config)
    for at, text, vector in chosen:
        facts[at] = replace(facts[at], again=_cosine(embedder.embed([text]).vectors[0], vector))


def _identifiers(
    inspection: Inspection, texts: Sequence[tuple[str, str, str]], ids: Mapping[tuple[str, str], str]
) -> list[IdentifierFacts]:
    """Search the candidate for rare identifiers of its new passages, by their terms alone.

    One that is rare in the change may be so common in the index that passages with many of its parts come
    first: then it has to find its passage within its own document. `ids` name documents by source and uri.
    """
    encoder, candidate = inspection.space.sparse, inspection.candidate
    if encoder is None or not inspection.fitting:
        return []
    facts = []
    for source, document, name in rare_identifiers(
        texts, inspection.settings.identifiers, inspection.settings.seed
    ):
        query = encoder.encode_query(name)
        own = All((candidate.shown, Match("doc_id", ids[source, document])))
        found = any(
            holds(str(hit.payload["text"]), name)
            for condition in (candidate.shown, own)
            for hit in candidate.reader.search(SearchRequest(DEEP, sparse=query, condition=condition))
        )
        whole = name.lower() in encoder.terms(name)
        facts.append(IdentifierFacts(source, document, name, found, whole))
    return facts
