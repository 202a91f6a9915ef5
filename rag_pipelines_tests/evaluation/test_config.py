"""What a suite's file may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.config.evaluation import DEFAULT_MEASURES, EvaluationConfig
from rag_pipelines.config.files import read_file
from rag_pipelines.config.problems import validate
from rag_pipelines.core.errors import ConfigError


def config(**fields: Any) -> EvaluationConfig:
    """A configuration with a path."""
    return EvaluationConfig(**{"suite": "small", "path": "suites/small", **fields})


def test_defaults() -> None:
    found = config()
    assert found.measures == DEFAULT_MEASURES == ("nDCG@10", "R@10", "R@100", "P@5", "RR@10", "Success@5")
    assert (found.level, found.judged_id, found.deepest, found.depth) == ("document", "uri", 100, 100)
    assert (found.unanswerable.key, found.unanswerable.value) == ("answerable", False)


def test_the_depth_is_k_or_the_largest_cutoff() -> None:
    assert config(measures=["P@5", "R(rel=2)@20"]).depth == 20
    assert config(measures=["P@5", "R@20"], k=50).depth == 50
    assert config(measures=["P@5", "R@20"], k=50).deepest == 20
    assert config(measures=["P@5"], k=5).depth == 5


@pytest.mark.parametrize(
    "fields",
    [
        {"k": 99},
        {"measures": ["P@5", "P@5"]},
        {"measures": []},
        {"measures": ["ndcg@10"]},
        {"measures": ["nDCG"]},
        {"measures": ["P@0"]},
        {"judged_id": "title"},
        {"judged_id": "metadata."},
        {"slices": ["source", "source"]},
        {"content_hash": "abc"},
        {"content_hash": "G" * 64},
        {"level": "page"},
        {"path": None},
        {"path": None, "queries": "q.jsonl"},
        {"colour": "red"},
    ],
)
def test_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**fields)


def test_accepted() -> None:
    assert config(path=None, queries="q.jsonl", qrels="q.tsv").path is None
    assert config(judged_id="metadata.key.with-dots").judged_id == "metadata.key.with-dots"
    assert config(content_hash="0" * 64).content_hash == "0" * 64
    assert config(measures=["nDCG@10", "AP@100", "Success(rel=3)@1"]).deepest == 100


def test_a_mistake_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("suite: small\npath: x\nk: 20\nmeasure: [P@5]\n", "utf-8")
    with pytest.raises(ConfigError, match=r"small\.yaml:4: measure: .*did you mean 'measures'"):
        validate(read_file(path), EvaluationConfig)
