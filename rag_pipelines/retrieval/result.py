"""What a search returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rag_pipelines.core.types import Passage
from rag_pipelines.retrieval.context import Context
from rag_pipelines.retrieval.explain import Explanation
from rag_pipelines.retrieval.passages import passage_json
from rag_pipelines.retrieval.rerank import Reranking
from rag_pipelines.retrieval.understanding import Understanding


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages of one version, best first.

    `confidence` and `answerable` are None where the index does not abstain, or cannot for want of a calibration
    that fits; where it is not answerable there are passages only if they were asked for. `variant` names the settings
    that answered, where they are not the index's own.
    """

    index: str
    version: int
    passages: tuple[Passage, ...]
    reranking: Reranking | None = None
    explanations: tuple[Explanation, ...] | None = None
    context: Context | None = None
    understanding: Understanding | None = None
    confidence: float | None = None
    answerable: bool | None = None
    variant: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that `search --json` and the service answer.

        `reranking` is there only where a model is configured, `understanding` where anything is done to questions,
        `confidence` and `answerable` where the question was judged.

        Passages have their `explanation` where it was asked for, and so has the answer its `context`.
        """
        told: dict[str, Any] = {} if self.reranking is None else {"reranking": asdict(self.reranking)}
        made = {} if self.context is None else {"context": self.context.as_json()}
        if self.understanding is not None:
            told["understanding"] = self.understanding.as_json()
        if self.confidence is not None:
            told |= {"confidence": round(self.confidence, 6), "answerable": self.answerable}
        if self.variant is not None:
            told["variant"] = self.variant
        passages = [passage_json(passage) for passage in self.passages]
        for passage, explanation in zip(passages, self.explanations or (), strict=False):
            passage["explanation"] = {**asdict(explanation), "matched": list(explanation.matched)}
        return {
            "index": self.index,
            "version": self.version,
            **told,
            "passages": passages,
            **made,
        }
