"""The suites that are published elsewhere load, and measure what they should."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ir_measures
import pytest

from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.config.files import ConfigFile
from rag_pipelines.core.types import Passage
from rag_pipelines.evaluation.running import run_suite
from rag_pipelines.evaluation.runs import read_run, write_run
from rag_pipelines.evaluation.suites import Suite, read_suite
from rag_pipelines_tests.evaluation.samples import Counting, passage
from rag_pipelines_tests.shared_data import shared_data


def published(name: str, **fields: Any) -> Suite:
    """The suite of a folder."""
    root = shared_data("retrieval", name).parent
    return read_suite(
        ConfigFile(Path("suite.yaml"), {}, {}), EvaluationConfig(suite=name, path=name, **fields), root
    )


@pytest.mark.parametrize(
    ("name", "asked", "judged", "unjudged"),
    [
        ("scifact", 300, 300, 809),
        ("cranfield", 225, 225, 0),
        ("vaswani_npl", 93, 93, 0),
        ("awsdocs_dev", 43, 43, 0),
        ("squad2_dev", 2828, 1299, 0),
        ("xquad_zh", 1190, 1190, 0),
    ],
)
def test_sizes(name: str, asked: int, judged: int, unjudged: int) -> None:
    suite = published(name)
    assert (len(suite.queries), len(suite.judged), len(suite.unjudged)) == (asked, judged, unjudged)


def test_spans_of_answers_are_judged_passages(tmp_path: Path) -> None:
    rows = ["query-id\tcorpus-id\tstart\tend\tscore"]
    folder = shared_data("retrieval", "squad2_dev")
    for line in (folder / "answer_spans.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        rows += [
            f"{row['_id']}\t{row['article']}\t{start}\t{start + len(text)}\t1"
            for start, text in row["answers"]
        ]
    (tmp_path / "spans.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    suite = published("squad2_dev", qrels=str(tmp_path / "spans.tsv"), level="passage")
    assert (len(suite.judged), sum(map(len, suite.judgements.values()))) == (1299, 2474)


def test_scifact_by_the_words_it_shares(tmp_path: Path) -> None:
    """Inverse document frequencies of shared words, summed, as any other program would score this run."""
    suite = published("scifact")
    lines = (shared_data("retrieval", "scifact") / "corpus.jsonl").read_text("utf-8").splitlines()
    holds: dict[str, set[str]] = defaultdict(set)
    for document in map(json.loads, lines):
        for word in re.findall(r"\w+", f"{document['title']} {document['text']}".lower()):
            holds[word].add(document["_id"])
    weights = {word: math.log(len(lines) / (1 + len(found))) for word, found in holds.items()}

    def search(text: str, k: int) -> Sequence[Passage]:
        scores: Counter[str] = Counter()
        for word in sorted(set(re.findall(r"\w+", text.lower())) & holds.keys()):
            for name in holds[word]:
                scores[name] += weights[word]  # type: ignore[assignment]
        best = sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:k]
        return [passage(name, score) for name, score in best]

    run = run_suite(suite, search, Counting(), index="scifact")
    values = run.values("nDCG@10")
    assert sum(values.values()) / len(values) == pytest.approx(0.6189, abs=0.0005)
    write_run(run, tmp_path)
    assert read_run(tmp_path).queries == run.queries
    qrels = [
        ir_measures.Qrel(row.query_id, row.document, row.grade)
        for rows in suite.judgements.values()
        for row in rows
    ]
    elsewhere = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in run.measures],
        qrels,
        ir_measures.read_trec_run(str(tmp_path / "run.trec")),  # type: ignore[no-untyped-call]
    )
    ours = {name: sum(run.values(name).values()) / 300 for name in run.measures}
    assert {str(name): value for name, value in elsewhere.items()} == pytest.approx(ours)
