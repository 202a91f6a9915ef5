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
from rag_pipelines.governance.untrusted import fences, neutralise
from rag_pipelines.retrieval.expansion import stitched

SEPARATOR = "\n\n"
Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class ContextCitation:
    """One numbered part of a context.

    `start` and `end` slice the document's stored text, `text_start` and `text_end` the context's: the same
    characters, neutralised where the context is fenced. `ranks` are of the passages that it is made of.
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
    """What a prompt is given to read. `tokens` counts all of the text, in those of the index's embedding model.

    Text of documents stands between fences that carry the `nonce`; a prompt says what they mean
    (`untrusted.INSTRUCTION`). In a count each of the nonce's digits is a token, so that it does not depend on them.
    """

    text: str
    tokens: int
    citations: tuple[ContextCitation, ...]
    nonce: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Lists for tuples, as JSON has them."""
        citations = [
            {**asdict(cited), "ranks": list(cited.ranks), "heading_path": list(cited.heading_path)}
            for cited in self.citations
        ]
        return {"text": self.text, "tokens": self.tokens, "nonce": self.nonce, "citations": citations}


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands around a part: its number, and with a nonce the fences of text that nobody vouches for."""

    nonce: str | None = None

    def before(self, block: _Block, number: int) -> str:
        """All that stands before the text; the title is the document's word as well."""
        if self.nonce is None:
            return f"[{number}] {block.heading}\n"
        return f"[{number}]\n{self._fences[0]}{neutralise(block.heading, self.nonce)}\n"

    def text(self, block: _Block) -> str:
        """The text as it is shown."""
        return block.text if self.nonce is None else neutralise(block.text, self.nonce)

    @property
    def behind(self) -> str:
        """What stands behind the text."""
        return "" if self.nonce is None else self._fences[1]

    def counted(self, block: _Block, number: int) -> str:
        """What is counted for the block. Where a nonce is cut into tokens is chance: each digit counts as one."""
        whole = self.before(block, number) + self.text(block) + self.behind
        return self.spread(whole)

    def spread(self, text: str) -> str:
        """The text with every fence as it is counted."""
        if self.nonce is None:
            return text
        digits = " ".join("0" * len(self.nonce))
        for fence in self._fences:
            text = text.replace(fence, fence.replace(self.nonce, digits))
        return text

    @property
    def _fences(self) -> tuple[str, str]:
        return fences(self.nonce or "")


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

    @property
    def heading(self) -> str:
        at = self.best.citation
        where = f"{at.source}/{at.uri}" + (f", page {self.page}" if self.page is not None else "")
        return " ".join(f"{self.best.title or ''} ({where})".split())

    def overlaps(self, other: _Block) -> bool:
        one, two = self.best.citation, other.best.citation
        same = (one.doc_id, one.parsed_hash) == (two.doc_id, two.parsed_hash)
        return same and self.start < other.end and other.start < self.end

    def cut(self, start: int, end: int) -> _Block:
        return replace(self, start=self.start + start, text=self.text[start:end])


def assemble(
    passages: Sequence[Passage], budget: int, tokenizer: Tokenizer, nonce: str | None = None
) -> Context:
    """As many of the passages as fit, best first; spans of one document that overlap are one part.

    With a nonce each part is fenced and neutralised. Where a passage does not fit whole, whole sentences of it are
    taken, those from its match on before those above it, and nothing follows; where not one sentence fits, it is
    left out. Only the first part is ever cut inside a sentence: where that sentence alone is more than the budget.
    """
    frame = _Frame(nonce)

    @cache
    def count(text: str) -> int:
        return len(tokenizer.offsets([text])[0])

    room = budget
    while room > 0:
        found = _rendered(_chosen(passages, room, count, frame), count, frame)
        if found.tokens <= budget:
            return found
        room -= found.tokens - budget  # tokens of joined parts can be more than those of the parts
    return Context("", 0, (), nonce)


def _chosen(passages: Sequence[Passage], room: int, count: Count, frame: _Frame) -> list[_Block]:
    blocks: list[_Block] = []
    for passage in passages:
        own = _Block(passage, (passage.rank,), passage.citation.start, passage.text, _pages(passage))
        wider = _added(blocks, own)
        if _cost(wider, count, frame) <= room:
            blocks = wider
        elif len(wider) > len(blocks):
            left = room - _cost(blocks, count, frame)
            part = _sentences(own, len(blocks) + 1, left, count, frame)
            if part is None and not blocks:
                part = _words(own, left, count, frame)
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


def _cost(blocks: Sequence[_Block], count: Count, frame: _Frame) -> int:
    return sum(count(frame.counted(block, number)) for number, block in enumerate(blocks, start=1))


def _pages(passage: Passage) -> tuple[tuple[int, int], ...]:
    marks = [(span.start, span.page) for span in passage.matched]
    marks.append((passage.citation.start, passage.citation.page))
    return tuple(sorted({(start, page) for start, page in marks if page is not None}))


def _match(block: _Block) -> int:
    """Where in the block's text its best match begins."""
    matched = block.best.matched
    return matched[0].start - block.start if matched else 0


def _sentences(block: _Block, number: int, room: int, count: Count, frame: _Frame) -> _Block | None:
    """Whole sentences around the match, forward as far as they fit, then backward."""
    starts = [0, *sentence_starts(block.text, 0, len(block.text))]
    ends = [len(block.text[:start].rstrip()) for start in (*starts[1:], len(block.text))]

    def fits(first: int, last: int) -> bool:
        part = replace(block, text=block.text[starts[first] : ends[last]])
        return count(frame.counted(part, number)) <= room

    first = last = bisect_right(starts, _match(block)) - 1
    if not fits(first, last):
        return None
    while last + 1 < len(starts) and fits(first, last + 1):
        last += 1
    while first > 0 and fits(first - 1, last):
        first -= 1
    return block.cut(starts[first], ends[last])


def _words(block: _Block, room: int, count: Count, frame: _Frame) -> _Block | None:
    """As many words as fit, from the sentence of the match on; None where not one does."""
    starts = [0, *sentence_starts(block.text, 0, len(block.text))]
    start = starts[bisect_right(starts, _match(block)) - 1]
    ends = [match.end() for match in re.finditer(r"\S+", block.text) if match.end() > start]

    def cost(end: int) -> int:
        return count(frame.counted(replace(block, text=block.text[start:end]), 1))

    fitting = bisect_right(ends, room, key=cost)
    return block.cut(start, ends[fitting - 1]) if fitting else None


def _rendered(blocks: Sequence[_Block], count: Count, frame: _Frame) -> Context:
    text = ""
    citations = []
    for number, block in enumerate(blocks, start=1):
        text += (SEPARATOR if text else "") + frame.before(block, number)
        shown = frame.text(block)
        citations.append(_citation(number, block, len(text), len(shown)))
        text += shown + frame.behind
    return Context(text, count(frame.spread(text)), tuple(citations), frame.nonce)


def _citation(number: int, block: _Block, position: int, length: int) -> ContextCitation:
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
        text_end=position + length,
    )
