"""The judged sets of `retrieval_quality`: each indexed once by the real pipeline, with its questions and judgements."""

from __future__ import annotations

import csv
import json
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.core.types import Principal
from rag_pipelines.pipeline.sync import sync, sync_report
from rag_pipelines.pipeline.workspace import open_workspace
from rag_pipelines_tests.project import shared_models_dir
from rag_pipelines_tests.shared_data import shared_data_or_none

SOURCE, INDEX, TENANT = "docs", "knowledge", "bench"
ASKER = Principal("benchmark", TENANT)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a set becomes an index: records with their title in front of each chunk, or files as they lie."""

    folder: str
    packed: str | None = None
    chunking: Mapping[str, Any] = field(default_factory=dict)
    analyzer: str = "english"


TITLED = {"context_header": True}
SETS = {
    "scifact": Layout("scifact", chunking=TITLED),
    "cranfield": Layout("cranfield", chunking=TITLED),
    "vaswani_npl": Layout("vaswani_npl", chunking=TITLED),
    "awsdocs_dev": Layout("awsdocs_dev", packed="documents.tar.xz"),
    "squad2_dev": Layout("squad2_dev", chunking=TITLED),
    "xquad_de": Layout("xquad_de", chunking=TITLED, analyzer="german"),
}


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A set on disk below `root`; judgements are by the uri of the document."""

    name: str
    root: Path
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]

    @property
    def environment(self) -> Environment:
        """As the commands would read it."""
        return read_environment(
            {"RAG_HOME": str(self.root / "home"), "RAG_CONFIGS": str(self.root / "configs")}
        )


def open_set(name: str, home: Path, *, synced: bool = True) -> JudgedSet:
    """The set, synced below `home`: a second call embeds nothing. Exits where the corpus is not there.

    `synced=False` takes what is below `home` as it is.
    """
    layout = SETS[name]
    folder = shared_data_or_none("retrieval", layout.folder)
    if folder is None:
        raise SystemExit(f"the corpus {layout.folder} is not here; set RAG_SHARED_DATA")
    judged = JudgedSet(name, home / name, *_questions(folder))
    if not synced:
        return judged
    _configure(judged.root, folder, layout)
    with open_workspace(judged.environment) as workspace:
        run = sync(workspace, [SOURCE])
        report = sync_report(workspace, INDEX, [SOURCE], run, 0.0)
    if report.version is None:
        raise SystemExit(f"{name} was not published")
    return judged


def _questions(folder: Path) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """The questions that have a relevant document, and every judgement of theirs."""
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            qrels[row["query-id"]][row["corpus-id"]] = int(row["score"])
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        queries = {row["_id"]: row["text"] for row in map(json.loads, file)}
    asked = [query_id for query_id, grades in qrels.items() if max(grades.values()) > 0]
    return {query_id: queries[query_id] for query_id in asked}, {
        query_id: dict(qrels[query_id]) for query_id in asked
    }


def _configure(root: Path, folder: Path, layout: Layout) -> None:
    home = root / "home"
    if not home.exists():
        home.mkdir(parents=True)
        (home / "models").symlink_to(shared_models_dir())
    files: dict[str, dict[str, Any]] = {
        f"sources/{SOURCE}": {
            "source": SOURCE,
            "tenant": TENANT,
            "acl": ["*"],
            "chunking": dict(layout.chunking),
            **_connector(root, folder, layout),
        },
        f"indexes/{INDEX}": {"index": INDEX, "sparse": {"analyzer": layout.analyzer}},
        "service": {"principal": {"tenant": TENANT}},
    }
    for name, data in files.items():
        path = root / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(data), encoding="utf-8")


def _connector(root: Path, folder: Path, layout: Layout) -> dict[str, Any]:
    if layout.packed is None:
        fields = {"id": "_id", "title": "title", "text": "text"}
        return {
            "connector": "records",
            "params": {"url": str(_records(root, folder / "corpus.jsonl")), "fields": fields},
        }
    pages = root / "pages"
    if not pages.exists():
        with tarfile.open(folder / layout.packed) as archive:
            archive.extractall(pages, filter="data")
    inside = pages / "documents"
    return {"connector": "filesystem", "params": {"url": str(inside if inside.exists() else pages)}}


def _records(root: Path, corpus: Path) -> Path:
    """The corpus, less the titles that its texts begin with: the connector itself writes titles as headings."""
    target = root / "corpus.jsonl"
    if target.exists():
        return target
    with corpus.open(encoding="utf-8") as given, target.open("w", encoding="utf-8") as made:
        for row in map(json.loads, given):
            title, text = row["title"].strip(), row["text"].strip()
            rest = text.removeprefix(title).strip()
            made.write(json.dumps({"_id": row["_id"], "title": title, "text": rest or text}) + "\n")
    return target
