"""Keeps `max_tokens` a hard limit where a cut changes how the model reads the text beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag_pipelines.chunking.atoms import split_words
from rag_pipelines.chunking.cuts import Atom
from rag_pipelines.chunking.headings import Span
from rag_pipelines.chunking.ruler import Ruler
from rag_pipelines.core.ports import Tokenizer

_SURROGATE = re.compile("[\ud800-\udfff]")

Counted = tuple[Span, int]


def bounded(
    rulers: Sequence[Ruler], spans: Sequence[Sequence[Span]], limit: int, tokenizer: Tokenizer
) -> list[list[Counted]]:
    """Every span with its tokens as the model will read it, cut again where that is over the limit.

    A span between white space reads alone as it reads in the document. One that touches a letter (half a word,
    or a script without spaces) may not, so these, and only these, go through the tokenizer again.
    """
    found: list[list[Counted]] = []
    doubtful: list[tuple[int, int, Span]] = []
    for at, (ruler, own) in enumerate(zip(rulers, spans, strict=True)):
        counts = ruler.token_counts([(span.start, span.end) for span in own])
        found.append(list(zip(own, counts, strict=True)))
        doubtful.extend((at, i, span) for i, span in enumerate(own) if _touches(ruler.text, span))
    settled = _settle(rulers, doubtful, limit, tokenizer)
    for at in {at for at, _ in settled}:
        pieces = {piece for i, counted in enumerate(found[at]) for piece in settled.get((at, i), [counted])}
        found[at] = sorted(pieces, key=lambda counted: (counted[0].start, counted[0].end))
    return found


def _touches(text: str, span: Span) -> bool:
    left = span.start > 0 and not _blank(text[span.start - 1])
    return left or (span.end < len(text) and not _blank(text[span.end]))


def _blank(character: str) -> bool:
    """White space to every tokenizer; some drop control characters, and so join the words around a form feed."""
    return character in " \n\t\r" or (character >= "\xa0" and character.isspace())


def _settle(
    rulers: Sequence[Ruler], doubtful: list[tuple[int, int, Span]], limit: int, tokenizer: Tokenizer
) -> dict[tuple[int, int], list[Counted]]:
    settled: dict[tuple[int, int], list[Counted]] = {}
    while doubtful:
        texts = [encodable(rulers[at].text[span.start : span.end]) for at, _, span in doubtful]
        again: list[tuple[int, int, Span]] = []
        for (at, i, span), offsets in zip(doubtful, tokenizer.offsets(texts), strict=True):
            if len(offsets) <= limit or span.end - span.start == 1:
                settled.setdefault((at, i), []).append((span, len(offsets)))
            else:
                again.extend((at, i, half) for half in _halves(rulers[at], span))
        doubtful = again
    return settled


def _halves(ruler: Ruler, span: Span) -> list[Span]:
    ((low, high),) = ruler.bounds([(span.start, span.end)])
    atom = Atom(span.start, span.end, low, high, 0)
    half = max(1, -(-atom.cost // 2))
    pieces = split_words(ruler, atom, half, half) if atom.cost > 1 else []
    if len(pieces) > 1:
        return [Span(piece.start, piece.end, span.parent) for piece in pieces]
    middle = (span.start + span.end) // 2
    trimmed = (ruler.trim(span.start, middle), ruler.trim(middle, span.end))
    return [Span(start, end, span.parent) for start, end in trimmed if start < end]


def encodable(text: str) -> str:
    """The text with lone surrogates, which tokenizers refuse, replaced one for one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
