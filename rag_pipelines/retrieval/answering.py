"""From a question to the sections that its answer shows, whoever asks: service, terminal and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.retrieval import ContextConfig
from rag_pipelines.core.filters import All, Condition
from rag_pipelines.retrieval.encoding import QueryEncoder
from rag_pipelines.retrieval.expansion import Section, TextOf, plain
from rag_pipelines.retrieval.explain import Explanation
from rag_pipelines.retrieval.grouping import Group
from rag_pipelines.retrieval.locations import Reach
from rag_pipelines.retrieval.ranking import Ranked, explanations, rank
from rag_pipelines.retrieval.rerank import Reranker
from rag_pipelines.retrieval.selection import select


@dataclass(frozen=True, slots=True)
class Answer:
    """Sections in their final order, and the ranking that they were taken from."""

    sections: list[Section]
    ranked: Ranked

    def explained(
        self, reach: Reach, encoder: QueryEncoder, query: str, config: IndexConfig
    ) -> tuple[Explanation, ...]:
        """Why each section stands where it does: the places of its best hit in every ranking."""
        found = dict(
            zip(
                (group.best.point_id for group in self.ranked.groups),
                explanations(self.ranked, reach, encoder, query, config),
                strict=True,
            )
        )
        return tuple(found[section.group.best.point_id] for section in self.sections)


def answer(
    reach: Reach,
    encoder: QueryEncoder,
    query: str,
    k: int,
    condition: Condition,
    config: IndexConfig,
    reranker: Reranker | None,
    settings: ContextConfig,
    text_of: TextOf,
) -> Answer:
    """At most k sections: the best groups as they are, or what `settings` choose and show of more of them.

    A reranker orders the first search; what later ones add to it stands behind.
    """
    if not settings.selects:
        ranked = rank(reach, encoder, query, k, condition, config, reranker)
        return Answer([plain(group) for group in ranked.groups], ranked)
    rankings: list[Ranked] = []

    def find(further: Condition, limit: int) -> list[Group]:
        reading = None if rankings else reranker
        rankings.append(rank(reach, encoder, query, limit, All((condition, further)), config, reading))
        return rankings[-1].groups

    sections = select(find, k, reach, settings, config, text_of)
    groups = [group for ranked in rankings for group in ranked.groups]
    return Answer(sections, replace(rankings[0], groups=groups))
