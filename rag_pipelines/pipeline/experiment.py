"""Builds and asks every variant of an experiment in a home of its own, through the stages of every sync."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from rag_pipelines import __version__
from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import reports, versions
from rag_pipelines.catalog.corpus import corpus_of
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import IndexConfig, SourceLimits
from rag_pipelines.core.errors import ConfigError, NotFound
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import OPERATOR
from rag_pipelines.evaluation.asking import inventory, search_of
from rag_pipelines.evaluation.experiments import Build, Measured
from rag_pipelines.evaluation.grids import Variant
from rag_pipelines.evaluation.running import run_suite
from rag_pipelines.evaluation.runs import read_run, write_run, write_whole
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.sync import process
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.retrieval.opening import Searchers

SAMPLE = 256
WARMING = 8
LOCK = "experiment"
_VERSION = 1
_STAGES = ("ms_chunk", "ms_stage", "ms_publish")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What was read: a hash over all texts and rights, and how many documents have a text."""

    hash: str
    documents: int


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Where an experiment lives and what it starts from; nothing outside `home` is written, models excepted."""

    environment: Environment
    configuration: Configuration
    suite: Suite
    progress: Progress
    again: bool = False

    @property
    def home(self) -> Path:
        """The folder of the experiment."""
        return self.environment.home


def laboratory(
    environment: Environment,
    configuration: Configuration,
    name: str,
    suite: Suite,
    progress: Progress,
    again: bool = False,
) -> Laboratory:
    """Below RAG_HOME, whatever databases and engines the environment names; models are shared with the real home.

    `again` asks variants anew that were asked before.
    """
    home = environment.home / "experiments" / name
    home.mkdir(parents=True, exist_ok=True)
    environment.models_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (home / "models").symlink_to(environment.models_dir)
    inside = replace(
        environment,
        home=home,
        database_url=f"sqlite:///{home / 'catalog.sqlite'}",
        blobs_url=(home / "blobs").as_uri(),
        qdrant_url=None,
        qdrant_api_key=None,
    )
    return Laboratory(inside, configuration, suite, progress, again)


def run_variants(
    lab: Laboratory, variants: Sequence[Variant], on_wait: Callable[[str], None]
) -> tuple[Corpus, tuple[Measured, ...]]:
    """Read the sources once, then build and ask every variant.

    What was finished before is not done again: vectors by text and model, indexes by settings and corpus, runs
    by settings, version and suite. Raises what syncing and searching raise.
    """
    sources = tuple(variants[0].chunking)
    if not sources:
        raise ConfigError(f"index {variants[0].index.index!r} reads no source; nothing can be built of it")
    with (
        Workspace(lab.environment, _configuration(lab, {})) as workspace,
        workspace.catalog.exclusive(LOCK, on_wait),
    ):
        corpus = _read(workspace, sources, lab.progress)
        return corpus, tuple(_measured(lab, variant, corpus) for variant in variants)


def _configuration(
    lab: Laboratory, indexes: Mapping[str, IndexConfig], variant: Variant | None = None
) -> Configuration:
    """The sources as the variant cuts them. Deletions are not held: nobody is asked to approve an experiment's."""
    free = SourceLimits(max_delete_fraction=1.0)
    sources = {
        name: config.model_copy(
            update={"limits": free, **({"chunking": variant.chunking[name]} if variant is not None else {})}
        )
        for name, config in lab.configuration.sources.items()
        if variant is None or name in variant.chunking
    }
    return replace(lab.configuration, sources=sources, indexes=dict(indexes))


def _read(workspace: Workspace, sources: Sequence[str], progress: Progress) -> Corpus:
    for source in sources:
        observe(workspace, source, LOCK, progress)
        shards = range(workspace.configuration.sources[source].shards)
        parse(workspace, source, shards, LOCK, progress)
    digest, documents = corpus_of(workspace.catalog, sources)
    if not documents:
        raise NotFound(
            f"no document of {', '.join(sources)} has a text; `rag-pipelines quarantine` may say why"
        )
    return Corpus(digest, documents)


def _measured(lab: Laboratory, variant: Variant, corpus: Corpus) -> Measured:
    settings = {**variant.build_settings(), "corpus": corpus.hash, "package": __version__}
    name = f"v{fingerprint('build', _VERSION, settings)}"
    gates = IndexConfig.model_fields["gates"].get_default(call_default_factory=True)
    index = variant.index.model_copy(update={"index": name, "publish": "auto", "gates": gates})
    configuration = _configuration(lab, {name: index}, variant)
    build = _build(lab, configuration, name)
    return _asked(lab, configuration, variant, build)


def _build(lab: Laboratory, configuration: Configuration, name: str) -> Build:
    path = lab.home / "builds" / f"{name}.json"
    with Workspace(lab.environment, configuration) as workspace:
        process(workspace, tuple(configuration.sources), name, lab.progress)
        live = versions.pointer(workspace.catalog, name)
        if live is None:
            raise NotFound(f"variant {name} has no document to publish")
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            known = msgspec.json.decode(path.read_bytes(), type=Build)
            if known.version == live.version:
                return known
        tally = reports.run_counts(workspace.catalog, name)
        staged = sum(counts.get(stage, 0) for counts in tally.values() for stage in _STAGES) / 1000
        with Searchers(lab.environment, configuration) as searchers:
            _, size = inventory(searchers.get(name), live.version)
        build = Build(name, live.version, size, staged, _embedding_seconds(workspace, name, size.chunks))
    path.parent.mkdir(exist_ok=True)
    write_whole(path, msgspec.json.encode(build))
    return build


def _embedding_seconds(workspace: Workspace, index: str, chunks: int) -> float:
    """Of all chunks at the pace of a sample that is embedded for it; what loads or compiles the model is not timed."""
    texts = list(chunk_rows.sample_chunk_texts(workspace.catalog, index, SAMPLE))
    if not texts:
        return 0.0
    embedder = workspace.embedder(workspace.configuration.indexes[index])
    embedder.embed(texts[:WARMING])
    began = time.perf_counter()
    embedder.embed(texts)
    return (time.perf_counter() - began) * chunks / len(texts)


def _asked(lab: Laboratory, configuration: Configuration, variant: Variant, build: Build) -> Measured:
    settings = {
        "retrieval": variant.retrieval_settings(),
        "principal": OPERATOR.subject,
        "package": __version__,
        "variant": variant.fingerprint,
    }
    mark = fingerprint(
        "run",
        _VERSION,
        [
            settings,
            build.index,
            build.version,
            lab.suite.content_hash,
            lab.suite.config.model_dump(mode="json", exclude={"content_hash", "description", "slices"}),
        ],
    )
    folder = lab.home / "runs" / mark
    if not lab.again:
        with contextlib.suppress(NotFound, ConfigError):
            return Measured(variant, build, read_run(folder), str(folder), reused=True)
    with Searchers(lab.environment, configuration) as searchers:
        searcher = searchers.get(build.index)
        made = run_suite(
            lab.suite,
            search_of(searcher, OPERATOR, build.version),
            lab.progress,
            index=build.index,
            version=build.version,
            fingerprint=variant.fingerprint,
            settings={**settings, "labels": dict(variant.labels)},
        )
    made = msgspec.structs.replace(made, size=build.size)
    write_run(made, folder)
    return Measured(variant, build, made, str(folder), reused=False)
