"""How well near-duplicates are found: against labels, against a comparison of every pair, and beside datasketch."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.core.types import EVERYONE, Access, Classification
from rag_pipelines.dedup import (
    Member,
    Method,
    Shingles,
    Signature,
    Signer,
    Verdict,
    band_keys,
    choose,
    components,
    estimate,
    jaccard,
    shingle,
    verify,
)
from rag_pipelines_tests.benchmarks.near_duplicate_speed import sketches, word_sets
from rag_pipelines_tests.benchmarks.scatter import scatter_svg

THRESHOLDS = (0.7, 0.8, 0.9)
BANDS = ((16, 8), (25, 5))
ROUNDING = 0.5e-4 + 1e-9
OPEN = Access("benchmark", Classification.PUBLIC, (EVERYONE,))

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pages:
    """Texts by path with their shingles and signatures, and exact similarities of labelled and of all pairs."""

    texts: dict[str, str]
    sets: dict[str, Shingles]
    signatures: dict[str, Signature]
    labels: dict[Pair, float]
    alike: dict[Pair, float]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our exact similarity beside the labels; `beyond_rounding` counts pairs that differ by more than it can."""

    pairs: int
    largest_difference: float
    beyond_rounding: int


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one threshold and banding; `compared` is the share of candidates whose shingles were fetched."""

    pairs: str
    threshold: float
    bands: int
    rows: int
    exact: bool
    positives: int
    candidate_precision: float
    precision: float
    recall: float
    compared: float


@dataclass(frozen=True, slots=True)
class Error:
    """Estimate minus exact similarity over so many pairs."""

    who: str
    pairs: str
    count: int
    rmse: float
    bias: float
    largest: float


@dataclass(frozen=True, slots=True)
class Collapse:
    """What clusters come to where everybody may read everything."""

    rule: str
    documents: int
    kept: int
    unlike_representative: int
    least_similarity: float


def ordered(a: str, b: str) -> Pair:
    """A pair as a key."""
    return (a, b) if a < b else (b, a)


def read_pages(folder: Path, settings: DedupConfig) -> Pages:
    """Everything below the folder that the comparison needs. Raises OSError."""
    lines = (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    paths = sorted(
        {row[side] for row in rows for side in "ab"}
        | {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    )
    texts = {path: (folder / path).read_text(encoding="utf-8", errors="replace") for path in paths}
    sets = {path: shingle(text, settings.ngram) for path, text in texts.items()}
    signer = Signer(settings)
    return Pages(
        texts,
        sets,
        {path: signer.sign(one) for path, one in sets.items()},
        {ordered(row["a"], row["b"]): row["jaccard5"] for row in rows},
        similar_pairs(sets, min(THRESHOLDS)),
    )


def measure_agreement(pages: Pages) -> Agreement:
    """Labels have four digits."""
    wrong = [abs(jaccard(pages.sets[a], pages.sets[b]) - label) for (a, b), label in pages.labels.items()]
    return Agreement(len(wrong), max(wrong, default=0.0), sum(one > ROUNDING for one in wrong))


def similar_pairs(sets: dict[str, Shingles], floor: float) -> dict[Pair, float]:
    """Every pair with at least that similarity, by comparing all whose sizes allow it."""
    by_size = sorted(sets, key=lambda path: (sets[path].size, path))
    found = {}
    for place, a in enumerate(by_size):
        for b in by_size[place + 1 :]:
            if sets[a].size < floor * sets[b].size:
                break
            similarity = jaccard(sets[a], sets[b])
            if similarity >= floor:
                found[ordered(a, b)] = similarity
    return found


def candidates(pages: Pages, settings: DedupConfig) -> set[Pair]:
    """The pairs that share a band."""
    buckets: dict[tuple[int, int], list[str]] = defaultdict(list)
    for path, signature in pages.signatures.items():
        for key in band_keys(signature, settings):
            buckets[key].append(path)
    return {ordered(a, b) for bucket in buckets.values() for a, b in combinations(bucket, 2)}


def verified(pages: Pages, pairs: set[Pair], settings: DedupConfig) -> tuple[set[Pair], int]:
    """Those that are duplicates, and for how many the shingles were fetched."""
    verdicts: dict[Pair, Verdict] = {}
    for a, b in pairs:
        sets = (pages.sets[a], pages.sets[b])
        verdicts[a, b] = verify(pages.signatures[a], pages.signatures[b], partial(_given, sets), settings)
    fetched = sum(verdict.method is Method.EXACT for verdict in verdicts.values())
    return {pair for pair, verdict in verdicts.items() if verdict.duplicate}, fetched


def _given(sets: tuple[Shingles, Shingles]) -> tuple[Shingles, Shingles]:
    return sets


def measure_quality(pages: Pages, base: DedupConfig) -> list[Quality]:
    """The whole chain, over the labelled pairs and over all."""
    results = []
    for threshold in THRESHOLDS:
        for bands, rows in BANDS:
            for exact in (True, False):
                settings = base.model_copy(
                    update={"threshold": threshold, "bands": bands, "rows": rows, "exact": exact}
                )
                near = candidates(pages, settings)
                found, fetched = verified(pages, near, settings)
                for name, scope, truth in (
                    ("labelled", set(pages.labels), pages.labels),
                    ("all", None, pages.alike),
                ):
                    right = {pair for pair, similarity in truth.items() if similarity >= threshold}
                    seen = near if scope is None else near & scope
                    hits = found if scope is None else found & scope
                    results.append(
                        Quality(
                            name,
                            threshold,
                            bands,
                            rows,
                            exact,
                            len(right),
                            share(seen & right, seen),
                            share(hits & right, hits),
                            share(hits & right, right),
                            fetched / max(1, len(near)),
                        )
                    )
    return results


def share(part: set[Pair], whole: set[Pair]) -> float:
    """1 where there is nothing to be wrong about."""
    return len(part) / len(whole) if whole else 1.0


def measure_errors(pages: Pages, settings: DedupConfig) -> list[Error]:
    """Of ours and of plain datasketch; pairs that are equal or share nothing cannot go wrong, so also without."""
    plain = sketches(word_sets(list(pages.texts.values()), settings.ngram), settings)
    minhashes = dict(zip(pages.texts, plain, strict=True))
    exact = np.array([jaccard(pages.sets[a], pages.sets[b]) for a, b in pages.labels])
    estimates = {
        "this package": np.array(
            [estimate(pages.signatures[a], pages.signatures[b]) for a, b in pages.labels]
        ),
        "datasketch": np.array([minhashes[a].jaccard(minhashes[b]) for a, b in pages.labels]),
    }
    between = (exact > 0.05) & (exact < 1)
    results = []
    for who, found in estimates.items():
        for name, chosen in (("labelled", np.ones(exact.size, np.bool_)), ("labelled, .05 < s < 1", between)):
            wrong = (found - exact)[chosen]
            if wrong.size:
                rmse = float(np.sqrt((wrong**2).mean()))
                results.append(
                    Error(who, name, wrong.size, rmse, float(wrong.mean()), float(np.abs(wrong).max()))
                )
    return results


def measure_collapse(pages: Pages, settings: DedupConfig) -> list[Collapse]:
    """Whole clusters, and only into a representative that is itself similar."""
    found, _ = verified(pages, candidates(pages, settings), settings)
    members = [Member(path, 0, None, OPEN) for path in pages.texts]
    cluster_of = {path: number for number, cluster in enumerate(components(found)) for path in cluster}
    whole = {
        path: representative
        for cluster in components(found)
        for path, representative in choose(Member(path, 0, None, OPEN) for path in cluster).items()
    }
    results = []
    for rule, chosen in (
        ("whole cluster", whole),
        ("similar pair", choose(members, lambda a, b: (min(a, b), max(a, b)) in found)),
    ):
        gone = {path: representative for path, representative in chosen.items() if path != representative}
        similar = [jaccard(pages.sets[a], pages.sets[b]) for a, b in gone.items()]
        if not all(cluster_of[a] == cluster_of[b] for a, b in gone.items()):
            raise AssertionError("a document collapsed out of its cluster")
        unlike = sum(similarity < settings.threshold for similarity in similar)
        kept = len(pages.texts) - len(gone)
        results.append(Collapse(rule, len(pages.texts), kept, unlike, min(similar, default=1.0)))
    return results


def plot(pages: Pages, settings: DedupConfig) -> str:
    """Estimates against exact values, with three standard errors on either side."""
    points = [
        (jaccard(pages.sets[a], pages.sets[b]), estimate(pages.signatures[a], pages.signatures[b]))
        for a, b in pages.labels
    ]
    grid = np.linspace(0, 1, 101)
    spread = 3 * np.sqrt(grid * (1 - grid) / settings.permutations)
    curves = [
        list(zip(grid.tolist(), np.clip(grid + sign * spread, 0, 1).tolist(), strict=True))
        for sign in (-1, 0, 1)
    ]
    return scatter_svg(
        f"MinHash estimate, {settings.permutations} permutations",
        "exact Jaccard similarity",
        "estimate",
        points,
        curves,
    )
