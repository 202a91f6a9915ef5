"""What exists for whoever asks: how much of an index they may read, and which sources they may know of."""

from __future__ import annotations

from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import EngineError, NotFound, NotPublished
from rag_pipelines.core.types import Access, Principal
from rag_pipelines.governance.access import may_read
from rag_pipelines.index.points import SOURCE
from rag_pipelines.retrieval.documents import Totals, count_readable
from rag_pipelines.service.parts import Parts
from rag_pipelines.service.tenancy import indexes_for

MOST_SOURCES = 10_000
"""Of one index, those that are no longer configured and still have points among them."""


def totals_of(parts: Parts, index: str, principal: Principal, version: int | None = None) -> Totals | None:
    """What the principal may read of a version; None where that cannot be read, or the engine is away."""
    try:
        return count_readable(parts.searchers.get(index), principal, version)
    except (EngineError, NotFound, NotPublished):
        return None


def known_sources(parts: Parts, principal: Principal) -> list[str]:
    """Sources whose own rights admit the principal, and those of which they may read a document.

    A connector may give a document wider or narrower rights than its source has. Engines that are away add none.
    """
    configured = parts.configuration.sources
    readable = _read_in(parts, principal)
    return [name for name, config in configured.items() if admits(principal, config) or name in readable]


def admits(principal: Principal, config: SourceConfig) -> bool:
    """Whether the rights that documents of the source have, unless its connector says otherwise, let them in."""
    return may_read(principal, Access(config.tenant, config.classification, config.acl))


def _read_in(parts: Parts, principal: Principal) -> set[str]:
    """Sources of which a published version has a document that the principal may read."""
    found: set[str] = set()
    for index in indexes_for(parts, principal):
        try:
            with parts.searchers.get(index).reach(principal) as (_, reach):
                values = reach.reader.facet(SOURCE, reach.readable, MOST_SOURCES)
                found |= {str(value) for value, _ in values}
        except (EngineError, NotPublished):
            continue
    return found
