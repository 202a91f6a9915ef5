"""Makes points again from the catalog: those of any version, without asking the engine or the source."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import recovery
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.catalog.values import storable
from rag_pipelines.config.models import EmbeddingConfig, SparseConfig
from rag_pipelines.core.errors import BlobError, EngineError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ids import content_hash, embed_text
from rag_pipelines.core.ports import Embedder
from rag_pipelines.core.types import Distance, FloatArray, Point
from rag_pipelines.embedding import embedding_fingerprint
from rag_pipelines.embedding.space import space_fingerprint, typed_fields
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.pipeline.embed import pack, unpack
from rag_pipelines.pipeline.payload import access_payload, point_payload
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.retrieval.encoding import fitting_settings

TEXTS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a point should carry: `payload` is all of it, `text` what is embedded."""

    row: Row
    model_fp: str
    payload: Mapping[str, Any]
    text: str


class Rebuilder:
    """Makes the points of one collection; `embedded` counts the vectors that the catalog did not have."""

    def __init__(self, workspace: Workspace, index: str, collection: Row) -> None:
        self.embedded = 0
        self._workspace = workspace
        self._index = index
        self._collection = collection
        self._sparse: Bm25Encoder | None = None
        self._problems: dict[str, str | None] = {}
        self._texts: dict[str, str | None] = {}

    def payloads(self, ids: Sequence[str], texts: Mapping[str, Any]) -> tuple[list[Wanted], dict[str, str]]:
        """What these points should carry, in the order of documents, and why some cannot be told.

        `texts` are what the engine has of some; one that the payload's hash confirms is taken. Else the text
        is a slice of the stored parsed text, or, where that is lost, the chunk's own, if it is the same.
        """
        with reading(self._workspace.catalog.engine) as tx:
            rows = recovery.whole_points(tx, self._collection["collection"], ids)
            shared = recovery.shared_payloads(
                tx, [row["document_key"] for row in rows if row["document_key"]]
            )
        rows.sort(key=lambda row: (row["doc_id"], row["parsed_hash"]))
        made: dict[str, Wanted | str] = {}
        for row in rows:
            stored = texts.get(row["point_id"])
            if isinstance(stored, str):
                made[row["point_id"]] = _wanted(row, shared.get(row["document_key"]), stored, None)
        rows = [row for row in rows if not isinstance(made.get(row["point_id"]), Wanted)]
        slices = [self._slice(row) for row in rows]
        lost = [row["chunk_id"] for row, text in zip(rows, slices, strict=True) if text is None]
        with reading(self._workspace.catalog.engine) as tx:
            spare = recovery.chunk_texts(tx, self._index, lost)
        for row, text in zip(rows, slices, strict=True):
            made[row["point_id"]] = _wanted(
                row, shared.get(row["document_key"]), text, spare.get(row["chunk_id"])
            )
        wanted = [part for part in made.values() if isinstance(part, Wanted)]
        return wanted, {name: part for name, part in made.items() if isinstance(part, str)}

    def points(self, wanted: Sequence[Wanted]) -> tuple[list[Point], dict[str, str]]:
        """The points themselves, and why some cannot be made.

        Vectors come from the catalog; one that it lacks is computed, and stays. Raises EmbeddingError.
        """
        problems = {
            part.row["point_id"]: problem for part in wanted if (problem := self._unfit(part.model_fp))
        }
        able = [part for part in wanted if part.row["point_id"] not in problems]
        vectors: dict[str, FloatArray] = {}
        for model_fp in sorted({part.model_fp for part in able}):
            mine = [part for part in able if part.model_fp == model_fp]
            found, problem = self._vectors(model_fp, mine)
            vectors |= found
            problems |= {
                part.row["point_id"]: problem
                for part in mine
                if problem is not None and part.row["embed_hash"] not in found
            }
        able = [part for part in able if part.row["point_id"] not in problems]
        sparse: Sequence[Any] = [None] * len(able)
        if self._sparse is not None:
            sparse = self._sparse.encode([part.text for part in able], self._collection["average_length"])
        points = [
            Point(part.row["point_id"], vectors[part.row["embed_hash"]], terms, part.payload)
            for part, terms in zip(able, sparse, strict=True)
        ]
        return points, problems

    def _slice(self, row: Row) -> str | None:
        """The chunk's text; None where the artifact is lost or damaged, or nothing says where the chunk lies."""
        if row["chunk"] is None:
            return None
        parsed = self._parsed_text(row["parsed_hash"])
        return storable(parsed[row["chunk"]["start"] : row["chunk"]["end"]]) if parsed is not None else None

    def _parsed_text(self, name: str) -> str | None:
        """None where the artifact is lost or damaged. The last few are kept: neighbours share one."""
        if name not in self._texts:
            while len(self._texts) >= TEXTS_KEPT:
                del self._texts[next(iter(self._texts))]
            try:
                self._texts[name] = self._workspace.blobs.get_parsed(name).text
            except BlobError:
                self._texts[name] = None
        return self._texts[name]

    def _unfit(self, model_fp: str) -> str | None:
        """Why this program's vectors of the model do not belong into the collection, if so."""
        if model_fp not in self._problems:
            self._problems[model_fp] = self._prepare(model_fp)
        return self._problems[model_fp]

    def _prepare(self, model_fp: str) -> str | None:
        stored = self._collection["vectors"]
        built_with = stored.get("built_with")
        if built_with is None:
            return "its collection does not say what it was built with; sync builds a new one"
        if built_with["sparse"] is not None:
            self._sparse = Bm25Encoder(SparseConfig.model_validate(built_with["sparse"]))
        mark = space_fingerprint(
            model_fp,
            stored["dimension"],
            Distance(stored["distance"]),
            self._sparse.fingerprint if self._sparse is not None else None,
            tuple(stored["keyword_fields"]),
            typed_fields(stored),
        )
        if mark != self._collection["space_fp"]:
            return "this program weighs terms otherwise than the one that built the collection; sync builds a new one"
        return None

    def _vectors(self, model_fp: str, wanted: Sequence[Wanted]) -> tuple[dict[str, FloatArray], str | None]:
        """embed_hash -> vector; where some are missing, and cannot be computed, why."""
        texts = {part.row["embed_hash"]: part.text for part in wanted}
        unit = self._collection["vectors"]["distance"] == Distance.COSINE.value
        with reading(self._workspace.catalog.engine) as tx:
            stored = chunk_rows.load_embeddings(tx, model_fp, texts)
        problem = None
        missing = sorted(texts.keys() - stored.keys())
        if missing:
            try:
                embedder = self._embedder(model_fp)
            except EngineError as error:
                problem = f"the catalog lacks its vector: {error}"
            else:
                batch = embedder.embed([texts[name] for name in missing])
                fresh = {name: pack(vector) for name, vector in zip(missing, batch.vectors, strict=True)}
                with self._workspace.catalog.begin() as tx:
                    chunk_rows.save_embeddings(tx, model_fp, fresh)
                fault_point("reconcile.embedded")
                self.embedded += len(fresh)
                stored |= fresh
        return {name: unpack(vector, unit=unit) for name, vector in stored.items()}, problem

    def _embedder(self, model_fp: str) -> Embedder:
        """The model that the collection was built with, which need not be the configured one."""
        config = self._workspace.configuration.indexes[self._index]
        fingerprint_of = partial(embedding_fingerprint, models_dir=self._workspace.environment.models_dir)
        settings: EmbeddingConfig = fitting_settings(self._collection, config, fingerprint_of)[0]
        if settings == config.embedding:
            return self._workspace.embedder(config)
        name = f"{self._index}@{model_fp}"
        return self._workspace.embedder(config.model_copy(update={"index": name, "embedding": settings}))


