"""How well the support proxy tells what a passage supports from what it does not, on squad2_dev.

    python -m rag_pipelines_tests.benchmarks.answer_support [--questions 700] [--home FOLDER] [--json]

Supported: the sentence that holds a gold answer, with its paragraph; and question and gold answer as one statement,
whose words are mostly others than the paragraph's. Not supported: both with the nearest other paragraph that a search
for the question finds and with another one of the article; the sentence with one number changed; and the question with
the answer to another question of the article, which the paragraph may hold too. Weight and threshold are chosen on
half of the articles and reported on the other half.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipelines.answers.reading import Reading, reading_of, sentences_of
from rag_pipelines.answers.support import Support, Supporter
from rag_pipelines.config.answers import SupportConfig
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.types import Citation, FloatArray, Passage
from rag_pipelines.evaluation.abstention import best_threshold, halves, roc_area
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines_tests.benchmarks.abstention import SEED, SET
from rag_pipelines_tests.benchmarks.retrieval_sets import ASKER, INDEX, open_set
from rag_pipelines_tests.shared_data import shared_data_or_none

WEIGHTS = (1.0, 0.75, 0.5, 0.25, 0.0)
SUPPORTED = ("gold sentence", "question and answer")
NEAREST = ("gold sentence, nearest other passage", "question and answer, nearest other passage")
OTHERS = ("gold sentence, another of the article", "a number changed", "question and another answer")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and what it cites; `kind` is one of those above."""

    kind: str
    article: str
    support: Support


