"""Text from bytes whose encoding nobody states."""

from __future__ import annotations

import codecs
from collections import Counter

VERSION = 1

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE_PATTERNS = (
    ((False, True, True, True), "utf-32-le"),
    ((True, True, True, False), "utf-32-be"),
    ((False, True, False, True), "utf-16-le"),
    ((True, False, True, False), "utf-16-be"),
)
_SAMPLE = 65_536
_CONTROL = bytes(code for code in (*range(0x01, 0x09), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
_ASCII_LETTERS = bytes((*range(0x41, 0x5B), *range(0x61, 0x7B)))
_HIGH = bytes(range(0x80, 0x100))


def wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 by its BOM, or without one by how its bytes alternate; None for anything else."""
    for bom, name in _BOMS[1:]:
        if data.startswith(bom):
            return name
    sample = data[: _SAMPLE - _SAMPLE % 4]
    sample = sample[: len(sample) - len(sample) % 2]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    lanes = [sample[i::4] for i in range(4)]
    empty = [lane.count(0) / max(len(lane), 1) for lane in lanes]
    for pattern, name in _WIDE_PATTERNS:
        fits = all(
            share > 0.6 if is_empty else share < 0.2 for share, is_empty in zip(empty, pattern, strict=True)
        )
        if fits:
            return name
    even, odd = _two_most_common(sample[::2]), _two_most_common(sample[1::2])
    if odd > 0.9 and even < 0.6 and _reads_as_text(sample, "utf-16-le"):
        return "utf-16-le"
    if even > 0.9 and odd < 0.6 and _reads_as_text(sample, "utf-16-be"):
        return "utf-16-be"
    return None


def _two_most_common(lane: bytes) -> float:
    return sum(count for _, count in Counter(lane).most_common(2)) / max(len(lane), 1)


def _reads_as_text(sample: bytes, encoding: str) -> bool:
    """Alternating bytes are also what small binary numbers look like; text is letters and spaces."""
    text = sample[:4000].decode(encoding, "replace")
    return sum(1 for char in text if char.isalpha() or char.isspace()) > 0.7 * len(text)


def looks_binary(data: bytes) -> bool:
    """Whether too much of the beginning is NUL or control bytes for it to be text in any encoding.

    A few stray NUL bytes in otherwise clean text are forgiven.
    """
    sample = data[:_SAMPLE]
    if not sample or wide_encoding(data) is not None:
        return False
    nul = sample.count(0) / len(sample)
    control = (len(sample) - len(sample.translate(None, _CONTROL))) / len(sample)
    if nul > 0.3 or control > 0.1:
        return True
    return nul + control > 0.02 and _utf8_damage(sample) > 0.02


def decode(data: bytes) -> tuple[str, str]:
    """The text and the encoding it was read as; never raises, at worst it holds U+FFFD.

    Order: BOM, UTF-16/32 by shape, UTF-8, ISO-2022-JP, Windows-1252 where few bytes are not ASCII,
    statistics. Statistics come last because they take short Latin-1 for Baltic.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data[3:].decode("utf-8", "replace"), "utf-8"
    wide = wide_encoding(data)
    if wide is not None:
        return data.decode(wide, "replace").removeprefix("\ufeff"), wide
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(data)
    if b"\x1b$" in data:
        try:
            return data.decode("iso2022_jp"), "iso2022_jp"
        except UnicodeDecodeError:
            return text, "utf-8"
    return text, "utf-8"


def _decode_legacy(data: bytes) -> tuple[str, str]:
    if _utf8_damage(data[:_SAMPLE]) < 0.02 and _utf8_damage(data) < 0.02:
        return data.decode("utf-8", "replace"), "utf-8"
    high = len(data) - len(data.translate(None, _HIGH))
    letters = len(data) - len(data.translate(None, _ASCII_LETTERS))
    if high > 0.25 * (high + letters):
        guessed = _by_statistics(data)
        if guessed is not None:
            return data.decode(guessed, "replace"), guessed
    try:
        return data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def _utf8_damage(data: bytes) -> float:
    """Share of the characters outside ASCII that are not valid UTF-8."""
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    if bad == 0:
        return 0.0
    good = sum(1 for byte in data.translate(None, bytes(range(0xC2))) if byte < 0xF5)
    return bad / max(good, bad, 1)


def _by_statistics(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE]).best()
    return best.encoding if best is not None else None
