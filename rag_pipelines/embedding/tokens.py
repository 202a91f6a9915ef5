"""The model's own tokenizer, without the model: offsets for the chunker, token ids for the backends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rag_pipelines.core.errors import EmbeddingError

if TYPE_CHECKING:
    from tokenizers import Encoding


class ModelTokenizer:
    """Reads `tokenizer.json`. Truncation and padding that the file asks for are off: it may cut at 128."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = _load(path)

    def offsets(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        """For each text an array (tokens, 2) of half-open character spans, without special tokens."""
        encodings = _encode(self._tokenizer.encode_batch, texts, add_special_tokens=False)
        return [np.array(encoding.offsets, np.int32).reshape(-1, 2) for encoding in encodings]


class InputTokenizer:
    """Token ids as the model reads them: special tokens added, cut at `max_length`. Safe in several threads."""

    def __init__(self, path: Path, max_length: int) -> None:
        self._tokenizer = _load(path)
        self._tokenizer.enable_truncation(max_length=max_length)

    def encode(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The ids of each text, and how many texts were longer than the model reads."""
        encodings = _encode(self._tokenizer.encode_batch_fast, texts, add_special_tokens=True)
        return [encoding.ids for encoding in encodings], sum(bool(e.overflowing) for e in encodings)


def _load(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise EmbeddingError(
            f"the tokenizer {path} cannot be read ({error}); make it once with "
            f"`transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _encode(encode_batch: Any, texts: Sequence[str], *, add_special_tokens: bool) -> list[Encoding]:
    """Encode; lone surrogates, which UTF-8 cannot hold, become U+FFFD, so that offsets stay as they are."""
    texts = list(texts)
    try:
        return list(encode_batch(texts, add_special_tokens=add_special_tokens))
    except (TypeError, UnicodeEncodeError):
        cleaned = [without_surrogates(text) for text in texts]
        return list(encode_batch(cleaned, add_special_tokens=add_special_tokens))


def without_surrogates(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD; same length in characters."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
