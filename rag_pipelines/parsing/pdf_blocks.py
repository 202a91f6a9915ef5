"""From the segments of a page to blocks: paragraphs, list items, tables, code. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from statistics import median

import msgspec

from rag_pipelines.core.types import ElementKind
from rag_pipelines.parsing.cells import table_text
from rag_pipelines.parsing.pdf_layout import MARKER, Line, Table, lines_and_tables, regions
from rag_pipelines.parsing.pdf_words import Segment

_LIST = re.compile(
    r"(?:[•◦▪▫■□●○‣⁃∙➢➤✓❖\uf0b7\uf0a7]\s*|[-–—*]\s+|(?:\d{1,3}[.)]|[a-zA-Z][.)]|\([a-zA-Z0-9]{1,3}\))\s+)\S"
)
_BULLET = re.compile(r"[•◦▪▫■□●○‣⁃∙➢➤✓❖\uf0b7\uf0a7]\s*")
_ENDS = re.compile(r"[.!?:;。！？][\"'”’)\]]*$")
_WORD = re.compile(r"\w+(?:-\w+)*")
_LEADERS = re.compile(r"(?:[^\S\n]*[.·…_]){4,}[^\S\n]*")
_ENTRY = re.compile(r"\D\s\d{1,4}$")
_HYPHENS = ("-", "\xad", "‐")
_COMPOUNDS = frozenset(
    (
        "all",
        "cross",
        "end",
        "ex",
        "full",
        "half",
        "high",
        "long",
        "low",
        "non",
        "open",
        "real",
        "self",
        "well",
    )
)


class Block(msgspec.Struct, gc=False):
    """One element to be; `size` and `bold` of its lines decide whether it is a heading."""

    kind: ElementKind
    text: str
    page: int
    size: float = 0.0
    bold: bool = False
    lines: int = 1
    level: int | None = None


def page_blocks(segments: list[Segment], turned: list[Segment], page: int, words: Words) -> list[Block]:
    """Blocks of one page in reading order, text at other angles last."""
    blocks: list[Block] = []
    for part in regions(segments) if segments else ():
        fresh = _region_blocks(lines_and_tables(part), page, words)
        if fresh and blocks and _flows_on(blocks[-1], fresh[0]):
            first = fresh.pop(0)
            blocks[-1].text = join(blocks[-1].text, first.text, words)
            blocks[-1].lines += first.lines
        blocks += fresh
    return blocks + _region_blocks(lines_and_tables(turned), page, words)


def _flows_on(last: Block, first: Block) -> bool:
    """Whether a paragraph goes on at the top of the next column."""
    return (
        last.kind in (ElementKind.PARAGRAPH, ElementKind.LIST_ITEM)
        and first.kind is ElementKind.PARAGRAPH
        and abs(last.size - first.size) < 0.06 * max(last.size, 0.1)
        and last.lines > 1
        and not _ENDS.search(last.text)
        and first.text[:1].islower()
    )


def _region_blocks(items: Iterable[Line | Table], page: int, words: Words) -> list[Block]:
    blocks: list[Block] = []
    run: list[Line] = []

    def close() -> None:
        if run:
            blocks.extend(_paragraphs(run, page, words))
            run.clear()

    for item in items:
        if isinstance(item, Table):
            close()
            blocks.append(Block(ElementKind.TABLE, _LEADERS.sub(" ", table_text(item.rows)), page))
        else:
            run.append(item)
    close()
    return blocks


def _paragraphs(lines: list[Line], page: int, words: Words) -> list[Block]:
    pitches = [b.top - a.top for a, b in pairwise(lines) if 0 < b.top - a.top < 3 * a.size]
    usual = median(line.size for line in lines)
    pitch = median(pitches) if pitches else 1.2 * usual
    groups: list[list[Line]] = []
    for i, line in enumerate(lines):
        near = [n.x1 for n in lines[max(i - 3, 0) : i + 3] if _same_size(n, line)]
        own_pitch = pitch if abs(line.size - usual) <= 0.1 * usual else 1.3 * line.size
        if groups and not _breaks(groups[-1], line, own_pitch, max(near)):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [_block(group, page, words) for group in groups]


def _same_size(a: Line, b: Line) -> bool:
    return abs(a.size - b.size) <= 0.1 * max(a.size, b.size)


def _breaks(group: list[Line], line: Line, pitch: float, right: float) -> bool:
    """Whether a new paragraph begins with this line; `right` is where lines around it end."""
    before, first = group[-1], group[0]
    gap = line.top - before.bottom
    if before.mono and line.mono and abs(before.size - line.size) < 0.5:
        return gap > 1.5 * line.size
    step = line.top - before.top
    spaced = step > 1.35 * min(pitch, 1.6 * line.size) and gap > 0.25 * line.size
    if spaced or _looks_different(group, line) or _begins_item(group, line, right):
        return True
    if _LIST.match(first.text) and line.x0 > first.x0 + 0.3 * line.size:
        return False
    indented = line.x0 - before.x0 > 0.7 * line.size and _ENDS.search(before.text) is not None
    return indented or _stopped_early(before, line, right)


def _looks_different(group: list[Line], line: Line) -> bool:
    """Another size or font, or the next entry of a table of contents."""
    before = group[-1]
    if not _same_size(line, before) or line.mono != before.mono:
        return True
    if line.bold != before.bold and (line.bold or len(group) <= 2):
        return True
    return _ENTRY.search(before.text) is not None and _ENTRY.search(line.text) is not None


def _begins_item(group: list[Line], line: Line, right: float) -> bool:
    """Whether the line is the next item of a list, or stands left of the list it follows."""
    before, first = group[-1], group[0]
    in_list = _LIST.match(first.text) is not None
    if _LIST.match(line.text) and line.x0 <= first.x0 + 1.5 * line.size:
        return bool(
            in_list
            or _BULLET.match(line.text)
            or _ENDS.search(before.text)
            or before.x1 < right - 3 * line.size
        )
    return in_list and line.x0 < first.x0 - 0.5 * line.size


def _stopped_early(before: Line, line: Line, right: float) -> bool:
    """Whether the first word of the line would have had room on the one before: then the break is meant."""
    if before.text[-1:] in _HYPHENS:
        return False
    width = (line.x1 - line.x0) / max(len(line.text), 1)
    needed = 1.1 * width * (len(line.text.split(" ", 1)[0]) + 1) + line.size
    return right - before.x1 > max(needed, 0.15 * (right - before.x0))


def _block(group: list[Line], page: int, words: Words) -> Block:
    size = median(line.size for line in group)
    if all(line.mono for line in group) and len(group) > 1:
        return Block(ElementKind.CODE, _code(group), page, size, lines=len(group))
    text = group[0].text
    for line in group[1:]:
        text = join(text, line.text, words)
    text = _LEADERS.sub(" ", text).strip()
    bold = all(line.bold for line in group)
    if _LIST.match(text) and not (bold and len(group) == 1 and not _BULLET.match(text)):
        return Block(ElementKind.LIST_ITEM, _BULLET.sub("", text, count=1), page, size, bold, len(group))
    if MARKER.match(text):
        text = ""
    return Block(ElementKind.PARAGRAPH, text, page, size, bold, len(group))


def _code(group: list[Line]) -> str:
    left = min(line.x0 for line in group)
    widths = [(line.x1 - line.x0) / len(line.text) for line in group if line.text]
    width = max(median(widths), 0.5)
    return "\n".join(" " * min(round((line.x0 - left) / width), 80) + line.text for line in group)


class Words(msgspec.Struct, frozen=True):
    """Words that stand inside lines, how often, and whether the document cuts words at line ends at all."""

    counts: Counter[str]
    hyphenates: bool


def count_words(pages: Iterable[Iterable[Segment]]) -> Words:
    """Of a whole document; what may be a piece of a cut word is left out."""
    counts: Counter[str] = Counter()
    cut = lines = 0
    for page in pages:
        after_cut = False
        for segment in page:
            found = _WORD.findall(segment.text.casefold())
            counts.update(found[after_cut : -1 if len(found) > 1 else None])
            after_cut = segment.text[-1] in _HYPHENS and len(segment.text) > 2
            cut += after_cut
            lines += len(found) >= 4
    return Words(counts, cut >= 0.02 * lines)


def join(text: str, following: str, words: Words) -> str:
    """Two lines as one; a word cut by a hyphen is mended only where that is the likelier reading.

    The document decides: the whole word or the hyphenated one, whichever it has elsewhere. Where it has
    neither, the hyphen goes if the document cuts words at line ends, and stays if it does not.
    """
    if text[-1:] not in _HYPHENS or not text[-2:-1].isalpha():
        return f"{text} {following}"
    if not following[:1].islower():
        return f"{text}{following}" if following[:1].isalnum() else f"{text} {following}"
    start, end = _WORD.findall(text[:-1].casefold()), _WORD.findall(following.casefold())
    before, after = (start[-1] if start else ""), (end[0] if end else "")
    whole = words.counts[before + after] + words.counts[before.rpartition("-")[2] + after]
    hyphenated = words.counts[f"{before}-{after}"]
    if whole or hyphenated:
        keep = hyphenated > whole
    else:
        keep = not words.hyphenates or "-" in before or len(before) == 1 or before in _COMPOUNDS
    return text + following if keep else text[:-1] + following
