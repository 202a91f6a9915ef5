"""The variants that flags choose, made once each over the searchers that answer everybody."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from rag_pipelines.config.environment import Environment
from rag_pipelines.config.flags import flags_path
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.retrieval import RerankConfig
from rag_pipelines.core.types import Principal
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.rerank import Reranker, open_reranker
from rag_pipelines.retrieval.variants import Variant, make_variant
from rag_pipelines.service.flags import Flags


class Variants:
    """Chooses one for a request; safe to use from several threads."""

    def __init__(self, searchers: Searchers, flags: Flags) -> None:
        self.flags = flags
        self._searchers = searchers
        self._making = threading.Lock()
        self._made: dict[tuple[str, str], tuple[Mapping[str, Any], Variant]] = {}
        self._rerankers: dict[str, Reranker] = {}

    def choose(self, index: str, principal: Principal, request: str) -> Variant | None:
        """None is the index's own settings. A cache of answers must tell variants apart by their fingerprint."""
        name = self.flags.variant(index, principal, request)
        flag = self.flags.current.retrieval.get(index)
        if name is None or flag is None or name not in flag.variants:
            return None
        overlay = flag.variants[name]
        with self._making:
            made = self._made.get((index, name))
            if made is None or made[0] != overlay:
                searcher = self._searchers.get(index)
                variant = make_variant(name, overlay, searcher.config, searcher.parts, self._reranker)
                made = self._made[index, name] = (overlay, variant)
        return made[1]

    def _reranker(self, settings: RerankConfig | None) -> Reranker | None:
        """One a model, however many variants use it."""
        if settings is None:
            return None
        if settings.model not in self._rerankers:
            opened = open_reranker(settings)
            if opened is None:
                return None
            self._rerankers[settings.model] = opened
        return self._rerankers[settings.model]


def open_variants(
    environment: Environment, configuration: Configuration, searchers: Searchers, closing: ExitStack
) -> Variants:
    """Begins to look at the flags; ends with `closing`."""
    config = configuration.service.flags
    path = flags_path(environment.configs, config)
    flags = Flags(path, configuration, config.poll_seconds)
    closing.callback(flags.close)
    flags.start()
    return Variants(searchers, flags)
