"""Pieces of text with their places, out of one page of pdfium.

Two calls into pdfium a word (boxes of its first and last character) instead of one a character: that
is what keeps a book at a second or two.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

import msgspec

from rag_pipelines.core.errors import ParseError

MAX_PAGE_CHARS = 400_000
_GAP = 1.0  # of the font size: wider white space parts two segments
_TOKEN = re.compile("\r?\n|\ufffe|\x02|[^\\s\ufffe\x02]+")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}  # noqa: RUF100
)
_LIGATURE = re.compile("[ﬀ-ﬆ]")
_BOLD = re.compile(r"bold|black|heavy|semibd|[-,]bd|cmbx|medi\b", re.IGNORECASE)
_MONO = re.compile(r"mono|courier|consol|cmtt|typewriter|menlo", re.IGNORECASE)


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A run of words on one base line without a wide gap; points, `top` < `bottom`, text direction upright.

    `line` numbers pdfium's own lines: segments of one line were drawn one after the other.
    """

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    bold: bool
    mono: bool
    line: int


class _Word(msgspec.Struct, gc=False):
    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    index: int
    line: int
    angle: int


def read_page(page: Any, number: int) -> tuple[list[Segment], list[Segment]]:
    """Upright segments in the order drawn, and those at another angle than most of the page.

    Raises ParseError where the page holds more characters than any real page.
    """
    textpage = page.get_textpage()
    try:
        count = textpage.count_chars()
        if count > MAX_PAGE_CHARS:
            raise ParseError(
                f"holds {count:,} characters on page {number}, more than {MAX_PAGE_CHARS:,}: no page to read"
            )
        words = _words(textpage, count)
        if not words:
            return [], []
        letters: dict[int, int] = {}
        for word in words:
            letters[word.angle] = letters.get(word.angle, 0) + len(word.text)
        main = max(letters, key=lambda angle: letters[angle])
        upright = _segments(textpage, [_turned(w, main) for w in words if w.angle == main])
        others = [
            segment
            for angle in letters
            if angle != main
            for segment in _segments(textpage, [_turned(w, angle) for w in words if w.angle == angle])
        ]
        return upright, others
    finally:
        textpage.close()


def _text(textpage: Any, count: int) -> str:
    """One Python character per pdfium character, so that positions serve as indexes."""
    from pypdfium2 import raw

    text: str = textpage.get_text_range() if count else ""
    if len(text) == count:
        return text
    units = (raw.FPDFText_GetUnicode(textpage, i) for i in range(count))
    return "".join(chr(u) if 0 < u < 0x110000 and not 0xD800 <= u < 0xE000 else " " for u in units)


def _words(textpage: Any, count: int) -> list[_Word]:
    from pypdfium2 import raw

    loose, angle_of = raw.FPDFText_GetLooseCharBox, raw.FPDFText_GetCharAngle
    first, last = raw.FS_RECTF(), raw.FS_RECTF()
    to_first, to_last = ctypes.byref(first), ctypes.byref(last)
    words: list[_Word] = []
    line, angle, fresh = 0, 0, True
    text = _text(textpage, count)
    ligatures = _LIGATURE.search(text) is not None
    for match in _TOKEN.finditer(text):
        token, start = match.group(), match.start()
        if token in ("\n", "\r\n"):
            line, fresh = line + 1, True
            continue
        if token in ("\ufffe", "\x02"):
            if words:
                words[-1].text += "-"
            line, fresh = line + 1, True
            continue
        if fresh:
            angle, fresh = round(angle_of(textpage, start) * 2 / 3.14159265) % 4, False
        if angle == 0:
            loose(textpage, start, to_first)
            loose(textpage, match.end() - 1, to_last)
            box = (first.left, last.right, -first.top, -first.bottom)
            size = first.top - first.bottom
        else:
            left, low, right, high = textpage.get_charbox(start)
            left2, low2, right2, high2 = textpage.get_charbox(match.end() - 1)
            box = (min(left, left2), max(right, right2), -max(high, high2), -min(low, low2))
            size = (right - left) if angle % 2 else (high - low)
        if ligatures:
            token = token.translate(_LIGATURES)
        words.append(_Word(token, *box, size, start, line, angle))
    return words


