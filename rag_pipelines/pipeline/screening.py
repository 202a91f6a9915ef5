"""Judges the passages that are staged: which of them may hold instructions for whoever reads them by machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from rag_pipelines.catalog.store import Row
from rag_pipelines.governance.injection import Flag, strongest
from rag_pipelines.index.points import INJECTION
from rag_pipelines.pipeline.workspace import Workspace


def screen_fingerprint(workspace: Workspace) -> str:
    """Changes with the rules, so that every passage is judged again; empty where none is. Raises ConfigError."""
    return workspace.screen.fingerprint if workspace.screen is not None else ""


def screened(
    workspace: Workspace, rows: Sequence[Row], chunks: Mapping[str, Sequence[Row]]
) -> dict[str, list[Row]]:
    """The chunks of the documents, each with its flag or None as `injection`.

    What a passage is shown with counts as well: its title and the headings above it. Raises EmbeddingError where a
    configured classifier cannot be asked.
    """
    screen = workspace.screen
    if screen is None:
        return {doc_id: list(own) for doc_id, own in chunks.items()}
    titles = {row["doc_id"]: row["title"] or PurePosixPath(row["uri"]).name for row in rows}

    def labels(chunk: Row) -> tuple[str, ...]:
        return (titles.get(chunk["doc_id"], ""), *(chunk["heading_path"] or ()))

    texts = _distinct(chunk["text"] for own in chunks.values() for chunk in own)
    shown = _distinct(label for own in chunks.values() for chunk in own for label in labels(chunk))
    of_text = dict(zip(texts, screen.flags(texts), strict=True))
    of_label = dict(zip(shown, screen.flags(shown, short=True), strict=True))

    def flag(chunk: Row) -> Flag | None:
        return strongest([of_text[chunk["text"]], *(of_label[label] for label in labels(chunk))])

    return {
        doc_id: [{**chunk, INJECTION: _told(flag(chunk))} for chunk in own] for doc_id, own in chunks.items()
    }


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _told(flag: Flag | None) -> dict[str, Any] | None:
    return flag.as_json() if flag is not None else None
