"""What near-duplicate detection does to answers: how many of the first ten say something of their own.

    python -m rag_pipelines_tests.benchmarks.near_duplicate_retrieval [--pages 600] [--questions 100] [--json]

Corpora: pages of awsdocs_dev (every judged one, every one that has a near-duplicate, others at random) with its
questions and judgements; the same with a second source that has each page again; and six releases of the etcd
documentation, asked for the titles and headings of pages. One home and one set of vectors a corpus; between
conditions only the YAML changes. Measured over the first ten passages, in the mean over the questions:

- distinct: texts of which no two have a Jaccard similarity of 0.8 or more;
- useful: those of them from a judged document, or with one among their locations;
- found: share of questions with a judged document among passages or locations;
- named: share of the judged documents that passages or locations name;
- nDCG@10 of documents in the order in which they are first named, where people judged.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import sqlalchemy as sa
import yaml

from rag_pipelines.catalog.duplicates import count_duplicates
from rag_pipelines.catalog.store import reading
from rag_pipelines.catalog.tables import chunks
from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.core.types import Passage, Principal
from rag_pipelines.dedup import Shingles, jaccard, shingle
from rag_pipelines.pipeline.sync import sync, sync_report
from rag_pipelines.pipeline.workspace import open_workspace
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines_tests.benchmarks.near_duplicate_questions import Corpus, Question, aws_docs, etcd_docs
from rag_pipelines_tests.project import shared_models_dir

INDEX, TENANT, K, ALIKE = "knowledge", "bench", 10, 0.8
ASKER = Principal("benchmark", TENANT)


@dataclass(frozen=True, slots=True)
class Condition:
    """What the YAML says of duplicates."""

    name: str
    policy: str
    distinct: bool
    within: tuple[str, ...] = ()


CONDITIONS = (
    Condition("off", "off", False),
    Condition("off, distinct", "off", True),
    Condition("mark, distinct", "mark", True),
    Condition("collapse, distinct", "collapse", True),
)
APART = Condition("collapse within the release, distinct", "collapse", True, ("release",))


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one question: its texts, and the uris that each passage names, its own first."""

    texts: tuple[str, ...]
    named: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """Of one condition on one corpus; the measures are means over the questions."""

    corpus: str
    condition: str
    questions: int
    documents: int
    duplicates: int
    collapsed: int
    chunks: int
    vectors: int
    distinct: float
    useful: float
    found: float
    named: float
    ndcg: float | None
    milliseconds: float
    sync_seconds: float


def configure(root: Path, corpus: Corpus, condition: Condition) -> Environment:
    """Write the YAML; the home stays."""
    home = root / "home"
    if not home.exists():
        home.mkdir(parents=True)
        (home / "models").symlink_to(shared_models_dir())
    common = {"tenant": TENANT, "acl": ["*"], "dedup": {"policy": condition.policy}}
    files: dict[str, dict[str, Any]] = {
        f"sources/{name}": {"source": name, **common, **source} for name, source in corpus.sources.items()
    }
    files[f"indexes/{INDEX}"] = {
        "index": INDEX,
        "dedup": {"within": list(condition.within)},
        "retrieval": {"distinct": condition.distinct},
    }
    files["service"] = {"principal": {"tenant": TENANT}}
    for name, data in files.items():
        path = root / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return read_environment({"RAG_HOME": str(home), "RAG_CONFIGS": str(root / "configs")})


