"""From a question to the sections that its answer shows, whoever asks: service, terminal and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.retrieval import ContextConfig
from rag_pipelines.core.filters import All, Condition
from rag_pipelines.core.ports import CollectionReader
from rag_pipelines.core.stages import stage
from rag_pipelines.retrieval.abstention import Evidence, Judgement, evidence
from rag_pipelines.retrieval.encoding import QueryEncoder
from rag_pipelines.retrieval.expansion import Section, plain
from rag_pipelines.retrieval.explain import Explanation
from rag_pipelines.retrieval.grouping import Group
from rag_pipelines.retrieval.locations import Reach
from rag_pipelines.retrieval.parts import Parts
from rag_pipelines.retrieval.ranking import Ranked, explanations, rank
from rag_pipelines.retrieval.selection import select
from rag_pipelines.retrieval.suspects import demoted
from rag_pipelines.retrieval.understanding import Asked, Understander, Understanding


@dataclass(frozen=True, slots=True)
class Answer:
    """Sections in their final order, and the ranking that they were taken from."""

    sections: list[Section]
    ranked: Ranked

    def evidence(
        self, reader: CollectionReader, encoder: QueryEncoder, query: str, config: IndexConfig, parts: Parts
    ) -> Evidence:
        """The signs that the question would be judged by."""
        ranked = self.ranked
        asked = ranked.understanding.question if ranked.understanding is not None else query
        return evidence(reader.search, asked, ranked, encoder, config, parts.reranker)

    def judged(
        self, reader: CollectionReader, encoder: QueryEncoder, query: str, config: IndexConfig, parts: Parts
    ) -> Judgement | None:
        """Whether the question is answered here; None where the index does not judge."""
        if parts.abstainer is None:
            return None
        with stage("judge"):
            return parts.abstainer.judge(config.index, self.evidence(reader, encoder, query, config, parts))

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
    parts: Parts,
    settings: ContextConfig,
    least: int = 0,
) -> Answer:
    """At most k sections: the best groups as they are, or what `settings` choose and show of more of them.

    At least so many groups as `least` are ranked, where there are as many.

    A reranker orders the first search; what later ones add to it stands behind.
    """
    understood = _understood(parts.understander, query, reach, encoder)
    if not settings.selects:
        depth = max(k, least) + reach.policy.places
        ranked = rank(reach, encoder, query, depth, condition, config, parts.reranker, understood)
        ranked = replace(ranked, groups=demoted(ranked.groups, reach.policy)[: max(k, least)])
        return Answer([plain(group) for group in ranked.groups[:k]], ranked)
    rankings: list[Ranked] = []

    def find(further: Condition, limit: int) -> list[Group]:
        reading, narrowed = None if rankings else parts.reranker, All((condition, further))
        depth = limit if rankings else max(limit, least)
        more = depth + reach.policy.places
        ranked = rank(reach, encoder, query, more, narrowed, config, reading, understood)
        rankings.append(replace(ranked, groups=demoted(ranked.groups, reach.policy)[:depth]))
        return rankings[-1].groups[:limit]

    sections = select(find, k, reach, settings, config, parts.text_of)
    groups = [group for ranked in rankings for group in ranked.groups]
    return Answer(sections, replace(rankings[0], groups=groups))


def _understood(
    understander: Understander | None, query: str, reach: Reach, encoder: QueryEncoder
) -> Understanding | None:
    """Once a question, however many searches it takes: a rewriter is asked over the network."""
    if understander is None:
        return None
    with stage("understand"):
        return understander.understand(
            query, Asked(reach.reader, encoder.sparse, reach.readable, reach.scope)
        )
