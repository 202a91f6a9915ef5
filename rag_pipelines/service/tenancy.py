"""Which indexes there are for whoever asks: one that holds another tenant's documents alone is not among them."""

from __future__ import annotations

from fastapi import HTTPException

from rag_pipelines.config.load import suggest
from rag_pipelines.core.types import Principal
from rag_pipelines.service.parts import Parts


def indexes_for(parts: Parts, principal: Principal) -> list[str]:
    """Names, as configured."""
    return [name for name, config in parts.configuration.indexes.items() if config.holds(principal.tenant)]


def index_for(parts: Parts, principal: Principal, name: str) -> str:
    """The index that this name stands for; of one that keeps tenants apart it is that of the principal's own.

    Raises HTTPException: 404 with the nearest name, for another tenant's as for one that there is not.
    """
    known, families = indexes_for(parts, principal), parts.configuration.families
    found = families[name].get(principal.tenant) if name in families else name
    if found not in known:
        named = [family for family, own in families.items() if principal.tenant in own]
        raise HTTPException(404, f"there is no index {name!r}{suggest(name, [*known, *named])}")
    return found
