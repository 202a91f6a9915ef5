"""What a reader sees of a version, and when two of them see the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag_pipelines.catalog import versions
from rag_pipelines.core.filters import Condition
from rag_pipelines.core.ports import CollectionReader
from rag_pipelines.core.types import FloatArray
from rag_pipelines_tests.pipeline.zygote import INDEX
from rag_pipelines_tests.project import Project

COSINE = 0.9995
_PLACE = re.compile(r"^file://.*/(docs|more)/")


@dataclass(frozen=True, slots=True)
class Seen:
    """A point as a reader sees it. Left out: `added` and `removed`, which say in which version it was staged."""

    payload: dict[str, Any]
    dense: FloatArray
    terms: tuple[int, ...]


View = Mapping[str, Seen]
"""chunk_id -> point: everything that a version shows."""


def views(project: Project) -> dict[int, View]:
    """Every version that can be read; none before the first was published."""
    with project.searchers() as searchers:
        if versions.pointer(searchers.catalog, INDEX) is None:
            return {}
        searcher = searchers.get(INDEX)
        stored = versions.readable(versions.versions_of(searchers.catalog, INDEX))
        return {row["number"]: look(*searcher.scroll_reader(row["number"])[1:]) for row in stored}


def look(reader: CollectionReader, shown: Condition) -> View:
    """Everything that a reader shows under the condition."""
    found: dict[str, Seen] = {}
    for point in reader.scroll(shown, with_vectors=True):
        payload = {name: value for name, value in point.payload.items() if name not in ("added", "removed")}
        payload["link"] = _PLACE.sub("", payload["link"])
        assert payload["chunk_id"] not in found, "two points of one chunk are visible at once"
        assert point.dense is not None
        terms = () if point.sparse is None else tuple(sorted(point.sparse.indices.tolist()))
        found[payload["chunk_id"]] = Seen(payload, point.dense, terms)
    return found


def assert_same(found: View, wanted: View) -> None:
    """The same points with the same payloads, terms and, but for rounding, vectors."""
    assert {name: seen.payload for name, seen in found.items()} == {
        name: seen.payload for name, seen in wanted.items()
    }
    assert {name: seen.terms for name, seen in found.items()} == {
        name: seen.terms for name, seen in wanted.items()
    }
    for name, seen in found.items():
        lengths = np.linalg.norm(seen.dense) * np.linalg.norm(wanted[name].dense)
        assert float(seen.dense @ wanted[name].dense) >= COSINE * lengths