@dataclass(frozen=True, slots=True)
class Weighed:
    """One weight of the terms: on the tuned half its AUROC, on the other half AUROC, accuracy at its threshold."""

    terms_weight: float
    tuned_auroc: float
    threshold: float
    auroc: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Of the pairs of one kind in the held-out half, the share that counts as supported."""

    kind: str
    pairs: int
    chosen: float
    without_numbers: float
    with_names: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`weighed` compares weights, `rates` are of the configuration with the best one."""

    questions: int
    weighed: list[Weighed]
    chosen: SupportConfig
    rates: list[Rate]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """JSON lines."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def passage(row: dict[str, Any]) -> Passage:
    """A paragraph of the corpus as a search would give it."""
    where = Citation(
        "docs", row["_id"], row["_id"], row["_id"], 0, len(row["text"]), None, (), "", "", "", "", "", 1
    )
    return Passage(1, 1.0, row["text"], row["title"], where)


def remembering(embed: Callable[[Sequence[str]], FloatArray]) -> Callable[[Sequence[str]], FloatArray]:
    """The same text is embedded once."""
    known: dict[str, FloatArray] = {}

    def found(texts: Sequence[str]) -> FloatArray:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(zip(missing, embed(missing), strict=True))
        return np.stack([known[text] for text in texts])

    return found


def pairs(
    rows: Sequence[dict[str, Any]],
    corpus: dict[str, dict[str, Any]],
    reading: Reading,
    nearest: Callable[[str, str], Passage | None],
) -> list[Pair]:
    """Every kind of pair for each answerable question."""
    rng = np.random.default_rng(SEED)
    of_article: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of_article.setdefault(corpus[row["metadata"]["gold_doc"]]["title"], []).append(row)
    config = SupportConfig()
    found: list[Pair] = []
    for row in rows:
        gold = corpus[row["metadata"]["gold_doc"]]
        answer = row["metadata"]["answers"][0]
        sentence = next((one for one in sentences_of(gold["text"]) if answer in one), None)
        near = nearest(row["text"], gold["_id"])
        if sentence is None or near is None:
            continue
        statement = f"{row['text'].rstrip('? ')}: {answer}."
        siblings = [one for one in corpus.values() if one["title"] == gold["title"] and one is not gold]
        other = passage(siblings[int(rng.integers(len(siblings)))])
        cases = [
            (SUPPORTED[0], sentence, passage(gold)),
            (SUPPORTED[1], statement, passage(gold)),
            (NEAREST[0], sentence, near),
            (NEAREST[1], statement, near),
            (OTHERS[0], sentence, other),
        ]
        if _NUMBER.search(sentence):
            changed = _NUMBER.sub(lambda at: str(int(at[0]) + 1), sentence, count=1)
            cases.append((OTHERS[1], changed, passage(gold)))
        foreign = [
            one["metadata"]["answers"][0]
            for one in of_article[gold["title"]]
            if one["metadata"]["answers"][0] not in statement
        ]
        if foreign:
            wrong = foreign[int(rng.integers(len(foreign)))]
            cases.append((OTHERS[2], f"{row['text'].rstrip('? ')}: {wrong}.", passage(gold)))
        found += [
            Pair(kind, gold["title"], Supporter(config, reading, [cited]).support(text, [1]))
            for kind, text, cited in cases
        ]
    return found


def weighed(tuned: Sequence[Pair], held_out: Sequence[Pair], weight: float) -> Weighed:
    """Threshold by the tuned half: supported pairs against the nearest other passages."""
    config = SupportConfig(terms_weight=weight, threshold=0)

    def scores(half: Sequence[Pair], kinds: Sequence[str]) -> list[float]:
        return [pair.support.score(config) for pair in half if pair.kind in kinds]

    yes, no = scores(tuned, SUPPORTED), scores(tuned, NEAREST)
    threshold = best_threshold(yes, no)
    others, none = scores(held_out, SUPPORTED), scores(held_out, NEAREST)
    right = sum(score >= threshold for score in others) + sum(score < threshold for score in none)
    return Weighed(
        weight,
        roc_area(yes, no),
        threshold,
        roc_area(others, none),
        right / (len(others) + len(none)),
    )


def rates(held_out: Sequence[Pair], config: SupportConfig) -> list[Rate]:
    """What the configuration makes of each kind, and what its rules on numbers and names add."""
    bare, strict = (config.model_copy(update=change) for change in ({"numbers": False}, {"names": True}))
    found = []
    for kind in (*SUPPORTED, *NEAREST, *OTHERS):
        own = [pair.support for pair in held_out if pair.kind == kind]
        if own:
            shares = [sum(one.holds(rule) for one in own) / len(own) for rule in (config, bare, strict)]
            found.append(Rate(kind, len(own), *shares))
    return found


def run(questions: int, home: Path) -> Calibrated:
    """Make the pairs, choose, report."""
    folder = shared_data_or_none("retrieval", SET)
    if folder is None:
        raise SystemExit(f"the corpus {SET} is not here; set RAG_SHARED_DATA")
    corpus = {row["_id"]: row for row in read_rows(folder / "corpus.jsonl")}
    rows = read_rows(folder / "queries.jsonl")
    rows = [row for row in rows if row["metadata"]["answerable"]]
    order = np.random.default_rng(SEED).permutation(len(rows))[:questions]
    rows = [rows[place] for place in sorted(order)]
    environment = open_set(SET, home).environment
    with Searchers(environment, load_configuration(environment.configs)) as searchers:
        searcher = searchers.get(INDEX)
        plain = reading_of(searcher)
        reading = replace(plain, embed=remembering(plain.embed))

        def nearest(question: str, gold: str) -> Passage | None:
            found = searcher.search(question, 4, ASKER).passages
            return next((one for one in found if one.citation.uri != gold), None)

        found = pairs(rows, corpus, reading, nearest)
    first, _ = halves(pair.article for pair in found)
    tuned = [pair for pair in found if pair.article in first]
    held_out = [pair for pair in found if pair.article not in first]
    compared = [weighed(tuned, held_out, weight) for weight in WEIGHTS]
    best = max(compared, key=lambda one: one.tuned_auroc)
    chosen = SupportConfig(terms_weight=best.terms_weight, threshold=round(best.threshold, 2))
    return Calibrated(len(rows), compared, chosen, rates(held_out, chosen))


def table(found: Calibrated) -> str:
    """Markdown."""
    lines = [
        "| weight of terms | AUROC, tuned half | threshold | AUROC, held out | told apart, held out |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.terms_weight:g} | {one.tuned_auroc:.3f} | {one.threshold:.3f} | {one.auroc:.3f} "
        f"| {one.accuracy:.1%} |"
        for one in found.weighed
    ]
    lines += [
        "",
        f"Taken as supported with weight {found.chosen.terms_weight:g} and threshold {found.chosen.threshold:g}, on "
        "the held-out half:",
        "",
        "| pair | pairs | score and numbers | score alone | and names |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.kind} | {one.pairs:,} | {one.chosen:.1%} | {one.without_numbers:.1%} | {one.with_names:.1%} |"
        for one in found.rates
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the tables or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=int, default=700)
    parser.add_argument("--home", type=Path, help="where the index is kept for the next run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-answers-") as scratch:
        found = run(options.questions, (options.home or Path(scratch)).resolve())
    shown = {**asdict(found), "chosen": found.chosen.model_dump()}
    print(json.dumps(shown) if options.json else table(found))


if __name__ == "__main__":
    main()
