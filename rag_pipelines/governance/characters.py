"""Characters that a reader does not see, or takes for others: what text is hidden and disguised with."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

JOINERS = "\u200c\u200d"
"""Needed within words of some scripts and within emoji, and nowhere else."""

EMOJI_STYLES = "\ufe0e\ufe0f"
"""Belong behind one visible character."""

TAGS = (0xE0000, 0xE007F)
"""A copy of ASCII that nothing shows, first and last code point."""

_NEVER_SHOWN = (
    (0x00, 0x08),
    (0x0E, 0x1F),
    (0x7F, 0x84),
    (0x86, 0x9F),
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xD800, 0xDFFF),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_CONFUSABLE = str.maketrans(
    # Cyrillic and Greek letters that look Latin, brackets and bars that look like those of markup.
    "аеорсухіјѕԁһӏԛԝАВЕКМНОРСТУХІЈЅαορνικυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ‹›〈〉⟨⟩❮❯〈〉❬❭˂˃ǀ∣❘│⁄∕⧸╱",
    "aeopcyxijsdhlqwABEKMHOPCTYXIJSaopvikuABEZHIKMNOPTYX<><><><><><><>||||////",
)


_HIDDEN = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _NEVER_SHOWN) + "]")
_LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")


def hidden_characters(text: str) -> str:
    """Those of the text that show nothing and that it would not need; `visible` takes them out."""
    return "".join(text[at] for at in _unneeded(text))


def visible(text: str) -> str:
    """The text without what nothing shows; every line end becomes a line feed.

    A joiner stays between two visible characters beyond ASCII and an emoji style behind one visible character:
    a run of either can carry a message, a single one cannot.
    """
    text = _LINE_END.sub("\n", text)
    unneeded = set(_unneeded(text))
    return "".join(c for at, c in enumerate(text) if at not in unneeded) if unneeded else text


def _unneeded(text: str) -> list[int]:
    return [found.start() for found in _HIDDEN.finditer(text) if not _needed(text, found.start())]


def _needed(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if text[at] in EMOJI_STYLES:
        return before != "" and not _HIDDEN.match(before)
    if text[at] in JOINERS:
        joins = bool(before and after) and not before.isascii() and not after.isascii()
        return joins and not _HIDDEN.match(after) and (before in EMOJI_STYLES or not _HIDDEN.match(before))
    return False


def folded(text: str) -> str:
    """The text with look-alikes as the ASCII they look like; as long as the text, so that offsets stay."""
    if text.isascii():
        return text
    return "".join(map(_fold, text)).translate(_CONFUSABLE)


@cache
def _fold(character: str) -> str:
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character
