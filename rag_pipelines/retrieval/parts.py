"""What an index's configuration adds to its searches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.policy import PolicyConfig
from rag_pipelines.core.ports import Tokenizer
from rag_pipelines.governance.injection_policy import InjectionPolicy
from rag_pipelines.retrieval.abstention import Abstainer
from rag_pipelines.retrieval.expansion import TextOf
from rag_pipelines.retrieval.remembered import Memories
from rag_pipelines.retrieval.rerank import Reranker, open_reranker
from rag_pipelines.retrieval.understanding import Understander, open_understander


@dataclass(frozen=True, slots=True)
class Parts:
    """Opened once an index and shared by all of its searches; what is None is not configured.

    `text_of` reads stored texts for what is shown around a hit, `tokenizer` measures contexts, `policy` says what
    becomes of passages that are suspect.
    """

    text_of: TextOf
    tokenizer: Callable[[], Tokenizer]
    policy: InjectionPolicy
    reranker: Reranker | None = None
    understander: Understander | None = None
    abstainer: Abstainer | None = None

    def close(self) -> None:
        """Release connections."""
        if self.understander is not None:
            self.understander.close()


def open_parts(
    config: IndexConfig,
    root: Path,
    policy: PolicyConfig,
    text_of: TextOf,
    tokenizer: Callable[[], Tokenizer],
    memories: Memories | None = None,
) -> Parts:
    """The parts of one index; `root` is the project's folder. Loads no model. Raises ConfigError."""
    return Parts(
        text_of,
        tokenizer,
        InjectionPolicy(policy.injection, config.index),
        open_reranker(config.retrieval.rerank),
        open_understander(config, root, memories),
        Abstainer(config.retrieval.abstention, root) if config.retrieval.abstention is not None else None,
    )
