"""Whether a question is answered here: the signs of one search, and what a calibration makes of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rag_pipelines.config.calibration import Calibration, Setting, read_calibration
from rag_pipelines.config.models import IndexConfig, SparseConfig
from rag_pipelines.config.retrieval import AbstentionConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ports import SparseEncoder
from rag_pipelines.core.types import FloatArray
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.retrieval.encoding import QueryEncoder
from rag_pipelines.retrieval.fusion import Ask
from rag_pipelines.retrieval.ranking import Ranked
from rag_pipelines.retrieval.rerank import Reranker, passage_text
from rag_pipelines.retrieval.signs import DEPTH, READ, VERSION, Found, signs

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The signs of one question, empty where nothing was found, and the setting they were read in."""

    setting: Setting
    signs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Judgement:
    """`confidence` is between 0 and 1: the calibration's probability that the question is answered."""

    confidence: float
    answerable: bool


def evidence(
    ask: Ask,
    query: str,
    ranked: Ranked,
    encoder: QueryEncoder,
    config: IndexConfig,
    reranker: Reranker | None,
) -> Evidence:
    """The signs of a finished search; `ask` is the engine's, for each half of it anew.

    The halves are asked with the question's own vector: one drawn towards the first finds would always look
    close to them. At least `READ` passages should have been ranked. Raises EmbeddingError and EngineError.
    """
    terms = encoder.sparse or _plain_terms()
    dense_mode, sparse_mode = (config.retrieval.mode in ("hybrid", half) for half in ("dense", "sparse"))
    embedder = encoder.embedder() if dense_mode else None
    setting = Setting(
        signs=VERSION,
        mode=config.retrieval.mode,
        model=embedder.fingerprint if embedder is not None else None,
        terms=terms.fingerprint,
        reranker=config.retrieval.rerank.model if reranker is not None and config.retrieval.rerank else None,
    )
    best = [group.best for group in ranked.groups[:READ]]
    if not best:
        return Evidence(setting, {})
    request = replace(ranked.request, limit=DEPTH, candidates=DEPTH)
    vector = embedder.embed_query(query) if embedder is not None else None

    def embed(texts: Sequence[str]) -> FloatArray:
        if embedder is None:
            raise TypeError("only searches with a dense half embed sentences")
        return embedder.embed(texts).vectors

    found = Found(
        best,
        ask(replace(request, dense=vector, sparse=None)) if vector is not None else None,
        ask(replace(request, dense=None)) if sparse_mode and request.sparse is not None else None,
        vector,
    )
    language = config.sparse.analyzer if config.sparse is not None else "none"
    values = signs(query, found, terms, language, embed if embedder is not None else None)
    if reranker is not None and setting.reranker is not None:
        values["rerank_best"] = float(reranker.score(query, [passage_text(hit) for hit in best]).max())
    return Evidence(setting, values)


def confidence(calibration: Calibration, values: Mapping[str, float]) -> float:
    """The logistic function of the weighed signs; 0 where nothing was found at all."""
    if not values:
        return 0.0
    total = calibration.intercept + sum(
        sign.weight * (values[name] - sign.mean) / sign.deviation for name, sign in calibration.signs.items()
    )
    return 1 / (1 + math.exp(-total)) if total >= 0 else math.exp(total) / (1 + math.exp(total))


class Abstainer:
    """Judges the searches of one index; the calibration is read with the first of them."""

    def __init__(self, config: AbstentionConfig, root: Path) -> None:
        """`root` is the project's, against which the calibration's path resolves."""
        self._config = config
        self._path = root / config.calibration
        self._warned: set[str] = set()

    @cached_property
    def calibration(self) -> Calibration:
        """As the file has it. Raises ConfigError."""
        if not self._path.is_file():
            raise ConfigError(
                f"retrieval.abstention.calibration names {self._path}, which is not there; `rag-pipelines "
                "calibrate SUITE` writes it, or remove retrieval.abstention"
            )
        return read_calibration(self._path)

    def judge(self, index: str, found: Evidence) -> Judgement | None:
        """None, with a warning in the log, where the calibration was made in another setting.

        A confidence of another model would be a number without meaning, and no answer at all would take the
        index down with every change of the model. Raises ConfigError where the file cannot be read.
        """
        calibration = self.calibration
        problem = found.setting.difference(calibration.setting)
        if problem is None and found.signs and calibration.signs.keys() - found.signs.keys():
            problem = f"no sign {', '.join(sorted(calibration.signs.keys() - found.signs.keys()))}"
        if problem is not None:
            if problem not in self._warned:
                self._warned.add(problem)
                logger.warning(
                    "index=%s answers without confidence: calibration %s was made in another setting (%s); run "
                    "`rag-pipelines calibrate` again",
                    index,
                    self._path,
                    problem,
                )
            return None
        value = confidence(calibration, found.signs)
        given = self._config.threshold
        return Judgement(round(value, 6), value >= (calibration.threshold if given is None else given))


def _plain_terms() -> SparseEncoder:
    return Bm25Encoder(SparseConfig(analyzer="none"))
