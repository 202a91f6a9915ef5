"""Spelling against the index itself, within what the asker may read.

Which words are known, and which near word is used, is asked of the sparse search under the asker's own
condition: neither a correction nor its absence tells of a word that stands only where the asker cannot look.
The vocabulary only proposes, and it is made of readable passages as well: words of others would take the places of
those that the asker can have, and time.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import extract

from rag_pipelines.config.query import SpellingConfig
from rag_pipelines.core.filters import Condition
from rag_pipelines.core.ports import CollectionReader, SearchRequest, SparseEncoder
from rag_pipelines.index.points import TEXT, TITLE
from rag_pipelines.retrieval.kept import Kept
from rag_pipelines.retrieval.locations import Scope

KEPT = 1_000_000
"""Words in memory, of the vocabularies used last."""

PROPOSED = 12
"""Near words that are looked up at most for one unknown word."""

COUNTED = 20
"""Passages of a near word that are counted at most."""

LONGEST = 40

_TOKEN = re.compile(r"""["“”«»„][^"“”«»„]*["“”«»„]|\S+""")
_WORD = re.compile(r"[^\W\d_]+")
_POSSESSIVE = re.compile(r"['’]s?$")


@dataclass(frozen=True, slots=True)
class Correction:
    """One word of the question and what was asked for instead."""

    word: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words in lower case by their length."""

    by_length: Mapping[int, list[str]]

    def __len__(self) -> int:
        return sum(map(len, self.by_length.values()))

    def near(self, word: str, edits: int) -> list[str]:
        """Words within so many edits (a swap of neighbours is one), nearest first, then those that look alike."""
        lengths = range(len(word) - edits, len(word) + edits + 1)
        found = [
            (distance, -JaroWinkler.similarity(word, candidate), candidate)
            for length in lengths
            for candidate, distance, _ in extract(
                word, self.by_length.get(length, ()), scorer=OSA.distance, score_cutoff=edits, limit=None
            )
        ]
        return [candidate for _, _, candidate in sorted(found)]


def read_vocabulary(
    texts: Iterable[str], settings: SpellingConfig, now: Callable[[], float] = time.monotonic
) -> Vocabulary:
    """Every word of the texts, read until the time is over.

    Points come in the order of ids that are hashes, so what is read in time is a random sample: a frequent word
    is in it.
    """
    deadline = now() + settings.seconds
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update({word for word in _WORD.findall(text.lower()) if len(word) <= LONGEST})
        if len(counted) > 2 * settings.max_words:
            counted = Counter(dict(counted.most_common(settings.max_words)))
        if now() >= deadline:
            break
    by_length: dict[int, list[str]] = defaultdict(list)
    for word, _ in counted.most_common(settings.max_words):
        by_length[len(word)].append(word)
    return Vocabulary(dict(by_length))


class Spelling:
    """Corrects questions to one index; safe to use from several threads."""

    def __init__(self, settings: SpellingConfig) -> None:
        self._settings = settings
        self._vocabularies: Kept[Vocabulary] = Kept(KEPT, len)

    def correct(
        self,
        question: str,
        reader: CollectionReader,
        sparse: SparseEncoder,
        readable: Condition,
        scope: Callable[[], Scope],
    ) -> tuple[str, tuple[Correction, ...]]:
        """The question with its unknown words replaced where a near one is known, and what was replaced.

        `readable` are the points that the asker may read; `scope` names them for the vocabulary that is kept.
        """

        def passages(word: str, most: int) -> int:
            terms = sparse.encode_query(word)
            return len(reader.search(SearchRequest(limit=most, sparse=terms, condition=readable)))

        pieces: list[str] = []
        done: list[Correction] = []
        end = 0
        for start, stop in checkable(question, self._settings.min_length):
            word = question[start:stop]
            if not sparse.terms(word) or passages(word, 1):
                continue
            near = self._near(word.lower(), reader, scope())
            better = self._most_frequent(word.lower(), near, sparse, passages)
            if better is not None:
                written = better.capitalize() if word[0].isupper() else better
                pieces += [question[end:start], written]
                end = stop
                done.append(Correction(word, written))
        return "".join([*pieces, question[end:]]), tuple(done)

    def _near(self, word: str, reader: CollectionReader, scope: Scope) -> list[str]:
        edits = 1 if len(word) < self._settings.two_edits_from else 2
        return self._vocabulary(reader, scope).near(word, edits)[:PROPOSED]

    def _most_frequent(
        self,
        word: str,
        candidates: Sequence[str],
        sparse: SparseEncoder,
        passages: Callable[[str, int], int],
    ) -> str | None:
        """Of the nearest words that are frequent enough the most frequent, of equals the first.

        A function word, which the sparse search does not know, counts as frequent.
        """
        best: tuple[int, int, int] | None = None
        for place, candidate in enumerate(candidates):
            count = passages(candidate, COUNTED) if sparse.terms(candidate) else COUNTED
            rank = (OSA.distance(word, candidate), -count, place)
            if count >= self._settings.min_passages and (best is None or rank < best):
                best = rank
        return candidates[best[2]] if best is not None else None

    def _vocabulary(self, reader: CollectionReader, scope: Scope) -> Vocabulary:
        def read() -> Vocabulary:
            points = reader.scroll(scope[1])
            texts = (f"{point.payload.get(TITLE) or ''}\n{point.payload[TEXT]}" for point in points)
            return read_vocabulary(texts, self._settings)

        return self._vocabularies.get(scope, read)


def checkable(question: str, min_length: int) -> list[tuple[int, int]]:
    """Where words stand that may be misspelt: plain letters outside quotation marks, no capital after the first."""
    found: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(question):
        text = token[0]
        if text[0] in '"“”«»„' and len(text) > 1 and text[-1] in '"“”«»„':
            continue
        start = token.start() + _leading(text)
        bare = _POSSESSIVE.sub("", text.strip(_PUNCTUATION))
        if min_length <= len(bare) <= LONGEST and _WORD.fullmatch(bare) and bare[1:] == bare[1:].lower():
            found.append((start, start + len(bare)))
    return found


_PUNCTUATION = ".,;:!?()[]{}<>'’‘…–—*`"


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip(_PUNCTUATION))
