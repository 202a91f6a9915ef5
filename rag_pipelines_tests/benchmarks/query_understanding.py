"""What spelling and synonyms do to answers: nDCG@10 of questions as they are, misspelt and abbreviated.

    python -m rag_pipelines_tests.benchmarks.query_understanding [--sets scifact cranfield] [--home FOLDER] [--json]

Each set is indexed once below `--home` by the real pipeline with the bundled model. `misspelt`: in each question one
word in three (at least one) of five letters or more has a slip, drawn by seed: a letter doubled, left out, swapped
with its neighbour or hit beside on the keyboard. `abbreviated`: phrases of the set's questions that have a usual
short form are replaced by it; questions without one are left out. Conditions differ in `retrieval.query` alone.
`changed` counts questions that were corrected or expanded; `p` is of a paired randomisation test against `plain`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

from rag_pipelines.config.load import load_configuration
from rag_pipelines.config.retrieval import RetrievalConfig
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines_tests.benchmarks.retrieval_quality import SEED, K, randomisation, scored
from rag_pipelines_tests.benchmarks.retrieval_sets import ASKER, INDEX, SETS, JudgedSet, open_set

REPORTED = ("scifact", "cranfield", "awsdocs_dev")
PLAIN = "plain"
SHORT_FORMS: Mapping[str, str] = {
    "boundary layer": "BL",
    "angle of attack": "AoA",
    "heat transfer": "HT",
    "virtual machine": "VM",
    "load balancer": "LB",
    "database": "DB",
    "security group": "SG",
    "red blood cell": "RBC",
    "blood pressure": "BP",
    "body mass index": "BMI",
    "breast cancer": "BC",
    "embryonic stem cells": "ESCs",
    "stem cells": "SCs",
    "type 2 diabetes": "T2D",
    "coronary heart disease": "CHD",
    "cardiovascular disease": "CVD",
    "immune system": "IS",
    "bone marrow": "BM",
    "amyotrophic lateral sclerosis": "ALS",
    "tumor necrosis factor": "TNF",
    "transcription factor": "TF",
    "insulin resistance": "IR",
    "clinical trial": "CT",
}
BESIDE = {
    **{a: b for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for a, b in pairwise(row)},
    "p": "o",
    "l": "k",
    "m": "n",
}
_WORD = re.compile(r"\b[a-z]{5,}\b")


@dataclass(frozen=True, slots=True)
class Understood:
    """Of one kind of questions under one condition."""

    set: str
    asked: str
    condition: str
    questions: int
    changed: int
    ndcg: float
    p50_ms: float
    gain: float | None = None
    p_value: float | None = None


def misspelt(question: str, rng: random.Random) -> str:
    """One word in three with a slip; a question without a long word stays as it is."""
    words = list(_WORD.finditer(question))
    chosen = {match.start() for match in rng.sample(words, -(-len(words) // 3))} if words else set()
    return _WORD.sub(lambda match: slip(match[0], rng) if match.start() in chosen else match[0], question)


def slip(word: str, rng: random.Random) -> str:
    """The word with one slip behind its first letter."""
    at = rng.randrange(1, len(word) - 1)
    kind = rng.choice(("double", "leave out", "swap", "beside"))
    match kind:
        case "double":
            return word[:at] + word[at] + word[at:]
        case "leave out":
            return word[:at] + word[at + 1 :]
        case "swap" if word[at] != word[at + 1]:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case _:
            return word[:at] + BESIDE[word[at]] + word[at + 1 :]


def abbreviated(question: str) -> str:
    """Every phrase that has a short form replaced by it, the longest first."""
    text = question
    for phrase in sorted(SHORT_FORMS, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(phrase)}\b", SHORT_FORMS[phrase], text, flags=re.I)
    return text


def asked_questions(judged: JudgedSet) -> dict[str, dict[str, str]]:
    """Kind -> question id -> text."""
    rng = random.Random(SEED)
    short = {query_id: abbreviated(text) for query_id, text in judged.queries.items()}
    return {
        "as it is": dict(judged.queries),
        "misspelt": {query_id: misspelt(text, rng) for query_id, text in judged.queries.items()},
        "abbreviated": {
            query_id: text for query_id, text in short.items() if text != judged.queries[query_id]
        },
    }


def conditions(kind: str) -> dict[str, Mapping[str, Any]]:
    """What is compared for a kind of questions, the first being what the others are compared with."""
    synonyms = {"one_way": {short: [phrase] for phrase, short in SHORT_FORMS.items()}}
    spelling: dict[str, Mapping[str, Any]] = {
        PLAIN: {},
        "spelling": {"spelling": {}},
        "spelling from 4 letters": {"spelling": {"min_length": 4}},
    }
    expanding: dict[str, Mapping[str, Any]] = {
        PLAIN: {},
        "synonyms": {"synonyms": synonyms},
        "synonyms, weight 1": {"synonyms": {**synonyms, "weight": 1.0}},
        "synonyms, dense too": {"synonyms": {**synonyms, "dense": True}},
        "synonyms, phrasings": {"synonyms": synonyms, "phrasings": {"sources": ["synonyms"]}},
    }
    if kind == "abbreviated":
        return expanding
    if kind == "misspelt":
        return spelling
    return {
        **spelling,
        "synonyms": expanding["synonyms"],
        "phrasings without function words": {"phrasings": {"sources": ["keywords"]}},
    }


def measure(judged: JudgedSet) -> list[Understood]:
    """Every kind of questions under its conditions."""
    rows = []
    for kind, questions in asked_questions(judged).items():
        if not questions:
            continue
        qrels = {query_id: judged.qrels[query_id] for query_id in questions}
        plain: dict[str, float] | None = None
        for name, settings in conditions(kind).items():
            run, changed, milliseconds = answers(judged, questions, settings)
            ndcg, _ = scored(qrels, run)
            row = Understood(
                judged.name, kind, name, len(questions), changed, fmean(ndcg.values()), milliseconds
            )
            if plain is None:
                plain = ndcg
            else:
                gain = row.ndcg - fmean(plain.values())
                row = replace(row, gain=gain, p_value=randomisation(ndcg, plain))
            rows.append(row)
    return rows


def answers(
    judged: JudgedSet, questions: Mapping[str, str], settings: Mapping[str, Any]
) -> tuple[dict[str, list[str]], int, float]:
    """The documents of each question best first, how many questions were changed, and the median milliseconds."""
    environment = judged.environment
    configuration = load_configuration(environment.configs)
    retrieval = RetrievalConfig.model_validate({"query": settings})
    chosen = configuration.indexes[INDEX].model_copy(update={"retrieval": retrieval})
    configuration = replace(configuration, indexes={INDEX: chosen})
    run: dict[str, list[str]] = {}
    took: list[float] = []
    changed = 0
    with Searchers(environment, configuration) as searchers:
        searcher = searchers.get(INDEX)
        searcher.warm()
        for query_id, text in questions.items():
            began = time.perf_counter()
            result = searcher.search(text, K, ASKER)
            took.append((time.perf_counter() - began) * 1000)
            told = result.understanding
            changed += told is not None and bool(told.corrections or told.expansions or told.phrasings)
            run[query_id] = list(dict.fromkeys(passage.citation.uri for passage in result.passages))
    return run, changed, median(took)


def table(rows: list[Understood]) -> str:
    """Markdown."""
    lines = [
        "| set | questions | condition | n | changed | nDCG@10 | p50 ms | gain | p |",
        "|---|---|---|" + "---:|" * 6,
    ]
    for row in rows:
        gain = "" if row.gain is None else f"{row.gain:+.4f}"
        p_value = "" if row.p_value is None else f"{row.p_value:.5f}"
        lines.append(
            f"| {row.set} | {row.asked} | {row.condition} | {row.questions} | {row.changed} | {row.ndcg:.4f} "
            f"| {row.p50_ms:.1f} | {gain} | {p_value} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table or one JSON list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(REPORTED))
    parser.add_argument("--home", type=Path, help="where the indexes are kept for the next run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-understanding-") as scratch:
        home = (options.home or Path(scratch)).resolve()
        rows = [row for name in options.sets for row in measure(open_set(name, home))]
    print(json.dumps([asdict(row) for row in rows]) if options.json else table(rows))


if __name__ == "__main__":
    main()
