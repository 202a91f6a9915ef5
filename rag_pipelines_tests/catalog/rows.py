"""Rows as the pipeline writes them, with a default for everything that a test does not care about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag_pipelines.catalog import documents
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.ids import chunk_id, content_hash, document_id
from rag_pipelines.core.types import Chunk

SOURCE = "handbook"
INDEX = "knowledge"
FIRST, SECOND = "knowledge_aaaa", "knowledge_bbbb"
LIMITS = "limits1"
PARSERS = {".md": "markdown1", ".pdf": "pdf1"}
SINCE = "2026-01-01T00:00:00.000+00:00"


def listed(uri: str, version: str = "v1", **values: Any) -> dict[str, Any]:
    """A document as a listing gives it."""
    source = values.get("source", SOURCE)
    return {
        "doc_id": document_id(source, uri),
        "source": source,
        "shard": 0,
        "uri": uri,
        "kind": uri[uri.rindex(".") :] if "." in uri else "",
        "live": True,
        "version": version,
        "metadata": {},
        "tenant": "acme",
        "classification": "internal",
        "acl": ["group:staff"],
        "row_hash": content_hash(version),
        "size": 100,
        "modified_at": None,
        "seen_at": SINCE,
        **values,
    }


def parsed(
    row: Mapping[str, Any], parse_fp: str = "markdown1", text: str = "", **values: Any
) -> dict[str, Any]:
    """What the parser makes of a document; `text` stands for the parsed artifact."""
    return {
        "doc_id": row["doc_id"],
        "raw_version": row["version"],
        "raw_hash": content_hash(row["version"]),
        "parse_fp": parse_fp,
        "parsed_hash": content_hash(text or row["version"]),
        "parser": "markdown",
        "media_type": "text/markdown",
        "title": None,
        "language": "en",
        **values,
    }


def refused(row: Mapping[str, Any], stage: str, given: str, **values: Any) -> dict[str, Any]:
    """A document that a stage refused, for the input `given`."""
    return {
        "doc_id": row["doc_id"],
        "stage": stage,
        "index_name": "",
        "source": row["source"],
        "shard": row["shard"],
        "uri": row["uri"],
        "reason": "is encrypted",
        "input": given,
        "since": SINCE,
        **values,
    }


def chunk(doc_id: str, ordinal: int, text: str, header: str = "", tokens: int = 3) -> Chunk:
    """A chunk of a text of distinct passages."""
    text_hash = content_hash(text)
    return Chunk(
        chunk_id=chunk_id(doc_id, text_hash, 0),
        doc_id=doc_id,
        ordinal=ordinal,
        text=text,
        start=ordinal * 100,
        end=ordinal * 100 + len(text),
        text_hash=text_hash,
        embed_hash=content_hash(f"{header}\n{text}" if header else text),
        tokens=tokens,
        heading_path=("Guide", "Leave"),
        header=header,
    )


def save(catalog: Catalog, *rows: Mapping[str, Any], parse: bool = False) -> None:
    """Record listed documents; with `parse`, their text as well."""
    with catalog.begin() as tx:
        for source in sorted({str(row["source"]) for row in rows}):
            register_source(tx, source, 4)
        documents.save_listed(tx, rows)
        if parse:
            documents.save_parsed(tx, [parsed(row) for row in rows])


def quarantine(catalog: Catalog, *rows: Mapping[str, Any]) -> None:
    """Record refusals."""
    with catalog.begin() as tx:
        documents.save_quarantined(tx, rows)


def due(
    catalog: Catalog,
    shards: Sequence[int] = (0, 1, 2, 3),
    parsers: Mapping[str, str] = PARSERS,
    limits: str = LIMITS,
) -> list[str]:
    """Uris of the documents that must be parsed."""
    return sorted(row["uri"] for row in documents.parse_due(catalog, SOURCE, shards, parsers, limits))


def collection(name: str = FIRST, index: str = INDEX, space: str = "space1") -> dict[str, Any]:
    """A collection of an index before its first snapshot."""
    return {
        "collection": name,
        "index_name": index,
        "space_fp": space,
        "average_length": 12.5,
        "vectors": {"dimension": 4},
        "snapshots": [],
        "created_at": SINCE,
    }


def point(name: str, added: int, doc_id: str = "doc", **values: Any) -> dict[str, Any]:
    """A point of the first collection as staging intends it."""
    return {
        "collection": FIRST,
        "point_id": name,
        "chunk_id": f"chunk-{name}",
        "doc_id": doc_id,
        "source": SOURCE,
        "added": added,
        "payload_hash": "payload",
        "parsed_hash": f"text of {name}",
        **values,
    }
