"""A small project in a temporary folder: real files, real parser, real model, real engine, real catalog."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rag_pipelines.catalog import versions
from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.config.models import EmbeddingConfig, ParsingLimits
from rag_pipelines.core.ports import Embedder, Parser
from rag_pipelines.core.types import OPERATOR, Principal
from rag_pipelines.pipeline.sync import sync, sync_report
from rag_pipelines.pipeline.workspace import Workspace, open_workspace
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.result import SearchResult

ROOM = 4 * 2**30
STAFF = Principal(subject="ana", tenant="acme", groups=("staff",))


def shared_models_dir() -> Path:
    """Conversions of the bundled model, made once for all test processes and later runs."""
    folder = Path(tempfile.gettempdir()) / f"rag-pipelines-test-models-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


class Parts:
    """Parsers and models that tests hand to one another: opening them anew takes seconds each time."""

    def __init__(self) -> None:
        self.parsers: dict[ParsingLimits, Parser] = {}
        self.embedders: dict[str, Embedder] = {}
        self.askers: dict[EmbeddingConfig, Embedder] = {}

    def close(self) -> None:
        """End worker processes."""
        for parser in self.parsers.values():
            parser.close()
        for embedder in (*self.embedders.values(), *self.askers.values()):
            embedder.close()


class _LentWorkspace(Workspace):
    def close(self) -> None:
        self._parsers, self._embedders = {}, {}
        super().close()


class _LentSearchers(Searchers):
    def close(self) -> None:
        self._embedders = {}
        super().close()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the length of the block, in memory where there is plenty of it: flushing costs nothing there."""
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM
    with tempfile.TemporaryDirectory(prefix="rag-pipelines-", dir=memory if roomy else None) as folder:
        yield Path(folder)


def copy_sparse(source: str, target: str) -> None:
    """Leaves out what is zero: nearly all of a small collection, whose files the engine allocates in one piece."""
    with open(source, "rb") as given, open(target, "wb") as made:
        size, at = os.fstat(given.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(given.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but a hole follows
                break
            block = os.pread(given.fileno(), 2**16, at)
            if block.count(0) != len(block):
                os.pwrite(made.fileno(), block, at)
            at += len(block)
        made.truncate(size)
    shutil.copystat(source, target)


@dataclass
class Project:
    """A project with a folder source `docs` and an index `knowledge`; change it and sync again."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    parts: Parts | None = None

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        (self.home / "models").symlink_to(shared_models_dir())
        self.source("docs")
        self.index("knowledge")
        self.configure("service", {"principal": {"tenant": "acme", "groups": ["staff"]}})

    def copied(self, root: Path) -> Project:
        """The same project, with all that was synced, in another folder."""
        shutil.copytree(self.root, root, symlinks=True, copy_function=copy_sparse)
        twin = copy.copy(self)
        twin.root = root
        return twin

    @property
    def home(self) -> Path:
        """RAG_HOME."""
        return self.root / "home"

    @property
    def environment(self) -> Environment:
        """As the commands would read it."""
        return read_environment(self.environ)

    @property
    def environ(self) -> dict[str, str]:
        """The variables of the project, for a child process too."""
        return {"RAG_HOME": str(self.home), "RAG_CONFIGS": str(self.root / "configs"), **self.variables}

    def configure(self, name: str, data: dict[str, Any]) -> None:
        """Write `configs/<name>.yaml`."""
        path = self.root / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(data), encoding="utf-8")

    def source(self, name: str, **values: Any) -> None:
        """Write a folder source over `<root>/<name>`, two shards, readable by group:staff."""
        (self.root / name).mkdir(exist_ok=True)
        data = {
            "source": name,
            "connector": "filesystem",
            "params": {"url": name},
            "tenant": "acme",
            "acl": ["group:staff"],
            "shards": 2,
            **values,
        }
        self.configure(f"sources/{name}", data)

    def index(self, name: str, **values: Any) -> None:
        """Write an index over all sources."""
        self.configure(f"indexes/{name}", {"index": name, **values})

    def write(self, name: str, text: str | bytes, source: str = "docs") -> Path:
        """Create or replace a document."""
        path = self.root / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def remove(self, *names: str, source: str = "docs") -> None:
        """Delete documents."""
        for name in names:
            (self.root / source / name).unlink()

    def workspace(self) -> Workspace:
        """Open everything; with `parts`, what they hold stays open afterwards."""
        opened = open_workspace(self.environment)
        if self.parts is None:
            return opened
        lent = _LentWorkspace(opened.environment, opened.configuration)
        lent._parsers, lent._embedders = self.parts.parsers, self.parts.embedders
        return lent

    def sync(self, *sources: str) -> dict[str, Any]:
        """Sync in this process; returns what `sync --json` would print."""
        with self.workspace() as workspace:
            names = sources or tuple(workspace.configuration.sources)
            run = sync(workspace, names)
            return sync_report(workspace, "knowledge", names, run, 0.0).as_json()

    def searchers(self) -> Searchers:
        """Open the read side."""
        with self.workspace() as workspace:
            configuration = workspace.configuration
        if self.parts is None:
            return Searchers(self.environment, configuration)
        lent = _LentSearchers(self.environment, configuration)
        lent._embedders = self.parts.askers
        return lent

    def search(self, query: str, k: int = 5, **options: Any) -> SearchResult:
        """Search once, as the operator unless told otherwise."""
        with self.searchers() as searchers:
            return searchers.get("knowledge").search(query, k, options.pop("principal", OPERATOR), **options)

    def uris(self, query: str, **options: Any) -> list[str]:
        """The uris of the passages of a search, best first."""
        return [passage.citation.uri for passage in self.search(query, **options).passages]

    def visible(self, version: int | None = None) -> dict[str, dict[str, Any]]:
        """chunk_id -> payload of every point of a version, less what depends on when it was staged."""
        with self.searchers() as searchers:
            _, reader, shown = searchers.get("knowledge").scroll_reader(version)
            points = {str(point.payload["chunk_id"]): dict(point.payload) for point in reader.scroll(shown)}
        for payload in points.values():
            payload.pop("added")
            payload.pop("removed")
        return points

    def visible_uris(self, version: int | None = None) -> list[str]:
        """The uris of the documents that a version shows to the operator."""
        return sorted({str(payload["uri"]) for payload in self.visible(version).values()})

    def live(self) -> int | None:
        """The published version."""
        with self.workspace() as workspace:
            pointer = versions.pointer(workspace.catalog, "knowledge")
            return pointer.version if pointer else None
