"""A stage's fingerprint: code version and those settings that change its output, nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def fingerprint(stage: str, code_version: int, settings: Any) -> str:
    """16 hex digits; equal settings in any key order give the same one.

    `settings` must be JSON-serialisable; anything else raises TypeError instead of guessing.
    """
    canonical = json.dumps(
        [stage, code_version, settings], sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
