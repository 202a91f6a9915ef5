"""Near-duplicates: word n-grams, MinHash signatures, band keys, verification and clusters, as pure functions."""

from __future__ import annotations

from rag_pipelines.dedup.clusters import Member, choose, components, covers, preference
from rag_pipelines.dedup.settings import dedup_fingerprint
from rag_pipelines.dedup.shingles import Shingles, jaccard, shingle
from rag_pipelines.dedup.signatures import Signature, Signer, band_keys, estimate, from_bytes, to_bytes
from rag_pipelines.dedup.verify import Method, Verdict, estimated, verify

__all__ = [
    "Member",
    "Method",
    "Shingles",
    "Signature",
    "Signer",
    "Verdict",
    "band_keys",
    "choose",
    "components",
    "covers",
    "dedup_fingerprint",
    "estimate",
    "estimated",
    "from_bytes",
    "jaccard",
    "preference",
    "shingle",
    "to_bytes",
    "verify",
]