def _wanted(row: Row, shared: Mapping[str, Any] | None, text: str | None, spare: str | None) -> Wanted | str:
    """What the row should look like in the engine, or why that cannot be told."""
    if row["chunk"] is None or row["document_key"] is None or row["embed_hash"] is None:
        return "it was staged before the catalog kept what points are made of; reindex its source"
    if shared is None or not row["known"]:
        return "the catalog has lost its document, or what the document's points share; reindex its source"
    lost = f"the parsed text {row['parsed_hash']} is lost"
    chosen = text if text is not None else spare
    if chosen is None:
        return f"{lost}; restore the blobs, or sync the source"
    payload = point_payload({**row["chunk"], "text": chosen}, shared)
    if hash_of(payload) != row["payload_hash"]:
        if text is None:
            return f"{lost}, and the chunk is another by now; restore the blobs"
        return "what the catalog holds does not give the payload that was staged; reindex its source"
    return Wanted(
        row,
        str(shared["model"]).rpartition("@")[2],
        {**payload, **access_payload(row), "added": row["added"], "removed": row["removed"]},
        embed_text(row["chunk"]["header"], chosen),
    )


def hash_of(payload: Mapping[str, Any]) -> str:
    """As `points.payload_hash`: of the versioned payload, without rights, `added` and `removed`."""
    return content_hash(json.dumps(payload, sort_keys=True))


def alike(left: Any, right: Any) -> bool:
    """Equal but for the last bits of a float, which the embedded engine may change."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right or math.isclose(left, right, rel_tol=1e-12)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(alike(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    return bool(left == right)


def sound(vector: FloatArray | None, dimension: int) -> bool:
    """Whether a stored vector can have been written by this program: there, whole, finite and not zero."""
    if vector is None or vector.shape != (dimension,):
        return False
    length = float(np.dot(vector, vector))
    return math.isfinite(length) and length > 0
