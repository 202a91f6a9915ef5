"""Passages -> one text for a prompt, within a budget of tokens, with numbered citations."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from rag_pipelines.core.ports import Tokenizer
from rag_pipelines.core.sentences import sentence_starts
from rag_pipelines.core.types import Passage
from rag_pipelines.retrieval.expansion import stitched

SEPARATOR = "\n\n"
Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class ContextCitation:
    """One numbered part of a context.

    `start` and `end` slice the document's stored text, `text_start` and `text_end` the context's: both give the
    same characters. `ranks` are of the passages that it is made of.
    """

    number: int
    ranks: tuple[int, ...]
    title: str | None
    source: str
    uri: str
    link: str | None
    doc_id: str
    page: int | None
    heading_path: tuple[str, ...]
    revision: str
    parsed_hash: str
    version: int
    start: int
    end: int
    text_start: int
    text_end: int


@dataclass(frozen=True, slots=True)
class Context:
    """What a prompt is given to read. `tokens` counts all of the text, in those of the index's embedding model."""

    text: str
    tokens: int
    citations: tuple[ContextCitation, ...]

    def as_json(self) -> dict[str, Any]:
        """Lists for tuples, as JSON has them."""
        citations = [
            {**asdict(cited), "ranks": list(cited.ranks), "heading_path": list(cited.heading_path)}
            for cited in self.citations
        ]
        return {"text": self.text, "tokens": self.tokens, "citations": citations}


@dataclass(frozen=True, slots=True)
class _Block:
    """A span of one document, by the best passage that it is made of; `pages` where text begins on which page."""

    best: Passage
    ranks: tuple[int, ...]
    start: int
    text: str
    pages: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def page(self) -> int | None:
        """The last page that is known to begin at the block or before it, else the first one in it."""
        before = [page for start, page in self.pages if start <= self.start]
        after = [page for _, page in self.pages]
        return before[-1] if before else (after[0] if after else None)

    def heading(self, number: int) -> str:
        at = self.best.citation
        where = f"{at.source}/{at.uri}" + (f", page {self.page}" if self.page is not None else "")
        return " ".join(f"[{number}] {self.best.title or ''} ({where})".split()) + "\n"

    def overlaps(self, other: _Block) -> bool:
        one, two = self.best.citation, other.best.citation
        same = (one.doc_id, one.parsed_hash) == (two.doc_id, two.parsed_hash)
        return same and self.start < other.end and other.start < self.end

    def cut(self, start: int, end: int) -> _Block:
        return replace(self, start=self.start + start, text=self.text[start:end])


def assemble(passages: Sequence[Passage], budget: int, tokenizer: Tokenizer) -> Context:
    """As many of the passages as fit, best first; spans of one document that overlap are one part.

    Where a passage does not fit whole, whole sentences of it are taken, those from its match on before those
    above it, and nothing follows; where not one sentence fits, it is left out. Only the first part is ever cut
    inside a sentence: where that sentence alone is more than the budget.
    """

    @cache
    def count(text: str) -> int:
        return len(tokenizer.offsets([text])[0])

    room = budget
    while room > 0:
        found = _rendered(_chosen(passages, room, count), count)
        if found.tokens <= budget:
            return found
        room -= found.tokens - budget  # tokens of joined parts can be more than those of the parts
    return Context("", 0, ())


def _chosen(passages: Sequence[Passage], room: int, count: Count) -> list[_Block]:
    blocks: list[_Block] = []
    for passage in passages:
        own = _Block(passage, (passage.rank,), passage.citation.start, passage.text, _pages(passage))
        wider = _added(blocks, own)
        if _cost(wider, count) <= room:
            blocks = wider
        elif len(wider) > len(blocks):
            left = room - _cost(blocks, count)
            part = _sentences(own, len(blocks) + 1, left, count)
            if part is None and not blocks:
                part = _words(own, left, count)
            if part is not None:
                return [*blocks, part]
    return blocks


def _added(blocks: Sequence[_Block], own: _Block) -> list[_Block]:
    """The blocks with a further one: joined to those that it overlaps or repeats, else behind them."""
    touching = [block for block in blocks if block.overlaps(own) or block.text == own.text]
    if not touching:
        return [*blocks, own]
    whole = touching[0]
    for other in (own, *touching[1:]):
        if whole.overlaps(other):
            start, text = stitched(whole.start, whole.text, other.start, other.text)
            pages = tuple(sorted({*whole.pages, *other.pages}))
            whole = replace(whole, start=start, text=text, pages=pages)
        whole = replace(whole, ranks=(*whole.ranks, *other.ranks))
    whole = replace(whole, ranks=tuple(sorted(whole.ranks)))
    joined = set(map(id, touching[1:]))
    return [whole if block is touching[0] else block for block in blocks if id(block) not in joined]


def _cost(blocks: Sequence[_Block], count: Count) -> int:
    return sum(count(block.heading(number) + block.text) for number, block in enumerate(blocks, start=1))


def _pages(passage: Passage) -> tuple[tuple[int, int], ...]:
    marks = [(span.start, span.page) for span in passage.matched]
    marks.append((passage.citation.start, passage.citation.page))
    return tuple(sorted({(start, page) for start, page in marks if page is not None}))


def _match(block: _Block) -> int:
    """Where in the block's text its best match begins."""
    matched = block.best.matched
    return matched[0].start - block.start if matched else 0


def _sentences(block: _Block, number: int, room: int, count: Count) -> _Block | None:
    """Whole sentences around the match, forward as far as they fit, then backward."""
    starts = [0, *sentence_starts(block.text, 0, len(block.text))]
    ends = [len(block.text[:start].rstrip()) for start in (*starts[1:], len(block.text))]
    heading = block.heading(number)

    def fits(first: int, last: int) -> bool:
        return count(heading + block.text[starts[first] : ends[last]]) <= room

    first = last = bisect_right(starts, _match(block)) - 1
    if not fits(first, last):
        return None
    while last + 1 < len(starts) and fits(first, last + 1):
        last += 1
    while first > 0 and fits(first - 1, last):
        first -= 1
    return block.cut(starts[first], ends[last])


def _words(block: _Block, room: int, count: Count) -> _Block | None:
    """As many words as fit, from the sentence of the match on; None where not one does."""
    starts = [0, *sentence_starts(block.text, 0, len(block.text))]
    start = starts[bisect_right(starts, _match(block)) - 1]
    ends = [match.end() for match in re.finditer(r"\S+", block.text) if match.end() > start]
    heading = block.heading(1)
    fitting = bisect_right(ends, room, key=lambda end: count(heading + block.text[start:end]))
    return block.cut(start, ends[fitting - 1]) if fitting else None


def _rendered(blocks: Sequence[_Block], count: Count) -> Context:
    text = ""
    citations = []
    for number, block in enumerate(blocks, start=1):
        text += (SEPARATOR if text else "") + block.heading(number)
        citations.append(_citation(number, block, len(text)))
        text += block.text
    return Context(text, count(text), tuple(citations))


def _citation(number: int, block: _Block, position: int) -> ContextCitation:
    at = block.best.citation
    return ContextCitation(
        number=number,
        ranks=block.ranks,
        title=block.best.title,
        source=at.source,
        uri=at.uri,
        link=at.link,
        doc_id=at.doc_id,
        page=block.page,
        heading_path=at.heading_path,
        revision=at.revision,
        parsed_hash=at.parsed_hash,
        version=at.version,
        start=block.start,
        end=block.end,
        text_start=position,
        text_end=position + len(block.text),
    )
