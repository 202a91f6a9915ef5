"""What extractive answers are worth on squad2_dev: asked over HTTP of the whole service, over a real index.

    python -m rag_pipelines_tests.benchmarks.answers [--questions 600] [--k 8] [--home FOLDER] [--json]

Every question is answered twice. First by an index that does not abstain: how many sentences carry a citation, how many
of them count as supported, how many stand word for word in every passage that they cite, and of answerable questions,
whether a gold answer stands in the text and whether the gold paragraph is cited. Unsupported sentences are marked, not
dropped, so that their rate shows. Then, those of the half of the articles that the calibration was not fitted on, by
the same index with a calibration: whether an answer abstains exactly where the search does. A sample of every article
is asked, seeded. `answer_support` measures what "supported" is worth.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from fastapi.testclient import TestClient

from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.evaluation.abstention import halves
from rag_pipelines.evaluation.calibration import calibrate
from rag_pipelines.evaluation.qrels import Query
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.service.app import create_app
from rag_pipelines_tests.benchmarks.abstention import GROUP, SET, questions, suite_of
from rag_pipelines_tests.benchmarks.answer_support import read_rows
from rag_pipelines_tests.benchmarks.retrieval_sets import ASKER, INDEX, open_set
from rag_pipelines_tests.shared_data import shared_data_or_none

CALIBRATION = "calibration.json"


@dataclass(frozen=True, slots=True)
class Answers:
    """Shares of `sentences` (cited, supported, verbatim) and of `answerable` questions (the rest).

    `gold_found` is the share whose gold answer stands in a passage that was read: no answer can do better.
    """

    answerable: int
    unanswerable: int
    sentences: int
    cited: float
    supported: float
    verbatim: float
    gold_in_text: float
    gold_in_first: float
    gold_cited: float
    gold_found: float
    answered: float
    unanswerable_answered: float
    search_ms: float
    answer_ms: float


@dataclass(frozen=True, slots=True)
class Abstentions:
    """On held-out articles: of both kinds the share that got an answer, and where answer and search agree."""

    questions: int
    answerable_answered: float
    unanswerable_answered: float
    as_the_search: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Both halves of the benchmark."""

    answers: Answers
    abstentions: Abstentions


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with what the service answered, and milliseconds of its search and of its answer."""

    query: Query
    gold: Sequence[str]
    gold_uri: str
    passages: Sequence[Mapping[str, Any]]
    answer: Mapping[str, Any]
    search_ms: float
    answer_ms: float


def post(client: TestClient, route: str, **body: Any) -> tuple[dict[str, Any], float]:
    """The response and its milliseconds."""
    began = time.perf_counter()
    response = client.post(f"/v1/indexes/{INDEX}/{route}", json=body)
    took = (time.perf_counter() - began) * 1000
    if response.status_code != 200:
        raise SystemExit(f"{route} answered {response.status_code}: {response.text}")
    found: dict[str, Any] = response.json()
    return found, took


def ask(client: TestClient, judged: Mapping[str, Query], rows: Mapping[str, Any], k: int) -> list[Asked]:
    """Every question searched and answered."""
    found = []
    for query_id, query in judged.items():
        about = rows[query_id]["metadata"]
        search, search_ms = post(client, "search", query=query.text, k=k)
        answer, answer_ms = post(client, "answer", query=query.text, k=k, unsupported="mark")
        found.append(
            Asked(
                query, about["answers"], about["gold_doc"], search["passages"], answer, search_ms, answer_ms
            )
        )
    return found


def share(values: Sequence[bool]) -> float:
    """Of the true ones; 0 of none."""
    return sum(values) / len(values) if values else 0.0


def holds(text: str, gold: Sequence[str]) -> bool:
    """Whether one of the gold answers stands in the text, whatever the case and white space."""
    plain = " ".join(text.casefold().split())
    return any(" ".join(one.casefold().split()) in plain for one in gold)


def summary(asked: Sequence[Asked]) -> Answers:
    """The figures of the first half."""
    yes = [one for one in asked if one.query.answerable]
    no = [one for one in asked if not one.query.answerable]
    sentences = [(sentence, one) for one in asked for sentence in one.answer["sentences"]]

    def verbatim(sentence: Mapping[str, Any], one: Asked) -> bool:
        texts = {cited["number"]: " ".join(cited["text"].split()) for cited in one.answer["citations"]}
        return all(sentence["text"] in texts[number] for number in sentence["citations"])

    return Answers(
        answerable=len(yes),
        unanswerable=len(no),
        sentences=len(sentences),
        cited=share([bool(sentence["citations"]) for sentence, _ in sentences]),
        supported=share([sentence["supported"] for sentence, _ in sentences]),
        verbatim=share([verbatim(sentence, one) for sentence, one in sentences]),
        gold_in_text=share([holds(one.answer["text"], one.gold) for one in yes]),
        gold_in_first=share([holds(one.answer["sentences"][0]["text"], one.gold) for one in yes]),
        gold_cited=share(
            [one.gold_uri in {cited["uri"] for cited in one.answer["citations"]} for one in yes]
        ),
        gold_found=share([any(holds(found["text"], one.gold) for found in one.passages) for one in yes]),
        answered=share([one.answer["answerable"] for one in yes]),
        unanswerable_answered=share([one.answer["answerable"] for one in no]),
        search_ms=median(one.search_ms for one in asked),
        answer_ms=median(one.answer_ms for one in asked),
    )


def configure(environment: Environment, calibration: bool) -> None:
    """Write the index's YAML, with abstention or without."""
    path = environment.configs / "indexes" / f"{INDEX}.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data.pop("retrieval", None)
    if calibration:
        data["retrieval"] = {"abstention": {"calibration": CALIBRATION}}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")


