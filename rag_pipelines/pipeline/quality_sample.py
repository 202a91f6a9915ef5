"""What a candidate is inspected with, and which of its documents are looked at."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from rag_pipelines.catalog import collection_rows, quality_rows, recovery
from rag_pipelines.catalog.quality_rows import Shown
from rag_pipelines.catalog.store import reading
from rag_pipelines.config.quality import QualityConfig
from rag_pipelines.core.types import Distance
from rag_pipelines.embedding.models import resolve
from rag_pipelines.pipeline.candidates import Candidate
from rag_pipelines.pipeline.space import Space, open_space
from rag_pipelines.pipeline.workspace import Workspace

AT_LEAST = 50
"""So many documents of each source are taken before a large source gets more."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A candidate with what its points were made with.

    `live` are the points that readers see now. `comparable` says that both versions have vectors of one model.
    """

    workspace: Workspace
    candidate: Candidate
    settings: QualityConfig
    space: Space
    now: Shown
    live: Shown | None
    comparable: bool
    normalised: bool

    @property
    def model_fp(self) -> str:
        """Of the candidate's vectors."""
        return self.space.model_fp

    @property
    def dimension(self) -> int:
        """Of the candidate's vectors."""
        return self.space.vectors.dimension

    @property
    def unit(self) -> bool:
        """Whether the engine holds them at unit length."""
        return self.space.unit

    @property
    def filter_fields(self) -> tuple[str, ...]:
        """Metadata that queries may filter on."""
        return tuple(self.workspace.configuration.indexes[self.candidate.index].filter_types)

    @property
    def fitting(self) -> bool:
        """Whether the configured model and analyzer are those of the candidate.

        They are not where the YAML was edited after the candidate was staged; the next sync builds another.
        """
        return self.space.collection == self.candidate.collection


def inspect(workspace: Workspace, candidate: Candidate, settings: QualityConfig) -> Inspection:
    """Open what the candidate's points were made with."""
    space = open_space(workspace, candidate.index)
    now = Shown(candidate.collection, candidate.number)
    live = Shown(candidate.live.collection, candidate.live.version) if candidate.live else None
    embedding = workspace.configuration.indexes[candidate.index].embedding
    normalised = embedding.distance is Distance.COSINE or (
        embedding.provider == "local" and resolve(embedding.model).normalize
    )
    comparable = live is not None and _model_of(workspace, live) == space.model_fp
    return Inspection(workspace, candidate, settings, space, now, live, comparable, normalised)


def _model_of(workspace: Workspace, shown: Shown) -> str | None:
    """The fingerprint of the model that a version's vectors are of, as its points state it."""
    rows = quality_rows.sampled_points(workspace.catalog, shown, 1, "")
    with reading(workspace.catalog.engine) as tx:
        if collection_rows.collection_row(tx, shown.collection) is None:
            return None
        found = recovery.shared_payloads(tx, [row["document_key"] for row in rows if row["document_key"]])
    models = [str(payload.get("model", "")) for payload in found.values()]
    return models[0].rpartition("@")[2] if models else None


def chosen_documents(changed: Mapping[str, tuple[str, int]], settings: QualityConfig) -> list[str]:
    """The documents to look at: all, or within the limits a seeded sample in which every source has its part.

    `changed` maps each document to its source and its points.
    """
    order = {doc_id: hashlib.sha256(f"{settings.seed} {doc_id}".encode()).digest() for doc_id in changed}
    by_source: dict[str, list[str]] = defaultdict(list)
    for doc_id in sorted(changed, key=order.__getitem__):
        by_source[changed[doc_id][0]].append(doc_id)
    late = {doc_id: at >= AT_LEAST for names in by_source.values() for at, doc_id in enumerate(names)}
    chosen: list[str] = []
    points = 0
    for doc_id in sorted(changed, key=lambda name: (late[name], order[name])):
        if len(chosen) >= settings.max_documents or (chosen and points >= settings.max_points):
            break
        chosen.append(doc_id)
        points += changed[doc_id][1]
    return chosen
