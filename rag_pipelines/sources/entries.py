"""What the trees of the filesystem connector have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from rag_pipelines.core.types import Excluded


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree; `path` is POSIX, relative to the root.

    `etag` is what the store says of the content, `stat` a token that differs once the file was
    written, either None where the store has none; `changed_ns` is the newest time in `stat`.
    """

    path: str
    size: int | None
    modified_ns: int | None = None
    etag: str | None = None
    stat: str | None = None
    changed_ns: int = 0

    @property
    def modified_at(self) -> datetime | None:
        """In UTC; None where unknown or outside the calendar."""
        if self.modified_ns is None:
            return None
        try:
            return datetime.fromtimestamp(self.modified_ns / 1e9, tz=UTC)
        except (OverflowError, ValueError, OSError):
            return None


class Tree(Protocol):
    """The files below a root. Errors are those of the store; the connector translates them."""

    parallel: int

    def walk(self) -> Iterator[Entry | Excluded]:
        """Every file, in a fixed order; raises rather than leave one out."""

    def stat(self, path: str) -> Entry:
        """The file as it is now."""

    def read(self, path: str) -> bytes:
        """Its bytes."""

    def digest(self, path: str) -> str:
        """SHA-256 of its bytes in hex, without holding them."""

    def link(self, path: str) -> str:
        """The full URL."""

    def close(self) -> None:
        """Release connections."""