def fit(environment: Environment, judged: Mapping[str, Query]) -> set[str]:
    """Write the calibration; returns the questions that it was not fitted on."""
    with Searchers(environment, load_configuration(environment.configs)) as searchers:
        searcher = searchers.get(INDEX)
        found = {query_id: searcher.evidence(query.text, ASKER) for query_id, query in judged.items()}
    made = calibrate(suite_of(judged), INDEX, found, GROUP)
    target = environment.configs.parent / CALIBRATION
    target.write_text(made.model_dump_json(), encoding="utf-8")
    first, _ = halves(str(query.metadata[GROUP]) for query in judged.values())
    return {query_id for query_id, query in judged.items() if query.metadata[GROUP] not in first}


def run(most: int, k: int, home: Path) -> Measured:
    """Ask everything, then what is held out once more with abstention."""
    folder = shared_data_or_none("retrieval", SET)
    if folder is None:
        raise SystemExit(f"the corpus {SET} is not here; set RAG_SHARED_DATA")
    judged = questions(folder, most)
    rows = {row["_id"]: row for row in read_rows(folder / "queries.jsonl")}
    environment = open_set(SET, home).environment
    configure(environment, calibration=False)
    app = create_app(environment, load_configuration(environment.configs))
    with TestClient(app, base_url="http://localhost") as client:
        asked = ask(client, judged, rows, k)
    held_out = fit(environment, judged)
    configure(environment, calibration=True)
    app = create_app(environment, load_configuration(environment.configs))
    with TestClient(app, base_url="http://localhost") as client:
        again = ask(client, {name: judged[name] for name in judged if name in held_out}, rows, k)
        decided = [post(client, "search", query=one.query.text, k=k)[0]["answerable"] for one in again]
    yes = [one.answer["answerable"] for one in again if one.query.answerable]
    no = [one.answer["answerable"] for one in again if not one.query.answerable]
    agreed = sum(one.answer["answerable"] == search for one, search in zip(again, decided, strict=True))
    return Measured(summary(asked), Abstentions(len(again), share(yes), share(no), agreed))


def table(measured: Measured) -> str:
    """Markdown."""
    found, abstained = measured.answers, measured.abstentions
    lines = [
        "| measure | of | |",
        "|---|---:|---:|",
        f"| sentences with a citation | {found.sentences:,} | {found.cited:.1%} |",
        f"| sentences that count as supported | {found.sentences:,} | {found.supported:.1%} |",
        f"| sentences that stand in every passage they cite | {found.sentences:,} | {found.verbatim:.1%} |",
        f"| answerable questions that got an answer | {found.answerable:,} | {found.answered:.1%} |",
        f"| gold answer in the text | {found.answerable:,} | {found.gold_in_text:.1%} |",
        f"| gold answer in the first sentence | {found.answerable:,} | {found.gold_in_first:.1%} |",
        f"| gold answer in a passage that was read | {found.answerable:,} | {found.gold_found:.1%} |",
        f"| gold paragraph cited | {found.answerable:,} | {found.gold_cited:.1%} |",
        f"| unanswerable questions that got an answer | {found.unanswerable:,} "
        f"| {found.unanswerable_answered:.1%} |",
        "",
        f"With abstention, on {abstained.questions:,} questions of held-out articles: "
        f"{abstained.answerable_answered:.1%} of the answerable and {abstained.unanswerable_answered:.1%} of the "
        "unanswerable got an answer; the answer abstained exactly where the search did in "
        f"{abstained.as_the_search:,} of {abstained.questions:,}.",
        "",
        f"Median of a search {found.search_ms:.0f} ms, of an answer with its search {found.answer_ms:.0f} ms.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--home", type=Path, help="where the index is kept for the next run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-answers-") as scratch:
        measured = run(options.questions, options.k, (options.home or Path(scratch)).resolve())
    print(json.dumps(asdict(measured)) if options.json else table(measured))


if __name__ == "__main__":
    main()
