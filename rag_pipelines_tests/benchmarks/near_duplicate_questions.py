"""The corpora of `near_duplicate_retrieval`: their sources, questions, and which documents answer them."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.dedup import Signer, band_keys, jaccard, shingle
from rag_pipelines_tests.benchmarks.streams import BRANCH, open_stream
from rag_pipelines_tests.shared_data import shared_data_or_none

SEED = 20261122
RELEASES = ("3.3", "3.4", "3.5", "3.6", "3.7", "3.8")
DOCS = "content/en/docs/v"
RELEASE = rf"^{DOCS}(?P<release>[^/]+)/"
_TITLE = re.compile(r"^title: *[\"']?(.+?)[\"']? *$", re.MULTILINE)
_HEADING = re.compile(r"^##+ +(.+?)[ #]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the uris of the documents that were judged to answer it."""

    text: str
    judged: frozenset[str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sources by name with what YAML says of them; `releases` where the uri names one, `graded` where people judged."""

    name: str
    sources: Mapping[str, Mapping[str, Any]]
    questions: Sequence[Question]
    releases: bool
    graded: bool


def aws_docs(scratch: Path, pages: int, mirrored: bool) -> Corpus:
    """So many pages of awsdocs_dev: the judged ones, every one with a near-duplicate, and others drawn at random.

    Mirrored, a second source has each page again. Exits where the corpus is not there.
    """
    folder = shared_data_or_none("retrieval", "awsdocs_dev")
    if folder is None:
        raise SystemExit("the corpus awsdocs_dev is not here; set RAG_SHARED_DATA")
    judged: dict[str, set[str]] = defaultdict(set)
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                judged[row["query-id"]].add(row["corpus-id"])
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    asked = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    chosen = scratch / f"aws-{pages}"
    if not chosen.exists():
        everything = scratch / "aws-all"
        with tarfile.open(folder / "documents.tar.xz") as archive:
            archive.extractall(everything, filter="data")
        _choose(everything / "documents", chosen, pages, set().union(*judged.values()))
        shutil.rmtree(everything)
    there = {path.relative_to(chosen).as_posix() for path in chosen.rglob("*") if path.is_file()}
    source = {"connector": "filesystem", "params": {"url": str(chosen)}}
    questions = [
        Question(asked[name], frozenset(uris & there))
        for name, uris in sorted(judged.items())
        if uris & there
    ]
    names = ("docs", "mirror") if mirrored else ("docs",)
    title = "awsdocs_dev with a mirror" if mirrored else "awsdocs_dev"
    return Corpus(title, dict.fromkeys(names, source), questions, releases=False, graded=True)


def _choose(everything: Path, chosen: Path, pages: int, judged: set[str]) -> None:
    texts = {
        path.relative_to(everything).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(everything.rglob("*"))
        if path.is_file()
    }
    wanted = (judged & texts.keys()) | near_duplicates(texts)
    others = sorted(texts.keys() - wanted)
    more = random.Random(SEED).sample(others, max(0, min(pages - len(wanted), len(others))))
    for uri in (*wanted, *more):
        (chosen / uri).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(everything / uri, chosen / uri)


def near_duplicates(texts: Mapping[str, str]) -> set[str]:
    """Those that some other text is like."""
    settings = DedupConfig()
    signer = Signer(settings)
    sets = {name: shingle(text, settings.ngram) for name, text in texts.items()}
    buckets: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, shingles in sets.items():
        for key in band_keys(signer.sign(shingles), settings):
            buckets[key].append(name)
    pairs = {pair for bucket in buckets.values() for pair in combinations(bucket, 2)}
    return {name for a, b in pairs if jaccard(sets[a], sets[b]) >= settings.threshold for name in (a, b)}


def etcd_docs(scratch: Path, questions: int) -> Corpus:
    """The pages of six releases of the etcd documentation side by side, as its site keeps them.

    A question is the title of a page of the newest release with one of its headings, both drawn at random; the
    page with the same path answers it in every release that has one.
    """
    stream = open_stream("etcd-docs", scratch)
    head = stream.git("rev-parse", "HEAD").decode().strip()
    stream.point(head)
    folders = [f"{DOCS}{release}/" for release in RELEASES]
    tree = {path: blob for path, blob in stream.tree(head).items() if path.startswith(tuple(folders))}
    newest = [path for path in sorted(tree) if path.startswith(folders[-1]) and path.endswith(".md")]
    draw = random.Random(SEED)
    asked: list[Question] = []
    for path, data in zip(newest, stream.blobs([tree[path] for path in newest]), strict=True):
        text = data.decode("utf-8", errors="replace")
        title, headings = _TITLE.search(text), _HEADING.findall(_FENCE.sub("", text))
        if title and headings:
            page = path.removeprefix(folders[-1])
            answers = frozenset(folder + page for folder in folders if folder + page in tree)
            asked.append(Question(f"{title[1]}: {draw.choice(headings)}", answers))
    source = {
        "connector": "git",
        "params": {
            "url": str(stream.folder),
            "branch": BRANCH,
            "include": [f"{folder}**/*.md" for folder in folders],
        },
        "uri_metadata": RELEASE,
    }
    chosen = draw.sample(asked, min(questions, len(asked)))
    return Corpus("etcd-docs", {"docs": source}, chosen, releases=True, graded=False)
