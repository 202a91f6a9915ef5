"""Identity and content hashes. Changing anything here orphans every stored index."""

from __future__ import annotations

import hashlib
import uuid

NAMESPACE = uuid.UUID("6f1d1f5e-5c0f-5f0e-9a53-6d2f0f7f3b1a")


def content_hash(data: bytes | str) -> str:
    """SHA-256 in hex of bytes, or of text as UTF-8 (lone surrogates kept)."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return hashlib.sha256(raw).hexdigest()


def document_id(source: str, uri: str) -> str:
    """UUIDv5, stable under edits: a function of where the document lies, not of what it says."""
    name = f"{source}\n{uri}".encode("utf-8", "surrogatepass")
    return str(uuid.UUID(bytes=hashlib.sha1(NAMESPACE.bytes + name).digest()[:16], version=5))


def chunk_id(doc_id: str, text_hash: str, occurrence: int) -> str:
    """Stable under insertions above: `occurrence` counts earlier chunks of the document with equal text."""
    return str(uuid.uuid5(uuid.UUID(doc_id), f"{text_hash}\n{occurrence}"))


def point_id(chunk: str, added: int) -> str:
    """A chunk that leaves and comes back is another point, so that old versions keep theirs."""
    return str(uuid.uuid5(uuid.UUID(chunk), str(added)))


def shard_of(doc_id: str, shards: int) -> int:
    """Which of a source's partitions holds the document; uniform, since UUIDv5 is a hash."""
    return int(doc_id.replace("-", "")[-8:], 16) % shards


def partition_key(source: str, shard: int) -> str:
    """`handbook/07`: flat, sortable, one per shard of a source."""
    return f"{source}/{shard:02d}"


def embed_text(header: str, text: str) -> str:
    """What is embedded of a chunk, and what `embed_hash` names: the two must never disagree."""
    return f"{header}\n{text}" if header else text
