"""How well an index tells questions that it answers from those that it does not.

    python -m rag_pipelines_tests.benchmarks.abstention [--questions 3000] [--off-topic 300] [--home FOLDER] [--json]

squad2_dev is indexed by the real pipeline with the bundled model. Its unanswerable questions are adversarial: they
were written to look as if a paragraph of the index answered them. Weights and threshold are fitted on half of the
articles and measured on the other half. Claims of scifact, asked of the same index, are off topic; half of them are
in the suite of the second calibration as questions without an answer, the other half is asked of both. More
questions than `--questions` are sampled, the same share of every article, seeded.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from rag_pipelines.config.calibration import Calibration
from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.config.load import load_configuration
from rag_pipelines.evaluation.abstention import halves, roc_area
from rag_pipelines.evaluation.calibration import calibrate
from rag_pipelines.evaluation.qrels import Query
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines.retrieval.abstention import Evidence, confidence
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines_tests.benchmarks.retrieval_sets import ASKER, INDEX, open_set
from rag_pipelines_tests.shared_data import shared_data_or_none

SET, FOREIGN, GROUP = "squad2_dev", "scifact", "article"
SEED = 20261123


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one calibration, on the articles that it was not fitted on.

    `always` is the accuracy of giving every held-out question the commoner of the two answers. `off_topic_auroc`
    is of answerable held-out questions against off-topic ones that no calibration saw, `off_topic_refused` the
    share of those below the threshold, `answered` that of answerable questions which are not.
    """

    calibration: str
    fitted: int
    held_out: int
    auroc: float
    accuracy: float
    always: float
    answered: float
    off_topic_auroc: float
    off_topic_refused: float


@dataclass(frozen=True, slots=True)
class SignAlone:
    """AUROC of one sign over all questions, against adversarial and against off-topic ones, and its weight."""

    sign: str
    adversarial: float
    off_topic: float
    weight: float


@dataclass(frozen=True, slots=True)
class Measured:
    """`search_ms` and `judged_ms` are medians of a search without and with a confidence."""

    questions: int
    off_topic: int
    outcomes: list[Outcome]
    signs: list[SignAlone]
    search_ms: float
    judged_ms: float


def questions(folder: Path, most: int) -> dict[str, Query]:
    """The questions with the article that they are about; a sample of every article where there are more."""
    titles = {row["_id"]: row["title"] for row in _rows(folder / "corpus.jsonl")}
    by_article: dict[str, list[Query]] = defaultdict(list)
    rows = _rows(folder / "queries.jsonl")
    for line, row in enumerate(rows, 1):
        article = titles[row["metadata"]["gold_doc"]]
        query = Query(row["_id"], row["text"], {GROUP: article}, bool(row["metadata"]["answerable"]), line)
        by_article[article].append(query)
    share = min(1.0, most / len(rows))
    rng = np.random.default_rng(SEED)
    chosen = [
        of_article[place]
        for _, of_article in sorted(by_article.items())
        for place in sorted(rng.permutation(len(of_article))[: round(share * len(of_article))])
    ]
    return {query.query_id: query for query in chosen}


