"""Late interaction without weights of its own: MaxSim over the token vectors of the bundled embedding model.

Khattab & Zaharia 2020. The model was trained for one vector a passage, not for this, so it is measured here and
not part of the package. Token vectors are not stored: every passage is read anew, as a reranker would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipelines.embedding.models import resolve

MODEL = "bundled:all-MiniLM-L6-v2"
NAME = "MaxSim of the embedding model"


class LateInteraction:
    """Each token of the question counts the nearest token of the passage; the mean of these cosines."""

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        self._model: Any = SentenceTransformer(str(resolve(MODEL).path), device="cpu")

    def score(self, query: str, passages: Sequence[str]) -> npt.NDArray[np.float64]:
        """One number a passage, between -1 and 1."""
        asked, *read = self._tokens([query, *passages])
        return np.array([float((asked @ tokens.T).max(axis=1).mean()) for tokens in read])

    def _tokens(self, texts: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        found = self._model.encode(list(texts), output_value="token_embeddings", show_progress_bar=False)
        return [unit(tokens.numpy()) for tokens in found]


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Each row at length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), np.float32)
