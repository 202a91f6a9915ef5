"""What a point carries. Rights stand apart: they are set in place and belong to no version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.store import Row
from rag_pipelines.chunking import chunker_name
from rag_pipelines.core.ids import content_hash
from rag_pipelines.index.points import INJECTION
from rag_pipelines.pipeline.space import Space

LAYOUT = 1
"""Raised whenever points of the same documents would be written differently."""

CHUNK_FIELDS = (
    "chunk_id",
    "ordinal",
    "start",
    "end",
    "page",
    "heading_path",
    "text_hash",
    "parent_start",
    "parent_end",
)


ACCESS_FIELDS = ("tenant", "classification", "classification_rank", "acl")


def access_payload(row: Row) -> dict[str, Any]:
    """Tenant, classification and acl of a document row."""
    access = access_of(row)
    return {
        "tenant": access.tenant,
        "classification": access.classification.value,
        "classification_rank": access.classification.rank,
        "acl": list(access.acl),
    }


def access_key(row: Row) -> str:
    """Changes with the rights of a document and with nothing else."""
    return access_digest(access_payload(row))


def access_digest(payload: Mapping[str, Any]) -> str:
    """Of what `access_payload` says, as `access_key` has it; a point's own fields must have the same."""
    return content_hash(json.dumps(payload, sort_keys=True))


def document_payload(row: Row, space: Space) -> dict[str, Any]:
    """What all points of a document share; without a title the file's name stands in for it."""
    rule = space.rule_for(row["source"], row["media_type"] or "")
    return {
        "doc_id": row["doc_id"],
        "source": row["source"],
        "uri": row["uri"],
        "title": row["title"] or PurePosixPath(row["uri"]).name,
        "link": row["link"],
        "revision": row["revision"] or row["version"],
        "modified_at": row["revised_at"],
        "parsed_hash": row["parsed_hash"],
        "parser": row["parser"],
        "chunker": chunker_name(rule),
        "model": space.model,
        "media_type": row["media_type"],
        "language": row["language"],
        "meta": row["metadata"],
    }


def point_payload(chunk: Row, document: Mapping[str, Any]) -> dict[str, Any]:
    """The versioned payload of one chunk; `injection` only where it is suspect, so that the others stay as they are."""
    own = {name: chunk[name] for name in CHUNK_FIELDS}
    return {**document, "text": chunk["text"], **own, **_flag(chunk)}


def chunk_record(chunk: Row) -> dict[str, Any]:
    """What the catalog keeps of a chunk beside its point; the text is a slice of the document's parsed text."""
    return {**{name: chunk[name] for name in (*CHUNK_FIELDS, "header")}, **_flag(chunk)}


def _flag(chunk: Row) -> dict[str, Any]:
    return {INJECTION: chunk[INJECTION]} if chunk.get(INJECTION) else {}
