"""What a model wrote -> sentences and the passages that they cite, while it is still writing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import pairwise

from rag_pipelines.answers.values import Draft
from rag_pipelines.core.sentences import sentence_starts

LONGEST_RANGE = 20
"""`[1-20]` is read as all of them; a wider one cites nothing in particular."""

LONGEST_SENTENCE = 4000
"""Characters after which a sentence is given out, ended or not."""

_WORD = r"(?:passages?|sources?|documents?|docs?|citations?|cites?|refs?|references?|nos?)"
_NUMBERS = r"[#^]?[1-9][0-9]{0,8}(?:\s*[-–—]\s*[#^]?[1-9][0-9]{0,8})?"
_LIST = rf"(?:{_WORD}\s*[:.#]?\s*)?{_NUMBERS}(?:(?:\s*(?:[,;&]|and)\s*){_WORD}?\s*{_NUMBERS})*"
_MARKER = re.compile(rf"\s*[\[【［]\s*({_LIST})\s*[,;]?\s*(?:†[^\]】］]{{0,80}})?[\]】］]", re.I)
_BROKEN = re.compile(rf"\s*[\[【［]\s*(?:{_LIST}\s*[,;]?\s*)?(?:†[^\]】］]{{0,80}})?\Z|\s*\[\s*\]", re.I)
_RANGE = re.compile(r"([0-9]+)(?:\s*[-–—]\s*[#^]?([0-9]+))?")
_BEHIND_END = re.compile(rf"([.!?…。！？]+[\"'”’»)]*)((?:{_MARKER.pattern})+)(?=\s|\Z)", re.I)
_LEAD = re.compile(r"\s*(?:[-*•‣◦]\s+|#{1,6}\s+|>\s+)*")
_SPACE = re.compile(r"\s+")
_SPACES = re.compile(r"[^\S\n]+")
_WORDLESS = re.compile(r"[\W_]*\Z")


def draft(sentence: str, passages: int, withheld: Set[int] = frozenset()) -> Draft | None:
    """One sentence less its markers; None where nothing but markers and signs is left.

    A marker is numbers in brackets, in the forms that models use: `[1]`, `[2, 3]`, `[1-3]`, `[^1]`, `[source 2]`,
    `【1†a】`. One that is broken off is taken away and cites nothing; brackets around anything else, `[0]` too, are
    text. Whoever cites a passage that was withheld has not read it.
    """
    numbers: set[int] = set()
    invented = 0
    for marker in _MARKER.finditer(sentence):
        for number in _numbers(marker[1]):
            if 1 <= number <= passages and number not in withheld:
                numbers.add(number)
            else:
                invented += 1
    text = _SPACE.sub(" ", _BROKEN.sub("", _MARKER.sub("", sentence))).strip()
    text = _LEAD.sub("", text, count=1)
    if _WORDLESS.match(text):
        return None
    return Draft(text, tuple(sorted(numbers)), invented)


def _numbers(listed: str) -> Iterator[int]:
    for found in _RANGE.finditer(listed):
        first, last = int(found[1]), int(found[2] or found[1])
        yield from range(first, last + 1) if 0 <= last - first < LONGEST_RANGE else (first, last)


class Sentences:
    """Gives sentences out as soon as they are sure to be whole: a marker may still follow the full stop.

    A line break ends a sentence, since models do not wrap lines.
    """

    def __init__(self, passages: int, withheld: Set[int] = frozenset()) -> None:
        self._passages = passages
        self._withheld = withheld
        self._rest = ""

    def feed(self, piece: str) -> list[Draft]:
        """What is complete now."""
        self._rest = _SPACES.sub(" ", self._rest + piece)
        if not any(map(str.isspace, piece)) and len(self._rest) < LONGEST_SENTENCE:
            return []
        *whole, self._rest = _split(self._rest)
        if whole and self._rest.lstrip().startswith(("[", "【", "［")):
            self._rest = whole.pop() + self._rest
        if len(self._rest) > LONGEST_SENTENCE:
            whole.append(self._rest)
            self._rest = ""
        return self._drafts(whole)

    def end(self, *, cut: bool = False) -> list[Draft]:
        """What is left; nothing where the text was cut off inside it."""
        last, self._rest = self._rest, ""
        pieces = _split(last)
        return self._drafts(pieces[:-1] if cut else pieces)

    def _drafts(self, pieces: list[str]) -> list[Draft]:
        found = (draft(piece, self._passages, self._withheld) for piece in pieces)
        return [one for one in found if one is not None]


def _split(text: str) -> list[str]:
    """Sentences with their markers in front of the mark that ends them; at least one, whose end is the text's."""
    pieces: list[str] = []
    lines = text.split("\n")
    for place, line in enumerate(lines):
        moved = _BEHIND_END.sub(r"\2\1", line)
        starts = [0, *sentence_starts(moved, 0, len(moved)), len(moved)]
        own = [moved[a:b] for a, b in pairwise(starts)]
        if place < len(lines) - 1:
            own[-1] += "\n"
        pieces += own
    return pieces
