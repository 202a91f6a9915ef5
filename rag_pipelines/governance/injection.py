"""How likely a passage holds instructions for whoever reads it by machine, and why."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.governance.characters import EMOJI_STYLES, TAGS, folded, hidden_characters, visible
from rag_pipelines.governance.injection_rules import RULES, Rule

VERSION = 1
"""Raise it with every change that may give a text another score: passages are judged again then."""

LEAST = 0.2
"""What scores less is not worth a word: one weak sign is found in ordinary text of every kind."""

HIDDEN_WEIGHTS: Mapping[str, float] = {
    "tag-characters": 0.9,
    "style-run": 0.7,
    "direction": 0.4,
    "zero-width": 0.4,
}
MIXED = "mixed-scripts"
MIXED_WEIGHT = 0.5

_BASE64 = re.compile(r"(?<![\w+/=])[A-Za-z0-9+/]{24,}={0,2}(?![\w+/=])")
_HEX = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}[ :]?){16,}(?![0-9a-fA-F])")
_ENCODED = r"[A-Za-z0-9+/]{24}|(?:[0-9a-fA-F]{2}[ :]?){16}"
_MIXED = re.compile(r"[a-zA-Z][\u0430-\u044f\u0410-\u042f]|[\u0430-\u044f\u0410-\u042f][a-zA-Z]")
_TAGGED = re.compile("[\U000e0020-\U000e007e]")
_SPACE = re.compile(r"\s+")
_DECODED = 8
"""Encoded runs of a passage that are decoded at most."""


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a passage is suspect: the score from 0 to 1, and the names of the rules, the weightiest first."""

    score: float
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As a point and an answer carry it."""
        return {"score": self.score, "reasons": list(self.reasons)}


class Classifier(Protocol):
    """A model that judges passages; `fingerprint` changes with whatever changes its scores."""

    fingerprint: str

    def score(self, texts: Sequence[str]) -> list[float]:
        """For each text from 0 to 1 how likely it holds an injection. Raises EmbeddingError."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Judges passages by rules; every pattern runs in time linear in the length of the text."""

    rules: tuple[Rule, ...] = RULES
    disabled: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> str:
        """Changes with whatever changes a score."""
        own = sorted((rule.name, rule.weight, rule.pattern, rule.view) for rule in self.rules)
        return fingerprint("injection", VERSION, [own, sorted(self.disabled), dict(HIDDEN_WEIGHTS), LEAST])

    def flags(self, texts: Sequence[str], extra: Sequence[Mapping[str, float]] = ()) -> list[Flag | None]:
        """For each text why it is suspect, None where it is not; `extra` are further signs by name."""
        if not texts:
            return []
        signs = [self._hidden(text) for text in texts]
        for own, more in zip(signs, extra, strict=False):
            own.update(more)
        for name, weight, found in _finds(tuple(r for r in self.rules if r.name not in self.disabled), texts):
            for at in found:
                signs[at][name] = max(weight, signs[at].get(name, 0.0))
        return [_flag(found) for found in signs]

    def _hidden(self, text: str) -> dict[str, float]:
        signs = {name: HIDDEN_WEIGHTS[name] for name in _hiding(text)} if not text.isascii() else {}
        if not text.isascii() and len(_MIXED.findall(text)) >= 2:
            signs[MIXED] = MIXED_WEIGHT
        return {name: weight for name, weight in signs.items() if name not in self.disabled}


def strongest(flags: Sequence[Flag | None]) -> Flag | None:
    """Of several parts of what is shown together: the highest score, with the reasons of all."""
    found = sorted((flag for flag in flags if flag is not None), key=lambda flag: -flag.score)
    if not found:
        return None
    return Flag(found[0].score, tuple(dict.fromkeys(name for flag in found for name in flag.reasons)))


def _flag(signs: Mapping[str, float]) -> Flag | None:
    left = 1.0
    for weight in signs.values():
        left *= 1 - weight
    score = round(1 - left, 3)
    if score < LEAST:
        return None
    return Flag(score, tuple(sorted(signs, key=lambda name: (-signs[name], name))))


def _hiding(text: str) -> list[str]:
    hidden = hidden_characters(text)
    found = []
    if sum(TAGS[0] <= ord(c) <= TAGS[1] for c in hidden) >= 3:
        found.append("tag-characters")
    if sum(c in EMOJI_STYLES or 0xE0100 <= ord(c) <= 0xE01EF for c in hidden) >= 4:
        found.append("style-run")
    if any(c in "\u202d\u202e" for c in hidden):
        found.append("direction")
    if sum(c in "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff" for c in hidden) >= 4:
        found.append("zero-width")
    return found


def _finds(rules: Sequence[Rule], texts: Sequence[str]) -> list[tuple[str, float, list[int]]]:
    """Name, weight and places in `texts` of every rule that found something; RE2 by way of Arrow."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    shown = [visible(text) for text in texts]
    encoded = pc.match_substring_regex(pa.array(shown, pa.large_string()), _ENCODED).to_pylist()
    views = {
        "words": pa.array([_one_line(text) for text in shown], pa.large_string()),
        "folded": pa.array(list(map(_folded, shown, texts, encoded)), pa.large_string()),
        "lines": pa.array([text.lower() for text in shown], pa.large_string()),
    }
    found = []
    for rule in rules:
        matched = pc.match_substring_regex(views[rule.view], rule.pattern)
        places = np.flatnonzero(matched.to_numpy(zero_copy_only=False))
        if places.size:
            found.append((rule.name, rule.weight, places.tolist()))
    return found


def _one_line(shown: str) -> str:
    return _SPACE.sub(" ", shown).strip().lower()


def _folded(shown: str, text: str, encoded: bool) -> str:
    plain = _one_line(folded(shown)).replace("\u2019", "'")
    decoded = _decoded(text) if encoded or not text.isascii() else []
    return " ".join((plain, *map(_one_line, decoded)))


def _decoded(text: str) -> list[str]:
    """Words that the text holds in tag characters, Base64 or hexadecimal."""
    tagged = "".join(chr(ord(c) - TAGS[0]) for c in _TAGGED.findall(text))
    runs = [*_BASE64.finditer(text), *_HEX.finditer(text)][:_DECODED]
    return [part for part in (tagged, *(_plain(run.group()) for run in runs)) if part]


def _plain(run: str) -> str:
    """The text that a run encodes; empty where it is not readable text."""
    compact = re.sub(r"[ :]", "", run)
    for decode in (bytes.fromhex, _from_base64):
        try:
            said = decode(compact).decode("utf-8")
        except ValueError:
            continue
        if said.isprintable() and " " in said:
            return said
    return ""


def _from_base64(run: str) -> bytes:
    return base64.b64decode(run + "=" * (-len(run) % 4))
