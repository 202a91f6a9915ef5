"""Compares stored artifacts with the rows that refer to them, both ways."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from rag_pipelines.catalog import recovery, signatures, upkeep
from rag_pipelines.core.faults import fault_point
from rag_pipelines.dedup import band_keys, dedup_fingerprint, from_bytes
from rag_pipelines.pipeline.workspace import Workspace

MARK = 16
"""Hex digits of a name that are compared: eight bytes a name, so that millions fit into memory."""


def lost_parsed(workspace: Workspace) -> set[str]:
    """Parsed artifacts of live documents that the blob store does not have."""
    stored = _marks(workspace.blobs.iterate())
    seen: set[str] = set()
    for name in recovery.parsed_documents(workspace.catalog):
        if name not in seen and not _holds(stored, name) and not workspace.blobs.exists(name):
            seen.add(name)
    return seen


def remove_unreferenced(workspace: Workspace) -> tuple[int, int]:
    """Delete the artifacts that no row of any index refers to; returns how many, and their bytes as stored.

    A sync stores an artifact before the row that names it: callers keep syncs out for as long as this runs.
    """
    needed = _marks(upkeep.artifact_names(workspace.catalog))
    blobs = workspace.blobs
    removed = size = 0
    for name in [name for name in blobs.iterate() if not _holds(needed, name)]:
        size += blobs.size(name) or 0
        blobs.delete(name)
        fault_point("vacuum.artifact_deleted")
        removed += 1
    blobs.remove_leftovers()
    return removed, size


def forget_signatures(workspace: Workspace) -> None:
    """Delete what was remembered of texts that no document has any more, and of settings that no index has.

    To be called before their artifacts are deleted: a text whose signature is there may be looked up.
    """
    settings = {
        dedup_fingerprint(config.dedup): config.dedup for config in workspace.configuration.indexes.values()
    }
    with workspace.catalog.begin() as tx:
        signatures.forget_settings(tx, settings)
    fault_point("vacuum.settings_forgotten")
    for name, config in settings.items():
        while True:
            with workspace.catalog.begin() as tx:
                found = signatures.unused_texts(tx, name)
                keys = {
                    text: band_keys(from_bytes(data, config), config) if data is not None else []
                    for text, data in found.items()
                }
                signatures.forget_texts(tx, name, keys)
            fault_point("vacuum.signatures_forgotten")
            if not found:
                break


def _marks(names: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Sorted first halves of the names. Two names that share one are taken for each other: too much is kept."""
    found = np.fromiter((int(name[:MARK], 16) for name in names), dtype=np.uint64)
    return np.unique(found)


def _holds(marks: npt.NDArray[np.uint64], name: str) -> bool:
    mark = np.uint64(int(name[:MARK], 16))
    place = int(np.searchsorted(marks, mark))
    return place < len(marks) and bool(marks[place] == mark)
