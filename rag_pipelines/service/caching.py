"""Results of searches that were asked before, for those who may see exactly the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rag_pipelines.catalog.revisions import Revision, revision
from rag_pipelines.config.limits import MEGABYTE, CacheConfig
from rag_pipelines.core.types import Principal
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.remembered import Memory, digest
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.service.schemas import SearchBody

HEADER = "X-Cache"
OBJECTS = 3
"""Memory that a result takes, over the length of its JSON; measured."""


class ResultCache:
    """Keeps results of the live version. Safe to use from several threads.

    A result is kept under everything that it depends on: the index's revision in the catalog, whoever asks with all
    that they hold, and the whole request. The catalog is asked for the revision every time, so that what a sync has
    written down counts from that moment.
    """

    def __init__(self, config: CacheConfig, searchers: Searchers) -> None:
        self._searchers = searchers
        self._memory: Memory[SearchResult] | None = None
        if config.result_megabytes:
            most = config.result_megabytes * MEGABYTE
            self._memory = Memory(config.result_entries, config.result_seconds, most, _size)

    @property
    def memory(self) -> Memory[SearchResult] | None:
        """With the figures; None where nothing is kept."""
        return self._memory

    def cached(
        self,
        principal: Principal,
        index: str,
        body: SearchBody,
        search: Callable[[], SearchResult],
        variant: str = "",
    ) -> tuple[SearchResult, bool]:
        """What `search` would answer, and whether it was kept; `variant` names whatever else changes the answer.

        Not kept are earlier versions, what is asked while something is written in place, and what a snapshot answers
        that the service is about to leave.
        """
        now = self._current(index, body)
        if now is None or self._memory is None:
            return search(), False
        key = _key(now, principal, index, body, variant)
        found = self._memory.get(key)
        if found is not None:
            return found, True
        result = search()
        if result.version == now.version:
            self._memory.put(key, result)
        return result, False

    def _current(self, index: str, body: SearchBody) -> Revision | None:
        """The revision that both the catalog and the open snapshot are at; None where there is no such thing."""
        if self._memory is None:
            return None
        pointer = self._searchers.get(index).pointer
        sources = self._searchers.configuration.sources_of(index)
        now = revision(self._searchers.catalog, index, sources) if pointer is not None else None
        if now is None or pointer is None or now.changing or now.generation != pointer.generation:
            return None
        return now if body.version in (None, now.version) else None


def _key(now: Revision, principal: Principal, index: str, body: SearchBody, variant: str) -> bytes:
    scope: dict[str, Any] = {
        "subject": principal.subject,
        "tenant": principal.tenant,
        "groups": sorted(set(principal.groups)),
        "clearance": principal.clearance.value,
        "unrestricted": principal.unrestricted,
    }
    asked = body.model_dump(mode="json")
    return digest(
        index,
        f"{now.version} {now.generation} {now.changes}",
        json.dumps(scope, sort_keys=True),
        json.dumps(asked, sort_keys=True),
        variant,
    )


def _size(result: SearchResult) -> int:
    return OBJECTS * len(json.dumps(result.as_json(), default=str))
