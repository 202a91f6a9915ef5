"""A project over pages of the awsdocs_dev corpus: built, edited and synced, in this process or by the command."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.pipeline.sync import sync, sync_report
from rag_pipelines.pipeline.workspace import open_workspace
from rag_pipelines_tests.benchmarks.work import counted
from rag_pipelines_tests.project import shared_models_dir
from rag_pipelines_tests.shared_data import shared_data_or_none

SOURCE, INDEX = "docs", "knowledge"
SEED = 20261122
_SENTENCE = " Release {} was checked against the limits that this paragraph states."
_EDITED = re.compile(_SENTENCE.format(r"\w+").replace(".", r"\."))


@dataclass(frozen=True, slots=True)
class Synced:
    """One sync; `work` is what was counted at the parts, empty for a process of its own."""

    seconds: float
    version: int | None
    counts: dict[str, int]
    work: dict[str, int]


@dataclass(frozen=True, slots=True)
class PageProject:
    """A folder with pages, configuration and RAG_HOME."""

    root: Path

    @property
    def pages(self) -> list[Path]:
        """Every page, in the order of names."""
        return sorted(path for path in (self.root / "pages").rglob("*") if path.is_file())

    @property
    def variables(self) -> dict[str, str]:
        """For a child process too."""
        return {"RAG_HOME": str(self.root / "home"), "RAG_CONFIGS": str(self.root / "configs")}

    @property
    def environment(self) -> Environment:
        """As the commands would read it."""
        return read_environment(self.variables)

    def make(self) -> None:
        """Configuration and an empty home."""
        home = self.root / "home"
        if not home.exists():
            home.mkdir(parents=True)
            (home / "models").symlink_to(shared_models_dir())
        source = {
            "source": SOURCE,
            "connector": "filesystem",
            "params": {"url": str(self.root / "pages")},
            "tenant": "bench",
            "acl": ["*"],
        }
        files = {
            f"sources/{SOURCE}": source,
            f"indexes/{INDEX}": {"index": INDEX},
            "service": {"principal": {"tenant": "bench"}},
        }
        for name, data in files.items():
            path = self.root / "configs" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(data), encoding="utf-8")


Run = Callable[[PageProject], Synced]


def in_process(project: PageProject) -> Synced:
    """`pipeline.sync`, with everything opened anew."""
    with counted() as work:
        began = time.perf_counter()
        with open_workspace(project.environment) as workspace:
            run = sync(workspace, [SOURCE])
            report = sync_report(workspace, INDEX, [SOURCE], run, 0.0)
        seconds = time.perf_counter() - began
    return Synced(seconds, report.version, dict(report.sources[SOURCE]), dict(work))


def via_cli(project: PageProject) -> Synced:
    """The command as a user types it; raises SystemExit with what it said where it fails."""
    theirs = ("DAGSTER_", "RAG_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    command = [sys.executable, "-m", "rag_pipelines.cli", "sync", SOURCE, "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env={**clean, **project.variables}, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    report = json.loads(done.stdout)
    return Synced(seconds, report["version"], report["sources"][SOURCE], {})


RUNS: dict[str, Run] = {"pipeline.sync": in_process, "rag-pipelines sync": via_cli}


@dataclass(frozen=True, slots=True)
class Edit:
    """What to ask for, and the word of the answer that no text had before."""

    query: str
    word: str


def edit(pages: Sequence[Path]) -> Edit:
    """Put a new sentence at the end of each page's middle paragraph, in place of an earlier one."""
    mark = uuid.uuid4().hex[:12]
    for number, page in enumerate(pages):
        paragraphs = _EDITED.sub("", page.read_text(encoding="utf-8", errors="replace")).split("\n\n")
        middle = len(paragraphs) // 2
        paragraphs[middle] += _SENTENCE.format(f"q{mark}{number}")
        page.write_text("\n\n".join(paragraphs), encoding="utf-8")
    word = f"q{mark}0"
    return Edit(_SENTENCE.format(word).strip(), word)


def unpack(folder: Path, pages: int) -> None:
    """So many pages of the corpus, drawn at random, unless the folder is there already."""
    packed = shared_data_or_none("retrieval", "awsdocs_dev", "documents.tar.xz")
    if folder.exists():
        return
    if packed is None:
        raise SystemExit("the corpus awsdocs_dev is not here; set RAG_SHARED_DATA")
    with tarfile.open(packed) as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)
        chosen = random.Random(SEED).sample(members, min(pages, len(members)))
        archive.extractall(folder, members=chosen, filter="data")
