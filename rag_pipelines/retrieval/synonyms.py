"""Synonyms and acronyms of an index: phrases of a question and what is looked for as well."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_pipelines.config.query import SynonymsConfig
from rag_pipelines.core.errors import ConfigError

WORD = re.compile(r"\w+(?:[+#](?!\w))*")
Words = tuple[str, ...]
Dropped = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Expansion:
    """A phrase as it stands in the question at `start:end`, and what it stands for."""

    phrase: str
    synonyms: tuple[str, ...]
    start: int
    end: int


class Synonyms:
    """Finds the phrases of one index; a hyphen separates words, so `sign-on` and `sign on` are the same."""

    def __init__(self, config: SynonymsConfig, root: Path, dropped: Dropped = lambda _: False) -> None:
        """`root` is what a relative `file` resolves against; `dropped` tells function words, in lower case.

        Raises ConfigError naming the file and the line.
        """
        self._rules: dict[Words, list[tuple[str, Words]]] = {}
        self._longest = 0
        self._dropped = dropped
        for group in config.two_way:
            self._two_way(group)
        for phrase, others in config.one_way.items():
            self._add(phrase, others)
        if config.file is not None:
            for names, meant in read_file(root / config.file):
                if meant is None:
                    self._two_way(names)
                else:
                    for name in names:
                        self._add(name, meant)

    def _two_way(self, group: Sequence[str]) -> None:
        for name in group:
            self._add(name, [other for other in group if other != name])

    def _add(self, phrase: str, others: Sequence[str]) -> None:
        words = tuple(word.lower() for word in WORD.findall(phrase))
        if words:
            self._rules.setdefault(words, []).append((phrase, tuple(others)))
            self._longest = max(self._longest, len(words))

    def find(self, question: str) -> list[Expansion]:
        """The longest phrases from left to right, none overlapping another."""
        words = list(WORD.finditer(question))
        found: list[Expansion] = []
        at = 0
        while at < len(words):
            length = next(self._lengths(question, words[at:]), 0)
            if length:
                start, end = words[at].start(), words[at + length - 1].end()
                found.append(Expansion(question[start:end], self._of(question[start:end]), start, end))
            at += max(length, 1)
        return found

    def _lengths(self, question: str, words: Sequence[re.Match[str]]) -> Iterator[int]:
        for length in range(min(self._longest, len(words)), 0, -1):
            if self._of(question[words[0].start() : words[length - 1].end()]):
                yield length

    def _of(self, phrase: str) -> Words:
        words = tuple(word.lower() for word in WORD.findall(phrase))
        ambiguous = len(words) == 1 and self._dropped(words[0])
        found = [
            other
            for written, others in self._rules.get(words, ())
            if not ambiguous or (written == phrase and phrase.isupper())
            for other in others
        ]
        return tuple(dict.fromkeys(found))


def read_file(path: Path) -> Iterator[tuple[Words, Words | None]]:
    """Phrases, and what they stand for or None where they stand for one another, of a file of synonyms.

    A line is `a, b, c` or `a, b => c, d`, as search engines have it; `#` begins a comment.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); `retrieval.query.synonyms.file` is relative to the project"
        ) from error
    for number, line in enumerate(text.splitlines(), start=1):
        rule = line.partition("#")[0] if line.lstrip().startswith("#") else line.partition(" #")[0]
        if not rule.strip():
            continue
        left, arrow, right = rule.partition("=>")
        names, others = _phrases(left), _phrases(right)
        if not names or not (others if arrow else names[1:]):
            raise ConfigError(f"{path}:{number}: is neither `a, b, c` nor `a => b, c`")
        yield names, others if arrow else None


def _phrases(text: str) -> Words:
    return tuple(phrase for part in text.split(",") if (phrase := " ".join(part.split())))
