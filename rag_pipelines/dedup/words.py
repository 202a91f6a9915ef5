"""Text -> one 64 bit hash a word, vectorised: a Python loop over words costs several times the signing."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]

NONE, WORD, SINGLE, TRAILING = range(4)
"""Classes of characters: between words; part of a word; a word by itself; part of what stands before it."""

BASE = 0x9E3779B97F4A7C15
LONG = 256
"""Characters from which on a word is hashed by itself."""

SEGMENT = 1 << 15
"""Characters hashed at once: bounds the memory of a large text, and stays in the processor's cache."""

BASIC_PLANE, ALL_PLANES = 0x10000, 0x110000

WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark, zero
    (0x3021, 0x312F),  # Hangzhou numerals, kana, Bopomofo
    (0x31A0, 0x31FF),  # extensions of Bopomofo and Katakana
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK
    (0xA980, 0xA9FF),  # Javanese, Myanmar extension B
    (0xAA60, 0xAADF),  # Myanmar extension A, Tai Viet
    (0xF900, 0xFAFF),  # CJK compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # extensions of kana
    (0x20000, 0x3FFFF),  # CJK extensions from B on
)
"""Scripts that write without spaces: each of their characters counts as a word."""

VARIATION_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
JOINERS = (0x200C, 0x200D)


def word_hashes(text: str) -> Hashes:
    """The hash of each word, in the order of the text; equal words hash equally wherever they stand.

    A word is a run of letters, digits, marks and underscores of the lower-cased text in composed form (NFC); in
    scripts without spaces each character with its marks. For ASCII that is `re.findall(r"\\w+", text.lower())`.
    The hash is for counting, not for keeping an adversary out.
    """
    codes, classes = _classified(text)
    starts, ends = _bounds(classes)
    hashes = np.empty(starts.size, np.uint64)
    short = ends - starts < LONG
    if short.all():
        _hash_short(codes, starts, ends, hashes)
        return hashes
    found = np.empty(int(np.count_nonzero(short)), np.uint64)
    _hash_short(codes, starts[short], ends[short], found)
    hashes[short] = found
    for word in np.flatnonzero(~short):
        characters = codes[starts[word] : ends[word]].astype("<u4")
        hashes[word] = xxhash.xxh3_64_intdigest(characters.tobytes())
    return hashes


def mix(values: Hashes) -> Hashes:
    """MurmurHash3's 64 bit finaliser, in place: a bijection in which every bit depends on every other."""
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


def _classified(text: str) -> tuple[Codes, npt.NDArray[np.uint8]]:
    if text.isascii():
        ascii_codes = np.frombuffer(text.encode("ascii").translate(_ascii_words()), np.uint8)
        return ascii_codes, (ascii_codes != 0).view(np.uint8)
    lowered = unicodedata.normalize("NFC", text.lower())
    codes = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)
    return codes, _classes(BASIC_PLANE if codes.max() < BASIC_PLANE else ALL_PLANES)[codes]


@cache
def _ascii_words() -> bytes:
    """For bytes.translate: lower-cases what belongs to words, and makes the rest 0."""
    return bytes(ord(chr(code).lower()) if re.match(r"\w", chr(code), re.ASCII) else 0 for code in range(256))


@cache
def _classes(limit: int) -> npt.NDArray[np.uint8]:
    """The class of each code point below `limit`; takes up to some tenths of a second, once a process."""
    characters = "".join(map(chr, range(limit)))
    classes = np.zeros(limit, np.uint8)
    for run in re.finditer(r"\w+", characters):
        classes[run.start() : run.end()] = WORD
    marks = [code for code, character in enumerate(characters) if unicodedata.category(character)[0] == "M"]
    is_mark = np.zeros(limit, np.bool_)
    is_mark[marks] = True
    classes[is_mark] = WORD
    classes[list(JOINERS)] = WORD
    for first, last in WITHOUT_SPACES:
        part = classes[first : last + 1]
        part[part == WORD] = SINGLE
        part[is_mark[first : last + 1]] = TRAILING
    for first, last in VARIATION_SELECTORS:
        classes[first : last + 1] = TRAILING
    return classes


def _bounds(classes: npt.NDArray[np.uint8]) -> tuple[Positions, Positions]:
    """Where each word starts and ends (half-open)."""
    padded = np.zeros(classes.size + 2, np.uint8)
    padded[1:-1] = classes
    before, here = padded[:-1], padded[1:]
    if classes.max(initial=NONE) <= WORD:
        edges = np.flatnonzero(before != here)
        return edges[::2], edges[1::2]
    begins = (here == SINGLE) | ((here == WORD) & (before != WORD))
    starts = np.flatnonzero(begins)
    stops = np.flatnonzero(begins | (here == NONE))
    return starts, stops[np.searchsorted(stops, starts, side="right")]


@cache
def _powers() -> tuple[Hashes, Hashes]:
    """BASE**i and its inverse modulo 2**64 for each place in a segment."""
    powers = np.full(SEGMENT, BASE, np.uint64)
    inverses = np.full(SEGMENT, pow(BASE, -1, 2**64), np.uint64)
    powers[0] = inverses[0] = 1
    return np.cumprod(powers), np.cumprod(inverses)


def _hash_short(codes: Codes, starts: Positions, ends: Positions, hashes: Hashes) -> None:
    """Fills in each word's polynomial in BASE over its code points, by differences of running sums.

    Modulo 2**64 such a polynomial has known collisions among words of a thousand characters and more: longer
    words than LONG must not come here.
    """
    powers, inverses = _powers()
    first = 0
    while first < starts.size:
        origin = int(starts[first])
        last = int(np.searchsorted(ends, origin + SEGMENT, side="right"))
        stop = int(ends[last - 1])
        sums = np.zeros(stop - origin + 1, np.uint64)
        np.cumsum(codes[origin:stop] * powers[: stop - origin], out=sums[1:])
        begin, end = starts[first:last] - origin, ends[first:last] - origin
        hashes[first:last] = mix((sums[end] - sums[begin]) * inverses[begin])
        first = last
