"""Where the members of a cluster of duplicates stand, and the reasons, as the ends of sentences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from rag_pipelines.catalog import duplicates as rows
from rag_pipelines.catalog import signatures
from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.types import EVERYONE, Access
from rag_pipelines.dedup import Shingles, covers, dedup_fingerprint, jaccard, preference, shingle
from rag_pipelines.pipeline.deduplicate import as_member
from rag_pipelines.pipeline.workspace import Workspace

MOST_REASONS = 3
"""Representatives that one member is told apart from; others are counted."""

MOST_ENTRIES = 5
CHANGED = "something changed since the last sync, and the next one chooses again"


class Cluster:
    """The cluster of a document as the last sync left it; empty where the document takes no part."""

    def __init__(self, workspace: Workspace, config: IndexConfig, doc_id: str) -> None:
        found = rows.cluster_of(workspace.catalog, config.index, doc_id)
        self.members = {row["doc_id"]: row for row in found}
        self._by_choice = {
            row["doc_id"]: as_member(workspace.configuration, row) for row in self.members.values()
        }
        self._workspace = workspace
        self._settings = config.dedup
        self._near: dict[str, dict[tuple[str, str], float]] = {}
        self._shingles: dict[str, Shingles] = {}

    @cached_property
    def ordered(self) -> list[Row]:
        """The members, best representative first."""
        return [self.members[member.doc_id] for member in preference(self._by_choice.values())]

    def why(self, row: Row) -> str | None:
        """Why the member is the first choice, or stands under its representative; None where it does neither."""
        if not is_kept(row):
            other = self.members[row["representative"]]
            return f"is {_verb(row)} {label(other)}: {self._advantage(other, row)}"
        if row is self.ordered[0] and len(self.ordered) > 1:
            return f"is the first choice: {self._advantage(row, self.ordered[1])}"
        return None

    def apart(self, row: Row) -> Iterator[str]:
        """Why the member does not stand under those that are preferred to its representative, or to itself."""
        before = self.ordered[: self.ordered.index(self.members[row["representative"]])]
        kept = [other for other in before if is_kept(other)]
        for other in kept[:MOST_REASONS]:
            yield f"is not {_verb(row)} {label(other)}: {self._obstacle(row, other)}"
        if len(kept) > MOST_REASONS:
            yield f"is not {_verb(row)} {len(kept) - MOST_REASONS} others for reasons of these kinds"

    def _advantage(self, better: Row, worse: Row) -> str:
        """Why one is preferred to the other."""
        one, other = self._by_choice[better["doc_id"]], self._by_choice[worse["doc_id"]]
        if preference((one, other))[0] is other:
            return CHANGED
        if one.authority != other.authority:
            return (
                f"the authority of {better['source']} is {one.authority}, that of {worse['source']} "
                f"{other.authority}"
            )
        if one.revised_at != other.revised_at:
            return f"{better['uri']} was revised later ({_day(better)}, {worse['uri']} {_day(worse)})"
        return f"of equal authority and revision, the smaller id is that of {label(better)}"

    def _obstacle(self, row: Row, other: Row) -> str:
        """Why the member may not be collapsed into one that is preferred to it."""
        readers, by = access_of(row), access_of(other)
        if not covers(readers, by):
            return lost_readers(readers, by)
        one, two = row["parsed_hash"], other["parsed_hash"]
        if one == two or (min(one, two), max(one, two)) in self._pairs(one):
            return CHANGED
        similarity = jaccard(self._set_of(one), self._set_of(two))
        if similarity >= self._settings.threshold:
            return (
                f"their similarity is {similarity:.3f}, but no band of their signatures agrees (see `bands`)"
            )
        return (
            f"their similarity is {similarity:.3f}, below {self._settings.threshold:g}; others connect them"
        )

    def _pairs(self, text: str) -> dict[tuple[str, str], float]:
        if text not in self._near:
            with reading(self._workspace.catalog.engine) as tx:
                self._near[text] = signatures.pairs_of(tx, dedup_fingerprint(self._settings), [text])
        return self._near[text]

    def _set_of(self, text: str) -> Shingles:
        if text not in self._shingles:
            parsed = self._workspace.blobs.get_parsed(text)
            self._shingles[text] = shingle(parsed.text, self._settings.ngram)
        return self._shingles[text]


def is_kept(row: Row) -> bool:
    """Whether the member stands for itself."""
    return bool(row["representative"] == row["doc_id"])


def label(row: Row) -> str:
    """A document in a sentence."""
    return f"{row['uri']} of {row['source']}"


def lost_readers(readers: Access, by: Access) -> str:
    """Who may read the first and would lose it if only the second were indexed."""
    reasons = []
    if readers.tenant != by.tenant:
        reasons.append(f"tenant {readers.tenant} may not read what belongs to {by.tenant}")
    if by.classification.rank > readers.classification.rank:
        reasons.append(
            f"clearance {readers.classification.value} is enough for it, the other is {by.classification.value}"
        )
    alone = sorted(set(readers.acl) - set(by.acl))
    if EVERYONE not in by.acl and alone:
        shown = ", ".join("everyone" if entry == EVERYONE else entry for entry in alone[:MOST_ENTRIES])
        more = f" and {len(alone) - MOST_ENTRIES} more" if len(alone) > MOST_ENTRIES else ""
        reasons.append(f"{shown}{more} may read it and not the other")
    return "; ".join(reasons)


def _verb(row: Row) -> str:
    return "collapsed into" if row["policy"] == rows.COLLAPSE else "marked as a duplicate of"


def _day(row: Row) -> str:
    revised = row["revised_at"]
    return f"on {revised[:10]} at {revised[11:19]}" if revised else "at an unknown time"
