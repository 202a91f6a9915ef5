"""A corpus as a real project: synced, edited, perhaps rolled back, and served on one of the engines."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from fastapi.testclient import TestClient

from rag_pipelines.config.service import PrincipalConfig
from rag_pipelines.core.filters import EVERYTHING
from rag_pipelines.core.ports import VectorEngine
from rag_pipelines.core.types import Classification, StoredPoint
from rag_pipelines.index.server import ServerEngine
from rag_pipelines.pipeline.rollback import rollback
from rag_pipelines.service.app import create_app
from rag_pipelines.service.identity import Everybody
from rag_pipelines_tests.access.corpus import ALIKE, SOURCES, Asker, Corpus, Rights, lines
from rag_pipelines_tests.benchmarks.synthetic_parts import HashEmbedder
from rag_pipelines_tests.project import Parts, Project, scratch_folder

INDEX = "knowledge"
DIMENSION = 384
FIELDS: dict[str, Any] = {
    "id": "id",
    "title": "title",
    "text": "text",
    "acl": "acl",
    "tenant": "tenant",
    "classification": "classification",
    "metadata": {"team": "team", "year": "year", "draft": "draft"},
}
FILTERS = ["team", {"field": "year", "type": "integer"}, {"field": "draft", "type": "boolean"}]
DEDUP = {"threshold": ALIKE, "bands": 64, "rows": 2}
"""Bands that miss no pair."""

MODES: dict[str, dict[str, Any]] = {
    "dense": {"mode": "dense", "distinct": False, "locations": 100},
    "hybrid": {"locations": 100, "query": {"spelling": {"min_passages": 1}}},
    "grouped": {"mode": "dense", "locations": 100},
}
JUDGED = ("dense", "hybrid")


class Lent:
    """Lends an engine to whoever opens one, and keeps it open."""

    def __init__(self, engine: VectorEngine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Stays open: it is somebody else's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@dataclass
class Served:
    """One way to search the corpus, over HTTP."""

    client: TestClient
    tenant: str = ""

    def ask_as(self, asker: Asker) -> None:
        """Whoever sends requests from now on."""
        app: Any = self.client.app
        parts = app.state.parts
        principal = PrincipalConfig(
            subject=asker.subject,
            tenant=asker.tenant,
            groups=asker.groups,
            clearance=Classification(asker.clearance),
        )
        app.state.parts = replace(parts, authentication=Everybody(principal))


@dataclass
class World:
    """A corpus and what was stored of it: every point of each version, with its vector, as the operator has them."""

    corpus: Corpus
    points: dict[int, list[StoredPoint]]
    live: int
    served: dict[str, Served]


def rights_of(rights: Rights) -> dict[str, Any]:
    """As a source's YAML has them; an entry that is no name is not allowed there."""
    acl = [entry for entry in rights.acl if entry == "*" or ":" in entry]
    return {"tenant": rights.tenant, "classification": rights.tier, "acl": acl}


@contextlib.contextmanager
def built(
    corpus: Corpus, parts: Parts, engine: str = "edge", modes: Sequence[str] = JUDGED
) -> Iterator[World]:
    """Synced twice and served in these modes, for the length of the block."""
    with contextlib.ExitStack() as closing:
        folder = closing.enter_context(scratch_folder())
        if engine == "local":
            closing.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            lent = Lent(ServerEngine(None, location=":memory:"))
            for place in ("rag_pipelines.index.open_engine", "rag_pipelines.retrieval.opening.open_engine"):
                closing.enter_context(patch(place, lambda *_: lent))
        embedder = HashEmbedder(DIMENSION)
        closing.enter_context(patch("rag_pipelines.retrieval.opening.open_embedder", lambda *_: embedder))
        parts.embedders[INDEX] = embedder
        project = Project(folder / "project", parts=parts)
        (project.root / "configs/sources/docs.yaml").unlink()
        for source in SOURCES:
            project.source(
                source,
                connector="records",
                params={"url": f"{source}.jsonl", "fields": FIELDS, "media_type": "text/markdown"},
                chunking={"max_tokens": 24},
                dedup={"policy": corpus.dedup},
                limits={"max_delete_fraction": 1.0},
                **rights_of(corpus.defaults[source]),
            )
        project.configure("policy", {"injection": corpus.policy.written()})
        points: dict[int, list[StoredPoint]] = {}
        for papers in (corpus.first, corpus.second):
            for source in SOURCES:
                (project.root / f"{source}.jsonl").write_text(lines(papers, source), encoding="utf-8")
            _configure(project, "dense")
            project.sync()
            live = project.live()
            if live is not None and live not in points:
                points[live] = _stored(project, live)
        if corpus.rolled_back and len(points) > 1:
            _roll_back(project)
        served = {}
        for mode in modes:
            _configure(project, mode)
            with project.workspace() as workspace:
                app = create_app(project.environment, workspace.configuration)
            client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
            served[mode] = Served(closing.enter_context(client))
        live = project.live()
        yield World(corpus, points, live or 0, served)


def _configure(project: Project, mode: str) -> None:
    project.configure(
        "service",
        {"principal": {"tenant": "acme"}, "max_k": 500, "max_request_bytes": 65536, "poll_seconds": 60},
    )
    project.index(INDEX, filter_fields=FILTERS, retrieval=MODES[mode], dedup=DEDUP)


def _stored(project: Project, version: int) -> list[StoredPoint]:
    """Every point of the version that was just published, less the ones of earlier versions."""
    with project.searchers() as searchers:
        _, reader, _ = searchers.get(INDEX).scroll_reader(None)
        return [
            point
            for point in reader.scroll(EVERYTHING, with_vectors=True)
            if point.payload["added"] <= version < point.payload["removed"]
        ]


def _roll_back(project: Project) -> None:
    """While a sync runs elsewhere, so that what is gone stays in the engine and is hidden by the filter alone."""

    def busy(_: str) -> None:
        raise AssertionError("nothing else runs")

    with (
        project.workspace() as syncing,
        syncing.catalog.exclusive("sync", busy),
        project.workspace() as workspace,
    ):
        rollback(workspace, INDEX, 1)
