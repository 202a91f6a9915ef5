"""A version that is staged and seen by nobody yet, open for those who judge it."""

from __future__ import annotations

from dataclasses import dataclass

from rag_pipelines.catalog.versions import Pointer
from rag_pipelines.core.filters import Condition
from rag_pipelines.core.ports import CollectionReader
from rag_pipelines.retrieval.search import Searcher


@dataclass(frozen=True, slots=True)
class Candidate:
    """`shown` is the condition of the version's points; `live` is what it would replace, None at first.

    `reader` reads the copy that readers would open, before they do; `searcher` asks it as they would.
    """

    index: str
    number: int
    collection: str
    reader: CollectionReader
    shown: Condition
    searcher: Searcher
    live: Pointer | None
