"""Rare identifiers of passages, which a term search has to find letter by letter."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

_IDENTIFIER = re.compile(r"(?<![\w.+#/@:-])[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)+(?![\w.+#@:/-])")
_LONGEST = 40


def identifiers(text: str) -> set[str]:
    """`ERR_42`, `foo.bar`, `X-Id`: parts joined by `_`, `.` or `-`, and no word with a hyphen.

    Prose has hyphens too: with those alone, every part must begin with a capital or one must have a digit.
    """
    return {found for found in _IDENTIFIER.findall(text) if len(found) <= _LONGEST and _technical(found)}


def _technical(word: str) -> bool:
    if len(word) < 4 or word.replace(".", "").isdigit():
        return False
    parts = word.split("-")
    return "_" in word or "." in word or any(c.isdigit() for c in word) or all(p[0].isupper() for p in parts)


def rare_identifiers(
    texts: Sequence[tuple[str, str, str]], limit: int, seed: int
) -> list[tuple[str, str, str]]:
    """(source, document, identifier) of up to `limit`, from (source, document, text): those in fewest texts.

    Each source gets its turn, and a document gives at most two.
    """
    found = [(source, document, name) for source, document, text in texts for name in identifiers(text)]
    often = Counter(name.lower() for _, _, name in found)

    def order(item: tuple[str, str, str]) -> tuple[int, bytes]:
        return often[item[2].lower()], hashlib.sha256(f"{seed} {item}".encode("utf-8", "replace")).digest()

    turns: Counter[str] = Counter()
    given: Counter[tuple[str, str]] = Counter()
    known: set[str] = set()
    queue: list[tuple[int, int, tuple[str, str, str]]] = []
    for place, item in enumerate(sorted(set(found), key=order)):
        source, document, name = item
        if name.lower() in known or given[source, document] >= 2:
            continue
        known.add(name.lower())
        given[source, document] += 1
        turns[source] += 1
        queue.append((turns[source], place, item))
    return [item for *_, item in sorted(queue)[:limit]]


def holds(text: str, identifier: str) -> bool:
    """Whether the passage has the identifier as such, in whatever case."""
    return re.search(rf"(?<!\w){re.escape(identifier)}(?!\w)", text, re.I) is not None