def foreign_questions(folder: Path, count: int) -> dict[str, Query]:
    """Claims about something else, each an article of its own."""
    rows = _rows(folder / "queries.jsonl")
    chosen = np.random.default_rng(SEED).permutation(len(rows))[:count]
    found = (rows[place] for place in sorted(chosen))
    return {
        name: Query(name, row["text"], {GROUP: name}, False, 0)
        for row in found
        for name in (f"{FOREIGN}-{row['_id']}",)
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def suite_of(queries: Mapping[str, Query]) -> Suite:
    """A suite of these questions; what is relevant does not matter here."""
    config = EvaluationConfig(suite=SET, path="unused")
    return Suite(config, dict(queries), {}, "0" * 64)


def outcome(
    name: str,
    made: Calibration,
    held_out: Mapping[str, Query],
    found: Mapping[str, Evidence],
    foreign: Sequence[str],
) -> Outcome:
    """What a calibration does with questions of articles, and with off-topic ones, that it was not fitted on."""
    scores = {query_id: confidence(made, found[query_id].signs) for query_id in (*held_out, *foreign)}
    yes = [scores[query_id] for query_id, query in held_out.items() if query.answerable]
    no = [scores[query_id] for query_id, query in held_out.items() if not query.answerable]
    off = [scores[query_id] for query_id in foreign]
    right = sum(score >= made.threshold for score in yes) + sum(score < made.threshold for score in no)
    return Outcome(
        name,
        made.fitted,
        len(held_out),
        roc_area(yes, no),
        right / len(held_out),
        max(len(yes), len(no)) / len(held_out),
        sum(score >= made.threshold for score in yes) / len(yes),
        roc_area(yes, off),
        sum(score < made.threshold for score in off) / len(off),
    )


def run(most: int, off_topic: int, home: Path) -> Measured:
    """Ask everything once, calibrate twice, measure both."""
    folder, other = shared_data_or_none("retrieval", SET), shared_data_or_none("retrieval", FOREIGN)
    if folder is None or other is None:
        raise SystemExit(f"the corpora {SET} and {FOREIGN} are not here; set RAG_SHARED_DATA")
    judged, foreign = questions(folder, most), foreign_questions(other, off_topic)
    environment = open_set(SET, home).environment
    search_ms: list[float] = []
    judged_ms: list[float] = []
    with Searchers(environment, load_configuration(environment.configs)) as searchers:
        searcher = searchers.get(INDEX)
        searcher.warm()
        found = {}
        for query_id, query in {**judged, **foreign}.items():
            began = time.perf_counter()
            found[query_id] = searcher.evidence(query.text, ASKER)
            judged_ms.append((time.perf_counter() - began) * 1000)
            if len(search_ms) < 300:
                began = time.perf_counter()
                searcher.search(query.text, 3, ASKER)
                search_ms.append((time.perf_counter() - began) * 1000)
    seen, unseen = (sorted(half) for half in halves(foreign))
    first, _ = halves(str(query.metadata[GROUP]) for query in judged.values())
    held_out = {query_id: query for query_id, query in judged.items() if query.metadata[GROUP] not in first}
    plain = calibrate(suite_of(judged), INDEX, {name: found[name] for name in judged}, GROUP)
    # Off-topic questions join the half that is fitted: what is measured has the same articles either way.
    joined = {
        **judged,
        **{name: Query(name, "", {GROUP: min(first)}, False, 0) for name in seen},
    }
    mixed = calibrate(suite_of(joined), INDEX, {name: found[name] for name in joined}, GROUP)
    outcomes = [
        outcome("adversarial questions", plain, held_out, found, unseen),
        outcome("adversarial and off-topic questions", mixed, held_out, found, unseen),
    ]
    return Measured(
        len(judged),
        len(foreign),
        outcomes,
        _alone(plain, judged, foreign, found),
        median(search_ms),
        median(judged_ms),
    )


def _alone(
    made: Calibration,
    judged: Mapping[str, Query],
    foreign: Mapping[str, Query],
    found: Mapping[str, Evidence],
) -> list[SignAlone]:
    yes = [name for name, query in judged.items() if query.answerable]
    no = [name for name, query in judged.items() if not query.answerable]

    def area(sign: str, others: Sequence[str]) -> float:
        return roc_area([found[q].signs[sign] for q in yes], [found[q].signs[sign] for q in others])

    rows = [
        SignAlone(name, area(name, no), area(name, list(foreign)), sign.weight)
        for name, sign in made.signs.items()
    ]
    return sorted(rows, key=lambda row: -row.adversarial)


def table(measured: Measured) -> str:
    """Markdown."""
    lines = [
        "| fitted on | questions | held out | AUROC | told apart | always the same answer | answerable answered "
        "| off-topic AUROC | off-topic refused |",
        "|---|" + "---:|" * 8,
    ]
    lines += [
        f"| {row.calibration} | {row.fitted:,} | {row.held_out:,} | {row.auroc:.3f} | {row.accuracy:.1%} "
        f"| {row.always:.1%} | {row.answered:.1%} | {row.off_topic_auroc:.3f} | {row.off_topic_refused:.1%} |"
        for row in measured.outcomes
    ]
    lines += ["", "| sign | AUROC, adversarial | AUROC, off topic | weight |", "|---|---:|---:|---:|"]
    lines += [
        f"| `{row.sign}` | {row.adversarial:.3f} | {row.off_topic:.3f} | {row.weight:.2f} |"
        for row in measured.signs
    ]
    lines += [
        "",
        f"{measured.questions:,} questions and {measured.off_topic:,} off topic. Median of a search "
        f"{measured.search_ms:.1f} ms, of the same with its signs {measured.judged_ms:.1f} ms.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the tables or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=int, default=3000)
    parser.add_argument("--off-topic", type=int, default=300)
    parser.add_argument("--home", type=Path, help="where the index is kept for the next run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-abstention-") as scratch:
        measured = run(options.questions, options.off_topic, (options.home or Path(scratch)).resolve())
    print(json.dumps(asdict(measured)) if options.json else table(measured))


if __name__ == "__main__":
    main()
