"""Which language a document is written in."""

from __future__ import annotations

from functools import cache
from typing import Any

from rag_pipelines.core.types import ElementKind, ParsedDocument

VERSION = 2

_LETTERS = 600
_MIN_LETTERS = 20
_MIN_CONFIDENCE = 0.5


def detect_language(document: ParsedDocument) -> str | None:
    """ISO 639-1 code of the document; None where it has too little prose or the answer is uncertain.

    Where the beginning, which may be a title page, leaves it open, the middle is asked.
    """
    for start in (0, len(document.text) // 2):
        sample = sample_of(document, start)
        language = None if sample is None else language_of(sample)
        if language is not None:
            return language
    return None


def sample_of(document: ParsedDocument, start: int = 0) -> str | None:
    """600 characters that are not code, from `start` on; None where they hold too few letters to tell."""
    taken: list[str] = []
    size = 0
    for element in document.elements:
        if element.kind is ElementKind.CODE or element.start < start:
            continue
        part = document.text[element.start : min(element.end, element.start + _LETTERS - size)]
        taken.append(part)
        size += len(part)
        if size >= _LETTERS:
            break
    sample = "\n".join(taken)
    return sample if sum(map(str.isalpha, sample)) >= _MIN_LETTERS else None


def language_of(sample: str) -> str | None:
    """ISO 639-1 code; the first call loads a model of about 90 MB, which takes half a second."""
    label, confidence = _identifier().classify(sample)
    return str(label) if confidence >= _MIN_CONFIDENCE and label != "zxx" else None


def preload() -> None:
    """Load the model now."""
    _identifier()


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
