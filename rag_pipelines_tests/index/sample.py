"""Points and conditions for the tests of the engines: seeded, with every shape of payload."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from rag_pipelines.core.filters import (
    All,
    AnyOf,
    Condition,
    DateRange,
    Exists,
    HasId,
    Match,
    MatchAny,
    Not,
    Range,
)
from rag_pipelines.core.types import CURRENT, FloatArray, Point, SparseVector, VectorSpace
from rag_pipelines_tests.index.oracle import matches

DIMENSION = 24
SPACE = VectorSpace(
    dimension=DIMENSION,
    keyword_fields=("meta.language", "meta.tags"),
    integer_fields=("meta.year",),
    datetime_fields=("modified_at",),
    float_fields=("ratio",),
    boolean_fields=("meta.draft",),
)
PLANE = VectorSpace(dimension=2)
GROUPS = tuple(f"group:{n}" for n in range(6))
LANGUAGES = ("de", "en", "fr")
TAGS = ("api", "guide", "release", "security")
DATES = ("2023-06-30T23:30:00+02:00", "2024-02-29", "2024-12-31T08:00:00Z", "2025-01-01T00:00:00")


def make_id(number: int) -> str:
    """A UUID that is a function of the number but not in its order."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def unit(seed: int, dimension: int = DIMENSION) -> FloatArray:
    """A random vector of unit length."""
    vector = np.random.default_rng(seed).normal(size=dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def terms(weights: Mapping[int, float]) -> SparseVector:
    """A sparse vector from term id to weight."""
    ids = sorted(weights)
    return SparseVector(np.array(ids, np.uint32), np.array([weights[i] for i in ids], np.float32))


def make_points(count: int, seed: int = 1) -> list[Point]:
    """Points with versions, rights, lists, dates, booleans, and each field missing on some of them."""
    rng = random.Random(seed)
    return [
        Point(
            point_id=make_id(seed * 1_000_000 + n),
            dense=unit(seed * 1_000_000 + n),
            sparse=None if n % 5 == 0 else terms({rng.randrange(40): rng.uniform(0.2, 2) for _ in range(6)}),
            payload=make_payload(rng, n),
        )
        for n in range(count)
    ]


def make_payload(rng: random.Random, number: int) -> dict[str, Any]:
    """One random payload in the layout of the index."""
    added = rng.randint(1, 6)
    meta: dict[str, Any] = {
        "language": rng.choice(LANGUAGES),
        "tags": rng.sample(TAGS, rng.randint(0, 3)),
        "year": rng.randint(2018, 2026),
        "draft": rng.random() < 0.3,
        "sizes": [rng.randint(0, 9) for _ in range(rng.randint(0, 3))],
    }
    payload: dict[str, Any] = {
        "doc_id": make_id(number // 4),
        "source": f"source{number % 3}",
        "tenant": f"tenant{number % 2}",
        "acl": rng.sample(GROUPS, rng.randint(0, 3)),
        "classification_rank": rng.randint(0, 3),
        "added": added,
        "removed": rng.choice([CURRENT, CURRENT, added + rng.randint(1, 4)]),
        "modified_at": rng.choice(DATES),
        "number": number,
        "ratio": round(rng.random(), 3),
        "meta": {key: value for key, value in meta.items() if rng.random() < 0.8},
    }
    if rng.random() < 0.2:
        del payload["modified_at"]
    return payload


def make_condition(rng: random.Random, ids: list[str], depth: int = 3) -> Condition:
    """A random condition of any kind, nested up to `depth`."""
    if depth and rng.random() < 0.5:
        inner = tuple(make_condition(rng, ids, depth - 1) for _ in range(rng.randint(0, 3)))
        compound: list[Condition] = [All(inner), AnyOf(inner), Not(make_condition(rng, ids, depth - 1))]
        return rng.choice(compound)
    low = rng.randint(2017, 2026)
    simple: list[Condition] = [
        Match("tenant", f"tenant{rng.randrange(3)}"),
        Match("acl", rng.choice(GROUPS)),
        Match("meta.tags", rng.choice(TAGS)),
        Match("meta.year", low),
        Match("meta.draft", rng.random() < 0.5),
        Match("meta.nowhere.at", "all"),
        MatchAny("acl", tuple(rng.sample(GROUPS, rng.randint(0, 3)))),
        MatchAny("meta.language", ("en", "xx")),
        MatchAny("meta.sizes", (1, 2, 3)),
        MatchAny("meta.nowhere", ("a",)),
        Range("meta.year", gte=low, lt=low + rng.randint(0, 5)),
        Range("meta.sizes", gt=rng.randint(0, 9)),
        Range("ratio", lte=rng.random()),
        Range("classification_rank", lte=rng.randint(0, 3)),
        Range("meta.nowhere", gte=0),
        Range("number", gt=10.5, lt=90),
        DateRange("modified_at", gte=rng.choice(DATES)),
        DateRange("modified_at", lte=rng.choice(DATES)),
        DateRange("modified_at", gte="2024-02-29", lte="2024-12-31"),
        DateRange("modified_at", gt=rng.choice(DATES)),
        DateRange("modified_at", lt=rng.choice(DATES)),
        Exists(rng.choice(("modified_at", "meta.year", "meta.sizes", "meta.nowhere", "meta.nowhere.at"))),
        HasId(tuple(rng.sample(ids, rng.randint(0, 5)))),
    ]
    return rng.choice(simple)


def plane_point(number: int, x: float, y: float, **payload: object) -> Point:
    """A point of the two-dimensional space without terms."""
    return Point(make_id(number), np.array([x, y], np.float32), None, payload)


def exact_order(points: list[Point], query: FloatArray, condition: Condition) -> list[str]:
    """The ids of the matching points by brute force, best first."""
    found = [p for p in points if matches(condition, p.point_id, p.payload)]
    found.sort(key=lambda p: -float(p.dense.astype(np.float64) @ query.astype(np.float64)))
    return [p.point_id for p in found]
