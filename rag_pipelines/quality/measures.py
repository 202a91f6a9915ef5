"""What no expectation measures: coverage, whose words a text has, and how far a whole version drifted."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rag_pipelines.core.types import FloatArray

_UNSPACED = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]{{3,}}")
FEW_OF_TEXT, FEW_OF_BYTES = 10, 50
"""Fewer distinct words say nothing: a stub is mostly markup."""

TOO_LONG = 1_000_000
"""Bytes or characters beyond which words are not compared: the first part of one is not that of the other."""

_HIDDEN = re.compile(r"<(script|style|svg)\b.*?</\1\s*>", re.I | re.S)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_TAG = re.compile(r"</?[a-z][^<>]*>|<![a-z][^<>]*>", re.I)
_MARKED_UP = ("text/html", "application/xhtml+xml", "text/xml", "application/xml")
_UNLIKE = ("text/rtf", "text/calendar")
Key = TypeVar("Key")


def coverage(text: str, spans: Iterable[tuple[int, int]]) -> float:
    """The share of the characters that are not white space and lie in a span; 1 for a text of white space."""
    wanted = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32) > 32
    blank = [at for at, character in enumerate(text) if character.isspace()] if not text.isascii() else []
    wanted = wanted.copy()
    wanted[blank] = False
    total = int(wanted.sum())
    if not total:
        return 1.0
    for start, end in spans:
        wanted[max(start, 0) : max(end, 0)] = False
    return (total - int(wanted.sum())) / total


def words(text: str) -> frozenset[str]:
    """The distinct words of three letters or more, in lower case; where words have no spaces between them, letters."""
    return frozenset(WORD.findall(text.lower()))


def shared(part: frozenset[str], whole: frozenset[str]) -> float:
    """The share of the words of `part` that `whole` has; 1 where there are none."""
    return len(part & whole) / len(part) if part else 1.0


def against_bytes(text: frozenset[str], data: Words | None) -> tuple[float | None, float | None]:
    """The share of a text's words that its bytes have, and of its bytes' words that the text has.

    None where the bytes show no words, or too few are there to tell.
    """
    if data is None:
        return None, None
    own = shared(text, data.written) if len(text) >= FEW_OF_TEXT else None
    return own, shared(data.seen, text) if len(data.seen) >= FEW_OF_BYTES else None


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity of two sets of words; 1 for two empty ones."""
    return len(one & other) / len(one | other) if one or other else 1.0


@dataclass(frozen=True, slots=True)
class Words:
    """Of bytes: every word in them, and those that a reader sees; attributes of markup may become text too."""

    written: frozenset[str]
    seen: frozenset[str]


def words_of_bytes(data: bytes, media_type: str | None) -> Words | None:
    """The words of the bytes; None where bytes of this type do not show their text."""
    kind = (media_type or "").partition(";")[0]
    if len(data) > TOO_LONG or not (kind.startswith("text/") or kind in _MARKED_UP) or kind in _UNLIKE:
        return None
    text = _decoded(data)
    if text is None:
        return None
    written = words(html.unescape(text))
    if kind not in _MARKED_UP:
        return Words(written, written)
    shown = _TAG.sub(" ", _COMMENT.sub(" ", _HIDDEN.sub(" ", text)))
    seen = words(html.unescape(shown))
    return Words(written | seen, seen)


def _decoded(data: bytes) -> str | None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data[:1000]:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def mix_after(
    before: Mapping[Key, float], documents: int, gone: Mapping[Key, float], came: Mapping[Key, float]
) -> dict[Key, float]:
    """The mix of a version: that of the one before it, in shares of `documents`, less what went, with what came."""
    counts = {
        key: max(before.get(key, 0.0) * documents - gone.get(key, 0.0) + came.get(key, 0.0), 0.0)
        for key in {*before, *gone, *came}
    }
    total = sum(counts.values())
    return {key: count / total for key, count in counts.items()} if total else {}


def mix_distance(one: Mapping[Key, float], other: Mapping[Key, float]) -> float:
    """Total variation distance of two mixes: the share that would have to change for one to be the other."""
    return sum(abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in {*one, *other}) / 2


def centroid_drift(centroid: FloatArray, points: int, moved: FloatArray, scale: float) -> float:
    """1 - cosine between the mean of so many vectors, and the mean after `moved` (times `scale`) was added."""
    before = centroid.astype(np.float64) * points
    after = before + moved.astype(np.float64) * scale
    lengths = float(np.linalg.norm(before) * np.linalg.norm(after))
    if not np.isfinite(lengths):
        return 2.0
    return 1.0 - float(before @ after) / lengths if lengths else 0.0
