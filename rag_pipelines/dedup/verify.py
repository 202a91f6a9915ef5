"""Whether a candidate pair is one: band keys alone let through about as many wrong pairs as right ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.dedup.shingles import Shingles, jaccard
from rag_pipelines.dedup.signatures import Signature, estimate

STANDARD_ERRORS = 3
"""How far from the threshold an estimate has to be to decide by itself."""


class Method(StrEnum):
    """How a similarity was found."""

    EXACT = "exact"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`similarity` is Jaccard's, from 0 to 1; `duplicate` where it reaches the threshold."""

    duplicate: bool
    similarity: float
    method: Method


def margin(settings: DedupConfig) -> float:
    """The distance from the threshold within which an estimate does not decide."""
    spread = settings.threshold * (1 - settings.threshold) / settings.permutations
    return STANDARD_ERRORS * math.sqrt(spread)


def verify(
    a: Signature, b: Signature, shingles: Callable[[], tuple[Shingles, Shingles]], settings: DedupConfig
) -> Verdict:
    """The verdict on a pair, the same whichever comes first.

    `shingles` gives the sets of both texts and is called only where the exact similarity is wanted: for every
    pair if the settings say exact, otherwise for an estimate within `margin` of the threshold.
    """
    if not settings.exact:
        verdict = estimated(a, b, settings)
        if abs(verdict.similarity - settings.threshold) > margin(settings):
            return verdict
    similarity = jaccard(*shingles())
    return Verdict(similarity >= settings.threshold, similarity, Method.EXACT)


def estimated(a: Signature, b: Signature, settings: DedupConfig) -> Verdict:
    """The verdict by the signatures alone."""
    similarity = estimate(a, b)
    return Verdict(similarity >= settings.threshold, similarity, Method.ESTIMATE)
