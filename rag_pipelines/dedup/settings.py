"""What of the settings of near-duplicate detection makes stored results stale."""

from __future__ import annotations

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.core.fingerprints import fingerprint

CODE = 1
"""Raise it with every change that alters a word, a shingle's hash, a signature or a band key."""

SCHEME, SEED = "affine32", 1
"""Of datasketch's permutations: signatures of two schemes or seeds look alike and must never be compared."""


def dedup_fingerprint(settings: DedupConfig) -> str:
    """Of everything that can change which texts count as duplicates; where documents may be apart does not."""
    return fingerprint("dedup", CODE, [SCHEME, SEED, settings.model_dump(mode="json", exclude={"within"})])
