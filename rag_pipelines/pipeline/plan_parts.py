"""Bookkeeping of a plan: counts of documents looked at, scaled where only a sample of them was."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from rag_pipelines.catalog.store import Row

OF_DOCUMENTS = frozenset(
    {
        "fetched",
        "parsed",
        "same_bytes",
        "same_text",
        "refused",
        "chunked",
        "chunk_refused",
        "staged_documents",
        "access_applied",
    }
)


class Stratum:
    """Documents of one kind of work, of which at most `capacity` are kept: those with the lowest ids.

    Ids are hashes of where documents lie, so the lowest ones are spread evenly over the source.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._heap: list[tuple[int, Row, float]] = []
        self._weight = 0.0
        self.total = 0

    def add(self, row: Row, weight: float = 1.0) -> None:
        """`weight` is what the document's work is taken to be in proportion to."""
        self.total += 1
        self._weight += weight
        entry = (-int(str(row["doc_id"]).replace("-", ""), 16), row, weight)
        if len(self._heap) < self._capacity:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    @property
    def rows(self) -> list[Row]:
        """The kept ones, by uri."""
        return sorted((row for _, row, _ in self._heap), key=lambda row: str(row["uri"]))

    def part(self) -> Part:
        """An empty tally that knows what the kept ones stand for."""
        kept = len(self._heap)
        if kept == self.total:
            return Part()
        weight = sum(weight for _, _, weight in self._heap)
        return Part(
            self.total / kept, self._weight / weight if weight else self.total / kept, kept, self.total
        )


@dataclass(slots=True)
class Part:
    """What the kept documents of a stratum come to; factors are 1 where none was left out.

    `texts` are those to embed, apart for the two halves of the sample.
    """

    per_document: float = 1.0
    per_chunk: float = 1.0
    kept: int = 0
    of: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    texts: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))

    @property
    def exact(self) -> bool:
        """Whether no document was left out."""
        return self.of == 0

    def add_texts(self, doc_id: str, texts: Iterable[str]) -> None:
        """Texts without a vector that the document will have."""
        self.texts[int(doc_id[-1], 16) % 2].update(texts)

    def scaled(self) -> dict[str, float]:
        """The counts for the whole stratum."""
        return {
            name: value * (self.per_document if name in OF_DOCUMENTS else self.per_chunk)
            for name, value in self.counts.items()
        }


def count_texts(parts: Collection[Part], certain: set[str], planned: set[str]) -> float:
    """How many texts have to be embedded that are not `planned` yet; adds them there.

    From a sample the number is carried on as the sample's own two halves grow into the whole: texts that
    many documents share make it grow slower than the documents do.
    """
    exact = certain.union(*(half for part in parts if part.exact for half in part.texts)) - planned
    planned |= exact
    total = float(len(exact))
    for part in parts:
        if not part.exact:
            first, second = (half - planned for half in part.texts)
            both = first | second
            total += _grown(len(both), (len(first) + len(second)) / 2, part.per_chunk)
            planned |= both
    return total


def _grown(found: int, half: float, factor: float) -> float:
    if not found:
        return 0.0
    growth = min(max(math.log2(found / half), 0.0), 1.0)
    return float(found * factor**growth)


class Quarantine:
    """What is refused of a source, as it will stand after the sync."""

    def __init__(self, inputs: Mapping[tuple[str, str, str], str]) -> None:
        self._inputs: dict[str, dict[tuple[str, str], str]] = {}
        self._beyond = 0.0
        for (doc_id, stage, index), given in inputs.items():
            self._inputs.setdefault(doc_id, {})[stage, index] = given

    def refused(self, doc_id: str, stages: Iterable[str], given: str, index: str = "") -> bool:
        """Whether the same input was refused before."""
        known = self._inputs.get(doc_id, {})
        return any(known.get((stage, index)) == given for stage in stages)

    def add(self, doc_id: str, stage: str, index: str, given: str, factor: float) -> None:
        """Refused now; in a sample it stands for `factor` documents."""
        if doc_id not in self._inputs:
            self._beyond += factor - 1.0
        self._inputs.setdefault(doc_id, {})[stage, index] = given

    def lift(self, doc_id: str, stages: Iterable[str], index: str = "") -> None:
        """The document passes."""
        known = self._inputs.get(doc_id, {})
        for stage in stages:
            known.pop((stage, index), None)
        if not known:
            self._inputs.pop(doc_id, None)

    def forget(self, doc_ids: Iterable[str]) -> None:
        """These are gone."""
        for doc_id in doc_ids:
            self._inputs.pop(doc_id, None)

    @property
    def documents(self) -> int:
        """How many documents are refused somewhere."""
        return len(self._inputs) + round(self._beyond)
