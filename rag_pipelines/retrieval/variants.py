"""Other settings of retrieval over the same collection, with the same models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rag_pipelines.config.flags import overlaid
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.retrieval import RerankConfig
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.retrieval.parts import Parts
from rag_pipelines.retrieval.rerank import Reranker


@dataclass(frozen=True, slots=True)
class Variant:
    """What `Searcher.search` takes in place of its own settings; `fingerprint` is of all that changes answers."""

    name: str
    config: IndexConfig
    parts: Parts
    fingerprint: str


def make_variant(
    name: str,
    overlay: Mapping[str, Any],
    config: IndexConfig,
    parts: Parts,
    open_reranker: Callable[[RerankConfig | None], Reranker | None],
) -> Variant:
    """`overlay` is a checked one; `parts` are the index's, of which only a reranker may be another."""
    made = overlaid(config, overlay)
    wanted, own = made.retrieval.rerank, config.retrieval.rerank
    if (wanted and wanted.model) != (own and own.model):
        parts = replace(parts, reranker=open_reranker(wanted))
    mark = fingerprint("variant", 1, {"name": name, "retrieval": made.retrieval.model_dump(mode="json")})
    return Variant(name, made, parts, mark)
