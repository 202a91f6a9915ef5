"""Clusters of duplicates, and which of their members stand for which others without hiding a text from anyone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from rag_pipelines.core.types import EVERYONE, Access


@dataclass(frozen=True, slots=True)
class Member:
    """A document of a cluster. Of two sources the one of greater `authority` is the source of truth.

    `revised_at` None counts as older than any date; without a zone it is taken as UTC.
    """

    doc_id: str
    authority: int
    revised_at: datetime | None
    access: Access


def covers(readers_of: Access, by: Access) -> bool:
    """Whether everyone who may read the first may read the second.

    The operator apart, nobody reads a document without an acl: within its tenant and tier any other covers it.
    """
    return (
        readers_of.tenant == by.tenant
        and by.classification.rank <= readers_of.classification.rank
        and (EVERYONE in by.acl or set(readers_of.acl) <= set(by.acl))
    )


def components(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """The connected components of a graph given by its edges: each sorted, in order of their first members."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in pairs:
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    found: dict[str, list[str]] = {}
    for node in sorted(parent):
        found.setdefault(root(node), []).append(node)
    return sorted(tuple(members) for members in found.values())


def preference(members: Iterable[Member]) -> list[Member]:
    """Best representative first: greatest authority, then newest revision, then least doc_id."""
    return sorted(
        members, key=lambda member: (-member.authority, -_seconds(member.revised_at), member.doc_id)
    )


def choose(members: Iterable[Member], near: Callable[[str, str], bool] | None = None) -> dict[str, str]:
    """Each member's doc_id -> that of its representative; its own where it is kept.

    In order of preference a member collapses into the first one kept before it that everyone who may read the
    member may read too; where there is none, it is kept. So a representative is always kept, and nobody loses a
    text. Given `near`, a member collapses only into one that it is near to itself: a chain of small edits
    connects texts whose ends have little in common.
    """
    kept: list[Member] = []
    chosen: dict[str, str] = {}
    for member in preference(members):
        representative = next(
            (
                other.doc_id
                for other in kept
                if covers(member.access, other.access) and (near is None or near(member.doc_id, other.doc_id))
            ),
            None,
        )
        if representative is None:
            kept.append(member)
        chosen[member.doc_id] = representative or member.doc_id
    return chosen


def _seconds(moment: datetime | None) -> float:
    if moment is None:
        return float("-inf")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
