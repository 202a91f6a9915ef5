"""A grid becomes complete variants; what is wrong with it is told before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_pipelines.config.load import Configuration, load_configuration
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.grids import Variant, merge, read_experiment, variants_of
from rag_pipelines_tests.shared_data import ROOT


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """Two sources, one with a rule of its own; the index weighs its sparse half."""
    files: dict[str, dict[str, Any]] = {
        "sources/notes": {
            "source": "notes",
            "connector": "filesystem",
            "params": {"url": "x"},
            "tenant": "t",
        },
        "sources/mail": {
            "source": "mail",
            "connector": "filesystem",
            "params": {"url": "y"},
            "tenant": "t",
            "chunking": {"max_tokens": 64, "by_media_type": {"text/csv": {"strategy": "tokens"}}},
        },
        "indexes/knowledge": {"index": "knowledge", "retrieval": {"weights": {"sparse": 0.5}}},
        "service": {"principal": {"tenant": "t"}},
    }
    for name, data in files.items():
        path = tmp_path / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(data), "utf-8")
    return load_configuration(tmp_path / "configs")


def variants(folder: Path, configuration: Configuration, **values: Any) -> tuple[Variant, ...]:
    path = folder / "experiment.yaml"
    path.write_text(
        yaml.safe_dump({"experiment": "tried", "suite": "small", **values}, sort_keys=False), "utf-8"
    )
    file, config = read_experiment(path)
    return variants_of(file, config, configuration)


def test_every_combination_in_order(tmp_path: Path, configuration: Configuration) -> None:
    grid = {
        "fusion": ["rrf", "dbsf"],
        "chunking": {"short": {"max_tokens": 32}, "usual": {}},
        "sparse": {"none": None, "long": {"b": 0.75}},
    }
    found = variants(tmp_path, configuration, grid=grid)
    assert [one.name for one in found] == [
        "short, none, rrf",
        "short, none, dbsf",
        "short, long, rrf",
        "short, long, dbsf",
        "usual, none, rrf",
        "usual, none, dbsf",
        "usual, long, rrf",
        "usual, long, dbsf",
    ]
    first, last = found[0], found[-1]
    assert {name: rule.max_tokens for name, rule in first.chunking.items()} == {"mail": 32, "notes": 32}
    assert {name: rule.max_tokens for name, rule in last.chunking.items()} == {"mail": 64, "notes": 220}
    assert first.chunking["mail"].by_media_type["text/csv"].strategy == "tokens"
    assert first.index.sparse is None
    assert last.index.sparse is not None
    assert (last.index.sparse.b, last.index.sparse.k1) == (0.75, 1.2)
    assert (first.index.retrieval.fusion, first.index.retrieval.weights.sparse) == ("rrf", 0.5)
    assert len({one.fingerprint for one in found}) == 8


def test_what_is_built_depends_on_what_is_built_only(tmp_path: Path, configuration: Configuration) -> None:
    grid = {
        "candidates": [50, 100],
        "embedding": {"a": {}, "b": {"precision": "int8"}},
        "feedback": {"off": {"passages": 0}},
        "rerank": {"none": None, "m": {"model": "some/model"}},
    }
    found = variants(tmp_path, configuration, grid=grid)
    builds = [one.build_settings() for one in found]
    assert len(found) == 8
    assert builds[0] == builds[1] == builds[2] == builds[3]
    assert builds[3] != builds[4]
    reranks = [one.index.retrieval.rerank for one in found]
    assert [rerank is not None and rerank.model for rerank in reranks[:2]] == [False, "some/model"]
    assert {one.index.retrieval.feedback.passages for one in found} == {0}
    assert [one.index.retrieval.candidates for one in found[:4]] == [50, 50, 100, 100]


def test_without_a_grid_there_is_the_index_as_it_is(tmp_path: Path, configuration: Configuration) -> None:
    (only,) = variants(tmp_path, configuration)
    assert only.name == "as configured"
    assert only.index == configuration.indexes["knowledge"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"grid": {"chunking": {"short": {"max_tokns": 3}}}},
            "grid.chunking.short.max_tokns: there is no such field; did you mean 'max_tokens'?",
        ),
        (
            {"grid": {"retrieval": {"odd": {"fusion": "sum"}}}},
            r"grid.retrieval.odd.fusion: 'sum' is not one of",
        ),
        (
            {"grid": {"retrieval": {"a": {}, "b": {"mode": "hybrid"}}}},
            "a and b are the same settings",
        ),
        ({"grid": {"fusion": ["rrf", "rrf"]}}, "fusion names a value more than once"),
        ({"grid": {"fussion": ["rrf"]}}, "did you mean 'fusion'?"),
        ({"index": "knowlege"}, "there is no index 'knowlege'; did you mean 'knowledge'?"),
        ({"costs": ["money"]}, "is not one of the choices"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, configuration: Configuration, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        variants(tmp_path, configuration, **values)
    assert message in str(caught.value)
    assert "experiment.yaml:" in str(caught.value)


def test_sections_are_merged_field_by_field() -> None:
    base = {"a": 1, "b": {"c": 2, "d": 3}, "e": {"f": 4}}
    assert merge(base, {"b": {"d": 5}, "e": None}) == {"a": 1, "b": {"c": 2, "d": 5}, "e": None}
    assert base == {"a": 1, "b": {"c": 2, "d": 3}, "e": {"f": 4}}


def test_the_sample_experiment_is_sound() -> None:
    file, config = read_experiment(ROOT / "configs" / "experiments" / "sample.yaml")
    assert len(variants_of(file, config, load_configuration(ROOT / "configs"))) == 15
