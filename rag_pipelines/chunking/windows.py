"""The strategies that slide a window: over tokens, and over sentences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rag_pipelines.chunking.atoms import BLOCK, SOLID, split
from rag_pipelines.chunking.cuts import Atom
from rag_pipelines.chunking.headings import Span
from rag_pipelines.chunking.ruler import Ruler
from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.types import Element


def by_tokens(ruler: Ruler, elements: Sequence[Element], rule: ChunkingRule) -> list[Span]:
    """Windows of `max_tokens` that share `overlap_tokens`, whatever the structure.

    An edge inside a word moves back to the word's start where that is near: half a word reads as other tokens.
    """
    units = ruler.units
    last, size = len(units), rule.max_tokens
    words: list[int] = ruler.word_units(0, last).tolist()
    found: list[Span] = []
    begin = stop = 0
    while stop < last or not found:
        stop = last if begin + size >= last else _word_start(words, begin + size, size // 8)
        low = int(units[begin]) if begin else 0
        high = int(units[stop]) if stop < last else len(ruler.text)
        start, end = ruler.trim(low, high)
        if start < end:
            found.append(Span(start, end))
        elif stop >= last:
            break
        begin = _word_start(words, stop - rule.overlap_tokens, size // 8)
    return found


def _word_start(words: list[int], at: int, slack: int) -> int:
    """The last unit up to `at` that starts a word, or `at` itself where that is more than `slack` away."""
    index = bisect_right(words, at) - 1
    return words[index] if index >= 0 and words[index] >= at - slack else at


def by_sentences(ruler: Ruler, elements: Sequence[Element], rule: ChunkingRule) -> list[Span]:
    """Windows of `window_sentences`, a new one every `stride_sentences`, none over `max_tokens`.

    A table or code block that fits counts as one sentence. A window closed early by its size is
    followed by one that leaves no sentence out.
    """
    sentences = [atom for element in elements for atom in _sentences(ruler, element, rule.max_tokens)]
    found: list[Span] = []
    begin = stop = 0
    while stop < len(sentences):
        stop = begin + 1
        furthest = min(begin + rule.window_sentences, len(sentences))
        while stop < furthest and sentences[stop].high - sentences[begin].low <= rule.max_tokens:
            stop += 1
        found.append(Span(sentences[begin].start, sentences[stop - 1].end))
        begin = min(begin + rule.stride_sentences, stop)
    return found


def _sentences(ruler: Ruler, element: Element, limit: int) -> list[Atom]:
    if element.kind in SOLID:
        ((low, high),) = ruler.bounds([(element.start, element.end)])
        if high - low <= limit:
            return [Atom(element.start, element.end, low, high, BLOCK)]
    return split(ruler, element, limit)
