"""Turns a grid of settings into variants of an index, each of them complete and checked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipelines.config.experiment import BUILD_AXES, CHUNKING, EMBEDDING, SPARSE, ExperimentConfig
from rag_pipelines.config.files import ConfigFile, Location, read_file
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import Chunking, EmbeddingConfig, IndexConfig, SparseConfig
from rag_pipelines.config.problems import problem_at, suggest, validate
from rag_pipelines.config.retrieval import RetrievalConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.fingerprints import fingerprint

GRID, RETRIEVAL = "grid", "retrieval"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination: its label on every axis, and the settings that follow from it.

    `chunking` is by source: variants change what their own rules leave open to change.
    """

    labels: Mapping[str, str]
    chunking: Mapping[str, Chunking]
    index: IndexConfig

    @property
    def name(self) -> str:
        """`short, dbsf`: the labels in the order of the axes; `as configured` where nothing varies."""
        return ", ".join(self.labels.values()) or "as configured"

    def build_settings(self) -> dict[str, Any]:
        """All that decides what the index holds."""
        kept = self.index.model_dump(
            mode="json", include={EMBEDDING, SPARSE, "dedup", "filter_fields", "sources"}
        )
        if self.index.tenant is not None:
            kept["tenant"] = self.index.tenant
        return {
            **kept,
            CHUNKING: {name: rule.model_dump(mode="json") for name, rule in self.chunking.items()},
        }

    def retrieval_settings(self) -> dict[str, Any]:
        """All that decides how it is asked."""
        return self.index.retrieval.model_dump(mode="json")

    @property
    def fingerprint(self) -> str:
        """Of all its settings: variants that share it are the same."""
        return fingerprint("variant", _VERSION, [self.build_settings(), self.retrieval_settings()])


def read_experiment(path: Path) -> tuple[ConfigFile, ExperimentConfig]:
    """The file and what it says. Raises ConfigError with every mistake."""
    file = read_file(path)
    return file, validate(file, ExperimentConfig)


def variants_of(
    file: ConfigFile, config: ExperimentConfig, configuration: Configuration
) -> tuple[Variant, ...]:
    """Every combination, those of one build next to each other. Raises ConfigError with every mistake.

    Two combinations that come to the same settings would be measured as if they differed, so they are refused.
    """
    if config.index is not None and config.index not in configuration.indexes:
        hint = suggest(config.index, list(configuration.indexes))
        raise problem_at(file, ("index",), f"there is no index {config.index!r}{hint}")
    base = configuration.index_named(config.index)
    sources = configuration.sources_of(base.index)
    axes = config.grid.axes
    problems: list[str] = []
    found: dict[str, Variant] = {}
    for labels in itertools.product(*axes.values()):
        chosen = dict(zip(axes, labels, strict=True))
        values = {axis: axes[axis][label] for axis, label in chosen.items()}
        try:
            index = _index(file, base, chosen, values)
            chunking = {
                name: _chunking(file, configuration.sources[name].chunking, chosen, values)
                for name in sources
            }
        except ConfigError as error:
            problems += str(error).splitlines()
            continue
        variant = Variant(chosen, chunking, index)
        same = found.setdefault(variant.fingerprint, variant)
        if same is not variant:
            problems.append(
                str(problem_at(file, (GRID,), f"{same.name} and {variant.name} are the same settings"))
            )
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return tuple(found.values())


def _index(
    file: ConfigFile, base: IndexConfig, labels: Mapping[str, str], values: Mapping[str, Any]
) -> IndexConfig:
    changed: dict[str, Any] = {}
    if EMBEDDING in values:
        merged = merge(base.embedding.model_dump(mode="json"), values[EMBEDDING])
        changed[EMBEDDING] = validate(file, EmbeddingConfig, merged, (GRID, EMBEDDING, labels[EMBEDDING]))
    if SPARSE in values:
        own = base.sparse or SparseConfig()
        changed[SPARSE] = (
            None
            if values[SPARSE] is None
            else validate(
                file,
                SparseConfig,
                merge(own.model_dump(mode="json"), values[SPARSE]),
                (GRID, SPARSE, labels[SPARSE]),
            )
        )
    retrieval = base.retrieval.model_dump(mode="json")
    where: Location = (GRID,)
    if RETRIEVAL in values:
        retrieval = merge(retrieval, values[RETRIEVAL])
        where = (GRID, RETRIEVAL, labels[RETRIEVAL])
    for axis in values.keys() - {*BUILD_AXES, RETRIEVAL}:
        value = values[axis]
        retrieval[axis] = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    changed[RETRIEVAL] = validate(file, RetrievalConfig, retrieval, where)
    return base.model_copy(update=changed)


def _chunking(
    file: ConfigFile, own: Chunking, labels: Mapping[str, str], values: Mapping[str, Any]
) -> Chunking:
    if CHUNKING not in values:
        return own
    merged = merge(own.model_dump(mode="json"), values[CHUNKING])
    return validate(file, Chunking, merged, (GRID, CHUNKING, labels[CHUNKING]))


def merge(base: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `changed` in place of its own, sections merged field by field."""
    merged = dict(base)
    for name, value in changed.items():
        own = merged.get(name)
        merged[name] = merge(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return merged
