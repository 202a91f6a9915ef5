"""Sentence boundaries by rules: fast, without a model, for text in any of the usual scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(
    r"(?<![.!?…‽])[.!?…‽]++[\"'”’»)\]]*+(?=\s)"
    r"|[。！？｡．؟۔।॥։።။]+[\"'”’»」』》）)\]]*"
    r"|\n[^\S\n]*+(?=\n)"
)
_LAST_WORD = re.compile(r"[\w.]+\Z")
_BEFORE_NAMES = (
    "mr mrs ms dr prof st sr jr gen col capt rev hon gov sen rep hr fr sra srta mme mlle mm sig dott ing avv dhr mevr "
    "e.g i.e cf vs al approx resp ed eds est dept inc ltd co corp z.b d.h u.a o.ä bzw ca evtl ggf inkl s.o s.u vgl "
    "zzgl p.ej ud uds avda av p.ex env n.b bijv o.a jan feb mar apr jun jul aug sep sept oct nov dec"
)
_BEFORE_NUMBERS = "no nos fig figs eq eqs sec ch vol p pp nr abb tab str art pág núm pag kap"
_ABBREVIATIONS = frozenset(_BEFORE_NAMES.split())
_NUMBERED = frozenset(_BEFORE_NUMBERS.split())


def sentence_starts(text: str, start: int, end: int) -> list[int]:
    """Where each sentence after the first one begins in `text[start:end]`, ascending.

    A line break alone is no boundary (text may be hard-wrapped), an empty line is one.
    """
    return list(_starts(text, start, end))


def _starts(text: str, start: int, end: int) -> Iterator[int]:
    begin = start
    for match in _END.finditer(text, start, end):
        if match.start() < begin:
            continue
        after = _skip_white(text, match.end(), end)
        if after >= end:
            return
        if text[match.start()] == "." and not _ends(text, begin, match, after):
            continue
        yield after
        begin = after


def _ends(text: str, begin: int, match: re.Match[str], after: int) -> bool:
    """Whether full stops end a sentence here, and not an abbreviation, an initial or an item's number."""
    following = text[after]
    if following.islower() and following.isascii():
        return False
    if match.group() != ".":
        return True
    word = _LAST_WORD.search(text, max(begin, match.start() - 24), match.start())
    if word is None:
        return True
    last = word.group().lower()
    if last in _ABBREVIATIONS or (last in _NUMBERED and following.isdigit()):
        return False
    if word.start() == begin and last.isdigit():
        return False
    initial = len(last) == 1 and last.isalpha() and word.group().isupper()
    return not initial


def _skip_white(text: str, position: int, end: int) -> int:
    while position < end and text[position].isspace():
        position += 1
    return position


def line_starts(text: str, start: int, end: int) -> list[tuple[int, bool]]:
    """Where each line after the first begins in the span, and whether an empty line comes before it.

    Only lines with something on them count.
    """
    found: list[tuple[int, bool]] = []
    position = text.find("\n", start, end)
    blank = False
    while 0 <= position < end - 1:
        following = text.find("\n", position + 1, end)
        stop = end if following < 0 else following
        if text[position + 1 : stop].isspace() or stop == position + 1:
            blank = True
        else:
            found.append((position + 1, blank))
            blank = False
        position = following
    return found
