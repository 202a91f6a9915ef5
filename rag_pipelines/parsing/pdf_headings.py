"""Which blocks of a PDF are its title and headings, and how deep: by the outline first, then by font. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from rag_pipelines.core.types import ElementKind
from rag_pipelines.parsing.pdf_blocks import Block

HEADING_RATIO = 1.12
_MAX_CHARS = 200
_MAX_BOLD_CHARS = 90
_SAME_SIZE = 1.04
_TITLE_WITHIN = 8
_NUMBERED = re.compile(r"\d+(\.\d+)*\.?\s")
_UNFINISHED = re.compile(r"[.,;:]$")
_LETTERS = re.compile(r"[^\W\d_]")


class OutlineEntry(msgspec.Struct, frozen=True):
    """One bookmark: `level` from 1, `page` from 1."""

    title: str
    level: int
    page: int


def mark_headings(blocks: Sequence[Block], outline: Sequence[OutlineEntry]) -> None:
    """Set kind and level of the blocks that are headings, and make the one largest on page 1 the title."""
    body = _body_size(blocks)
    bookmarked = _mark_bookmarked(blocks, outline)
    sized = [b for b in blocks if b.level is None and _is_large(b, body)]
    title = _title(blocks, sized, bookmarked, body)
    if title is not None:
        title.kind, title.level = ElementKind.TITLE, None
        sized = [b for b in sized if b is not title]
    levels = _levels_by_size(sized, bookmarked)
    for block in sized:
        block.kind, block.level = ElementKind.HEADING, levels[round(block.size, 1)]
    deepest = max((b.level for b in blocks if b.level is not None), default=0)
    for block in _bold_headings(blocks, body):
        block.kind, block.level = ElementKind.HEADING, min(deepest + 1, 6)


def _body_size(blocks: Sequence[Block]) -> float:
    """Font size of most characters outside tables."""
    weights: dict[float, int] = defaultdict(int)
    for block in blocks:
        if block.kind is not ElementKind.TABLE:
            weights[round(block.size * 2) / 2] += len(block.text)
    return max(weights, key=lambda size: weights[size], default=0.0)


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _mark_bookmarked(blocks: Sequence[Block], outline: Sequence[OutlineEntry]) -> list[Block]:
    by_page: dict[int, list[Block]] = defaultdict(list)
    for block in blocks:
        if block.kind in (ElementKind.PARAGRAPH, ElementKind.LIST_ITEM) and len(block.text) <= 2 * _MAX_CHARS:
            by_page[block.page].append(block)
    plain = {page: [(b, _plain(b.text)) for b in found] for page, found in by_page.items()}
    marked: list[Block] = []
    for entry in outline:
        wanted = _plain(entry.title)
        if not wanted:
            continue
        for block, text in plain.get(entry.page, ()):
            if block.level is None and _same_heading(wanted, text):
                block.kind, block.level = ElementKind.HEADING, min(max(entry.level, 1), 6)
                marked.append(block)
                break
    return marked


def _same_heading(bookmark: str, text: str) -> bool:
    """Equal but for a section number on one side."""
    if bookmark == text:
        return True
    longer, shorter = (text, bookmark) if len(text) > len(bookmark) else (bookmark, text)
    return len(shorter) >= 4 and longer.endswith(shorter) and len(longer) - len(shorter) <= 10


def _is_large(block: Block, body: float) -> bool:
    return (
        block.kind in (ElementKind.PARAGRAPH, ElementKind.LIST_ITEM)
        and block.size > HEADING_RATIO * body > 0
        and block.lines <= 3
        and len(block.text) <= _MAX_CHARS
        and len(_LETTERS.findall(block.text[:40])) >= 2
    )


def _title(
    blocks: Sequence[Block], sized: Sequence[Block], bookmarked: Sequence[Block], body: float
) -> Block | None:
    """The block on page 1 that is larger than everything else of the document, where there is one."""
    start = [b for b in blocks if b.page == 1][:_TITLE_WITHIN]
    first = [b for b in start if b in sized and not _NUMBERED.match(b.text)]
    if not first or len(blocks) < 2:
        return None
    largest = max(first, key=lambda b: b.size)
    rivals = [b.size for b in [*sized, *bookmarked] if b is not largest]
    return largest if largest.size > _SAME_SIZE * max(rivals, default=HEADING_RATIO * body) else None


def _levels_by_size(sized: Sequence[Block], bookmarked: Sequence[Block]) -> dict[float, int]:
    """Level of each font size: the one the outline gives that size, otherwise its rank."""
    sizes = sorted({round(b.size, 1) for b in sized}, reverse=True)
    if bookmarked:
        votes: dict[float, Counter[int]] = defaultdict(Counter)
        for block in bookmarked:
            votes[round(block.size, 1)][block.level or 1] += 1
        deepest = max(b.level or 1 for b in bookmarked)
        return {s: votes[s].most_common(1)[0][0] if s in votes else min(deepest + 1, 6) for s in sizes}
    levels: dict[float, int] = {}
    level, reference = 0, float("inf")
    for size in sizes:
        if reference > _SAME_SIZE * size:
            level, reference = level + 1, size
        levels[size] = min(level, 6)
    return levels


def _bold_headings(blocks: Sequence[Block], body: float) -> list[Block]:
    """Short bold lines before text that is not bold, in documents where bold is the exception."""
    letters = sum(len(b.text) for b in blocks)
    bold = sum(len(b.text) for b in blocks if b.bold)
    if bold > 0.3 * letters:
        return []
    return [
        block
        for block, following in pairwise(blocks)
        if block.bold
        and block.kind is ElementKind.PARAGRAPH
        and block.lines <= 2
        and block.size >= 0.85 * body
        and len(block.text) <= _MAX_BOLD_CHARS
        and len(_LETTERS.findall(block.text)) >= 3
        and not _UNFINISHED.search(block.text)
        and (not following.bold or following.level is not None)
    ]
