"""Which points a document needs, against those that the catalog knows; reads and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rag_pipelines.catalog.store import Row
from rag_pipelines.core.ids import content_hash, embed_text, point_id
from rag_pipelines.core.types import CURRENT, Point
from rag_pipelines.pipeline.payload import access_payload, chunk_record, document_payload, point_payload
from rag_pipelines.pipeline.space import Space


@dataclass(slots=True)
class PointChanges:
    """What one batch of documents changes in the engine."""

    points: list[Point] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    never_seen: list[str] = field(default_factory=list)
    documents: dict[str, Row] = field(default_factory=dict)

    def settle(self) -> None:
        """A point that is written again under its own id is not taken out."""
        written = {point.point_id for point in self.points}
        self.retired = [name for name in self.retired if name not in written]
        self.never_seen = [name for name in self.never_seen if name not in written]


def compare_points(
    space: Space, number: int, row: Row, chunks: Sequence[Row], current: Sequence[Row], changes: PointChanges
) -> None:
    """Compare the wanted points of one document with those the catalog knows."""
    document = document_payload(row, space)
    document_key = content_hash(json.dumps(document, sort_keys=True))
    changes.documents[document_key] = document
    in_force = {point["chunk_id"]: point for point in current if point["removed"] == CURRENT}
    for point in current:
        if point["removed"] != CURRENT:
            (changes.never_seen if point["added"] == number else changes.retired).append(point["point_id"])
    for chunk in chunks:
        payload = point_payload(chunk, document)
        payload_hash = content_hash(json.dumps(payload, sort_keys=True))
        known = in_force.get(chunk["chunk_id"])
        if known is not None:
            if known["payload_hash"] == payload_hash and not known["dirty"] and known["document_key"]:
                del in_force[chunk["chunk_id"]]
                continue
            if known["added"] == number:
                del in_force[chunk["chunk_id"]]
        name = point_id(chunk["chunk_id"], number)
        changes.rows.append(
            {
                "collection": space.collection,
                "point_id": name,
                "chunk_id": chunk["chunk_id"],
                "doc_id": row["doc_id"],
                "source": row["source"],
                "added": number,
                "payload_hash": payload_hash,
                "parsed_hash": row["parsed_hash"],
                "embed_hash": chunk["embed_hash"],
                "document_key": document_key,
                "chunk": chunk_record(chunk),
                "injection": (chunk.get("injection") or {}).get("score"),
                "embed_text": embed_text(chunk["header"], chunk["text"]),
            }
        )
        changes.points.append(
            Point(
                name,
                space.no_vector,
                None,
                {**payload, **access_payload(row), "added": number, "removed": CURRENT},
            )
        )
    for point in in_force.values():
        (changes.never_seen if point["added"] == number else changes.retired).append(point["point_id"])


def key_to_stage(space: Space, row: Row, dirty: Collection[str]) -> str | None:
    """The key that the document is staged under, where its points may have to change; else None.

    `row` as from `staged.stage_state`; `dirty` are documents that an interrupted staging left.
    """
    key = staged_key(space, row)
    settled = (
        key == row["i_staged_key"] and row["i_collection"] == space.collection and row["doc_id"] not in dirty
    )
    return None if settled else key


def staged_key(space: Space, row: Row) -> str:
    """Changes whenever a document's points have to be looked at; `row` as from `staged.stage_state`."""
    if not row["live"]:
        return "gone"
    document = document_payload(row, space)
    wanted = [row["i_chunked_from"], row["i_chunk_fp"], document, space.screen_fp]
    return content_hash(json.dumps(wanted, sort_keys=True))
