"""Where the third-party corpora lie that some tests and benchmarks read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_data_or_none(*parts: str) -> Path | None:
    """The path below the shared data folder, or None where it is not there."""
    base = Path(os.environ.get("RAG_SHARED_DATA") or ROOT.parent / "shared" / "data")
    path = base.joinpath(*parts)
    return path if path.exists() else None


def shared_data(*parts: str) -> Path:
    """The path below the shared data folder; skips the test, saying so, where it is not there."""
    path = shared_data_or_none(*parts)
    if path is None:
        pytest.skip(f"third-party corpus {'/'.join(parts)} is not here (set RAG_SHARED_DATA)")
    return path
