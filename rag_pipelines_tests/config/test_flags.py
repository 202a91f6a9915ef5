"""A mistake in configs/flags.yaml names file, line and field; what is right changes only what may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.config.flags import FlagsConfig, flags_path, overlaid, read_flags
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines_tests.config.folder import load, write_folder

FLAGS = """\
retrieval:
  knowledge:
    variants:
      control: {}
      terms:
        weights: {sparse: 2.5}
        feedback: {passages: 0}
    rules:
      - {tenants: [acme], groups: [pilot], variant: terms}
      - percent: {control: 25, terms: 12.5}
        by: subject
    default: control
"""
INDEXES = {"knowledge": IndexConfig(index="knowledge")}


def read(folder: Path, text: str, indexes: dict[str, IndexConfig] | None = None) -> str:
    """The mistakes, without the path."""
    path = folder / "flags.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_flags(path, INDEXES if indexes is None else indexes)
    return str(caught.value).replace(f"{path}:", "")


def test_a_right_file(tmp_path: Path) -> None:
    configs = write_folder(tmp_path)
    assert load(configs).flags.retrieval == {}
    (configs / "flags.yaml").write_text(FLAGS, encoding="utf-8")
    configuration = load(configs)
    flag = configuration.flags.retrieval["knowledge"]
    assert list(flag.variants) == ["control", "terms"]
    assert flag.rules[1].percent == {"control": 25, "terms": 12.5}
    assert flag.rules[0].by == "subject"
    changed = configuration.with_variant("knowledge", "terms").indexes["knowledge"].retrieval
    assert (changed.weights.dense, changed.weights.sparse) == (1.0, 2.5)
    assert changed.feedback.passages == 0
    assert changed.feedback.weight == 0.3  # a section is merged field by field
    with pytest.raises(ConfigError, match="no variant 'term'; did you mean 'terms'"):
        configuration.with_variant("knowledge", "term")


def test_an_overlay_of_the_index_s_own_sections() -> None:
    own = IndexConfig.model_validate(
        {
            "index": "knowledge",
            "retrieval": {"rerank": {"model": "m", "seconds": 3}, "context": {"parents": True}},
        }
    )
    less = overlaid(own, {"rerank": {"top_n": 10}, "context": {"neighbours": 1}}).retrieval
    assert less.rerank is not None
    assert (less.rerank.model, less.rerank.seconds, less.rerank.top_n) == ("m", 3, 10)
    assert (less.context.parents, less.context.neighbours) == (True, 1)
    assert overlaid(own, {"rerank": None}).retrieval.rerank is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "sparse: 2.5",
            "sparce: 2.5",
            "6: retrieval.knowledge.variants.terms.weights.sparce: there is no such field",
        ),
        (
            "sparse: 2.5",
            "sparse: -1",
            "6: retrieval.knowledge.variants.terms.weights.sparse: Input should be",
        ),
        (
            "feedback: {passages: 0}",
            "query: {}",
            "7: retrieval.knowledge.variants.terms.query: cannot differ between variants of one index",
        ),
        (
            "feedback: {passages: 0}",
            "feedbac: {passages: 0}",
            "7: retrieval.knowledge.variants.terms.feedbac: there is no such field; did you mean 'feedback'?",
        ),
        (
            "default: control",
            "default: contrl",
            "12: retrieval.knowledge.default: there is no variant 'contrl'",
        ),
        (
            "variant: terms}",
            "variant: term}",
            "9: retrieval.knowledge.rules.0.variant: there is no variant 'term'",
        ),
        (
            "{control: 25, terms: 12.5}",
            "{control: 25, term: 12.5}",
            "10: retrieval.knowledge.rules.1.percent.term: there is no variant 'term'; did you mean 'terms'?",
        ),
        ("control: 25", "control: 95", "10: retrieval.knowledge.rules.1: percent must be shares"),
        ("by: subject", "by: moon", "11: retrieval.knowledge.rules.1.by: 'moon' is not one of the choices"),
        ("variant: terms}", "by: tenant}", "9: retrieval.knowledge.rules.0: give either variant or percent"),
        ("  knowledge:", "  knowlege:", "2: retrieval.knowlege: there is no index 'knowlege'; did you mean"),
        ("retrieval:", "retrievals:", "1: retrievals: there is no such field; did you mean 'retrieval'?"),
        ("retrieval:", "retrieval: [", "is not YAML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in FLAGS
    assert expected in read(tmp_path, FLAGS.replace(old, new, 1))


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = FLAGS.replace("sparse: 2.5", "sparse: -1").replace("default: control", "default: none_such")
    assert len(read(tmp_path, text).splitlines()) == 2


def test_a_mode_that_needs_terms_where_there_are_none(tmp_path: Path) -> None:
    indexes = {"knowledge": IndexConfig.model_validate(
        {"index": "knowledge", "sparse": None, "retrieval": {"mode": "dense"}}
    )}  # fmt: skip
    text = "retrieval:\n  knowledge:\n    variants:\n      both: {mode: hybrid}\n"
    assert "4: retrieval.knowledge.variants.both.mode: 'hybrid' needs terms" in read(tmp_path, text, indexes)


def test_a_broken_file_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    configs = write_folder(tmp_path)
    (configs / "flags.yaml").write_text("retrieval: {knowledge: {}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"flags\.yaml:1: retrieval\.knowledge\.variants: is required"):
        load(configs)


def test_where_the_file_stands(tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    configs.mkdir()
    assert flags_path(configs, FlagsConfig()) == configs / "flags.yaml"
    (configs / "flags.json").write_text("{}", encoding="utf-8")
    assert flags_path(configs, FlagsConfig()) == configs / "flags.json"
    assert flags_path(configs, FlagsConfig(file="flags/live.yaml")) == tmp_path / "flags" / "live.yaml"
    assert read_flags(tmp_path / "nothing.yaml", INDEXES).retrieval == {}