def measure(root: Path, corpus: Corpus, condition: Condition) -> Effect:
    """Sync under the condition and ask every question."""
    environment = configure(root, corpus, condition)
    names = tuple(corpus.sources)
    began = time.perf_counter()
    with open_workspace(environment) as workspace:
        run = sync(workspace, names)
        report = sync_report(workspace, INDEX, names, run, 0.0)
        configuration = workspace.configuration
        counts = sa.select(sa.func.count(), sa.func.count(sa.distinct(chunks.c.embed_hash)))
        with reading(workspace.catalog.engine) as tx:
            cut, texts = tx.execute(counts.where(chunks.c.index_name == INDEX)).one()
        copies = count_duplicates(workspace.catalog, INDEX)
    seconds = time.perf_counter() - began
    with Searchers(environment, configuration) as searchers:
        searcher = searchers.get(INDEX)
        searcher.warm()
        began = time.perf_counter()
        answers = [answered(searcher.search(asked.text, K, ASKER).passages) for asked in corpus.questions]
        milliseconds = (time.perf_counter() - began) / len(answers) * 1000
    pairs = list(zip(corpus.questions, answers, strict=True))
    return Effect(
        corpus.name,
        condition.name,
        len(pairs),
        sum(report.sources[name]["listed"] for name in names),
        copies["duplicates"],
        copies["collapsed"],
        cut,
        texts,
        fmean(len(distinct(answer.texts)) for answer in answers),
        fmean(useful(asked, answer) for asked, answer in pairs),
        fmean(bool(named(asked, answer)) for asked, answer in pairs),
        fmean(len(named(asked, answer)) / len(asked.judged) for asked, answer in pairs),
        fmean(ndcg(asked, answer) for asked, answer in pairs) if corpus.graded else None,
        milliseconds,
        seconds,
    )


def answered(passages: Sequence[Passage]) -> Answer:
    """What of the passages is measured."""
    return Answer(
        tuple(passage.text for passage in passages),
        tuple(
            tuple(dict.fromkeys((passage.citation.uri, *(place.uri for place in passage.locations))))
            for passage in passages
        ),
    )


def distinct(texts: Sequence[str]) -> list[int]:
    """Places of the texts that are not like one before them."""
    kept: list[tuple[int, Shingles]] = []
    for place, text in enumerate(texts):
        own = shingle(text)
        if all(jaccard(own, other) < ALIKE for _, other in kept):
            kept.append((place, own))
    return [place for place, _ in kept]


def useful(asked: Question, answer: Answer) -> int:
    """Distinct texts of judged documents."""
    chosen = [text for text, uris in zip(answer.texts, answer.named, strict=True) if asked.judged & set(uris)]
    return len(distinct(chosen))


def named(asked: Question, answer: Answer) -> set[str]:
    """The judged documents that the answer names."""
    return {uri for uris in answer.named for uri in uris} & asked.judged


def ndcg(asked: Question, answer: Answer) -> float:
    """nDCG@10: a passage gains once where it is the first to name a judged document."""
    seen: set[str] = set()
    gained = 0.0
    for rank, uris in enumerate(answer.named, start=1):
        fresh = (asked.judged & set(uris)) - seen
        seen |= fresh
        gained += bool(fresh) / math.log2(rank + 1)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(asked.judged), K) + 1))
    return gained / best


def table(effects: Sequence[Effect]) -> str:
    """Markdown."""
    lines = [
        "| corpus | condition | chunks | vectors | collapsed | distinct | useful | found | named | nDCG@10 | ms |",
        "|---|---|" + "---:|" * 9,
    ]
    lines += [
        f"| {one.corpus} | {one.condition} | {one.chunks:,} | {one.vectors:,} | {one.collapsed:,} "
        f"| {one.distinct:.2f} | {one.useful:.2f} | {one.found:.3f} | {one.named:.3f} "
        f"| {'' if one.ndcg is None else f'{one.ndcg:.3f}'} | {one.milliseconds:.0f} |"
        for one in effects
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table or one JSON list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pages", type=int, default=600, help="of awsdocs_dev")
    parser.add_argument("--questions", type=int, default=100, help="to the etcd documentation")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    effects: list[Effect] = []
    with tempfile.TemporaryDirectory(prefix="rag-duplicates-") as folder:
        scratch = Path(folder)
        corpora = (
            aws_docs(scratch, options.pages, mirrored=False),
            aws_docs(scratch, options.pages, mirrored=True),
            etcd_docs(scratch, options.questions),
        )
        for number, corpus in enumerate(corpora):
            conditions = (*CONDITIONS, APART) if corpus.releases else CONDITIONS
            effects += [measure(scratch / f"project-{number}", corpus, one) for one in conditions]
    print(json.dumps([asdict(effect) for effect in effects]) if options.json else table(effects))


if __name__ == "__main__":
    main()
