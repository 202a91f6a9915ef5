"""How well a search tells questions with an answer from those without."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.evaluation.running import check_run_of
from rag_pipelines.evaluation.runs import QueryRun, Run
from rag_pipelines.evaluation.suites import Suite


@dataclass(frozen=True, slots=True)
class Abstention:
    """Counts over `answerable` and `unanswerable` queries; an area is None where confidences are missing.

    The other three are None where the search did not decide on every query. `answered_wrongly` are
    questions without an answer that it took for answerable, `abstained_wrongly` the reverse.
    """

    answerable: int
    unanswerable: int
    auroc: float | None
    accuracy: float | None
    answered_wrongly: int | None
    abstained_wrongly: int | None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """`tested` is of the groups that `threshold` was not chosen on; `tuned` counts queries of the others."""

    group_key: str
    threshold: float
    tuned: int
    tested: Abstention


def abstention(suite: Suite, run: Run) -> Abstention | None:
    """Over every query that was asked; None where they are all answerable, or none is."""
    return _measure(
        suite, run.queries, {query_id: query.answerable for query_id, query in run.queries.items()}, run
    )


def _measure(
    suite: Suite, query_ids: Collection[str], decisions: dict[str, bool | None], run: Run
) -> Abstention | None:
    yes = [query_id for query_id in query_ids if suite.queries[query_id].answerable]
    no = [query_id for query_id in query_ids if not suite.queries[query_id].answerable]
    if not yes or not no:
        return None
    positive, negative = _confidences(run.queries, yes), _confidences(run.queries, no)
    auroc = None if positive is None or negative is None else roc_area(positive, negative)
    if any(decisions[query_id] is None for query_id in (*yes, *no)):
        return Abstention(len(yes), len(no), auroc, None, None, None)
    abstained = sum(not decisions[query_id] for query_id in yes)
    answered = sum(bool(decisions[query_id]) for query_id in no)
    accuracy = 1 - (abstained + answered) / (len(yes) + len(no))
    return Abstention(len(yes), len(no), auroc, accuracy, answered, abstained)


def _confidences(queries: dict[str, QueryRun], query_ids: Iterable[str]) -> list[float] | None:
    values = [queries[query_id].confidence for query_id in query_ids]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def roc_area(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Probability that a positive scores above a negative, a tie counting half (Mann & Whitney 1947)."""
    if not len(positive) or not len(negative):
        raise ValueError("needs at least one positive and one negative")
    ordered = np.sort(np.asarray(negative, dtype=np.float64))
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def best_threshold(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The confidence from which answering makes the fewest mistakes; of equally good ones the lowest.

    It stands halfway between two scores that occur, at the lowest where it is best to answer always, and
    just above the highest where it is best never to.
    """
    if not len(positive) or not len(negative):
        raise ValueError("needs at least one positive and one negative")
    ours, others = np.sort(np.asarray(positive, dtype=float)), np.sort(np.asarray(negative, dtype=float))
    scores = np.unique(np.concatenate([ours, others]))
    halfway = scores[:-1] + (scores[1:] - scores[:-1]) / 2
    # Between neighbouring floats there is no halfway.
    halfway = np.where(halfway > scores[:-1], halfway, scores[1:])
    candidates = np.concatenate([scores[:1], halfway, [np.nextafter(scores[-1], math.inf)]])
    mistakes = np.searchsorted(ours, candidates, side="left") + (
        len(others) - np.searchsorted(others, candidates, side="left")
    )
    return float(candidates[int(np.argmin(mistakes))])


def halves(groups: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The groups in two halves, the same on every run; by their hash, since names are often in some order."""
    ordered = sorted(set(groups), key=content_hash)
    middle = (len(ordered) + 1) // 2
    return frozenset(ordered[:middle]), frozenset(ordered[middle:])


def held_out(suite: Suite, run: Run, group_key: str) -> HeldOut:
    """Choose a threshold on half of the groups and measure it on the other half.

    A group is what the query's metadata holds under `group_key`, such as the article it is about: queries
    of one article are alike, and a threshold chosen on some of them would seem better than it is on the rest.
    Raises ConfigError where a query has no group or no confidence, or a half lacks one of the two kinds.
    """
    check_run_of(suite, run)
    groups: dict[str, str] = {}
    for query_id in run.queries:
        value = suite.queries[query_id].metadata.get(group_key)
        if value is None:
            raise ConfigError(
                f"query {query_id} of suite {suite.name} has no metadata {group_key!r} to group it by"
            )
        if run.queries[query_id].confidence is None:
            raise ConfigError(f"the run of {run.label} has no confidence for query {query_id}")
        groups[query_id] = str(value)
    first, _ = halves(groups.values())
    tune = [query_id for query_id in run.queries if groups[query_id] in first]
    test = [query_id for query_id in run.queries if groups[query_id] not in first]
    positive = _confidences(run.queries, [one for one in tune if suite.queries[one].answerable])
    negative = _confidences(run.queries, [one for one in tune if not suite.queries[one].answerable])
    too_few = f"half of the groups by {group_key!r} holds no answerable or no unanswerable query"
    if not positive or not negative:
        raise ConfigError(too_few)
    threshold = best_threshold(positive, negative)
    decisions: dict[str, bool | None] = {
        one: query.confidence is not None and query.confidence >= threshold
        for one, query in run.queries.items()
    }
    tested = _measure(suite, test, decisions, run)
    if tested is None:
        raise ConfigError(too_few)
    return HeldOut(group_key, threshold, len(tune), tested)
