"""The mass-delete breaker: what is missing from a complete listing is deleted, moved, or held for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_pipelines.config.models import SourceLimits


@dataclass(frozen=True, slots=True)
class Verdict:
    """`deleted` are document ids that go now, `moved` of them under another uri; `held` are (doc_id, uri)."""

    deleted: tuple[str, ...]
    moved: int
    held: tuple[tuple[str, str], ...] = ()
    reason: str = ""


def divide(
    limits: SourceLimits,
    live: int,
    listed: int,
    gone: Sequence[tuple[str, str, str]],
    added: Mapping[str, str],
) -> Verdict:
    """Decide about the missing documents (doc_id, uri, version) of a source that had `live` ones before.

    A document whose version came back under a new uri in the same listing (`added`: doc_id -> version)
    has moved and is not counted as deleted. An empty listing never deletes.
    """
    arrivals = Counter(added.values())
    moved: list[str] = []
    deleted: list[tuple[str, str]] = []
    for doc_id, uri, version in gone:
        if arrivals[version] > 0:
            arrivals[version] -= 1
            moved.append(doc_id)
        else:
            deleted.append((doc_id, uri))
    reason = _reason(limits, live, listed, len(deleted))
    if reason:
        return Verdict(tuple(moved), len(moved), tuple(deleted), reason)
    return Verdict((*moved, *(doc_id for doc_id, _ in deleted)), len(moved))


def _reason(limits: SourceLimits, live: int, listed: int, deleted: int) -> str:
    if not deleted:
        return ""
    if listed == 0:
        return f"the listing was empty, while {live} documents are known"
    if deleted > limits.max_delete_fraction * live and deleted >= limits.max_delete_floor:
        return (
            f"{deleted} of {live} documents are missing from the listing, more than {limits.max_delete_fraction:.0%} "
            f"and at least {limits.max_delete_floor}"
        )
    return ""