def _turned(word: _Word, angle: int) -> _Word:
    """The word as it lies once the page is turned so that text of this angle runs left to right.

    pdfium counts quarter turns clockwise: 3 is text that runs upwards.
    """
    x0, x1, top, bottom = word.x0, word.x1, word.top, word.bottom
    if angle == 3:
        word.x0, word.x1, word.top, word.bottom = -bottom, -top, x0, x1
    elif angle == 2:
        word.x0, word.x1, word.top, word.bottom = -x1, -x0, -bottom, -top
    elif angle == 1:
        word.x0, word.x1, word.top, word.bottom = top, bottom, -x1, -x0
    return word


def _segments(textpage: Any, words: list[_Word]) -> list[Segment]:
    segments: list[Segment] = []
    run: list[_Word] = []
    printed: dict[str, list[tuple[float, float]]] = {}

    def close() -> None:
        text = " ".join(w.text for w in run)
        first = run[0]
        places = printed.setdefault(text, [])
        if not any(abs(x - first.x0) < 1.5 and abs(y - first.top) < 1.5 for x, y in places):
            places.append((first.x0, first.top))
            top, bottom = min(w.top for w in run), max(w.bottom for w in run)
            bold, mono = _font(textpage, first.index)
            if len(run) > 1 and (bold or mono):
                last_bold, last_mono = _font(textpage, run[-1].index)
                bold, mono = bold and last_bold, mono and last_mono
            segments.append(
                Segment(text, first.x0, run[-1].x1, top, bottom, _size(run), bold, mono, first.line)
            )

    for word in words:
        if run and not _follows(run[-1], word):
            close()
            run = []
        if run and word.x0 - run[-1].x1 < 0.05 * word.size and word.line != run[-1].line:
            run[-1].text += word.text
            run[-1].x1 = word.x1
        else:
            run.append(word)
    if run:
        close()
    return segments


def _follows(before: _Word, word: _Word) -> bool:
    """Whether the word goes on where the one before ended, a raised footnote mark included."""
    size, gap = max(before.size, word.size), word.x0 - before.x1
    if word.line == before.line and -0.5 * size < gap < _GAP * size and abs(word.bottom - before.bottom) < 1:
        return True
    overlap = min(before.bottom, word.bottom) - max(before.top, word.top)
    shorter = min(before.bottom - before.top, word.bottom - word.top)
    if overlap < 0.4 * shorter or gap > _GAP * size:
        return False
    return gap > -0.5 * size if word.line == before.line else gap > -0.2 * size


def _size(run: list[_Word]) -> float:
    """Font size of most characters, so that a footnote mark or a symbol does not change it."""
    first = run[0].size
    if all(word.size == first for word in run):
        return first
    weights: dict[float, int] = {}
    for word in run:
        size = round(word.size, 1)
        weights[size] = weights.get(size, 0) + len(word.text)
    return max(weights, key=lambda size: weights[size])


def _font(textpage: Any, index: int) -> tuple[bool, bool]:
    """Whether the character's font is bold, and whether it is monospaced."""
    from pypdfium2 import raw

    buffer, flags = ctypes.create_string_buffer(96), ctypes.c_int()
    length = raw.FPDFText_GetFontInfo(textpage, index, buffer, 96, ctypes.byref(flags))
    name = buffer.value.decode("utf-8", "replace") if length else ""
    bold = bool(_BOLD.search(name)) or raw.FPDFText_GetFontWeight(textpage, index) >= 600
    return bold, bool(flags.value & 1) or bool(_MONO.search(name))
