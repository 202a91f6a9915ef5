"""Phrases of a question and what they stand for, from the configuration and from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from rag_pipelines.config.models import SparseConfig
from rag_pipelines.config.query import SynonymsConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.embedding.stopwords import stop_words
from rag_pipelines.retrieval.synonyms import Expansion, Synonyms
from rag_pipelines.retrieval.understanding import expanded

CONFIG = SynonymsConfig(
    two_way=(("SSO", "single sign-on"), ("car", "automobile", "motor vehicle")),
    one_way={
        "VM": ("virtual machine",),
        "IT": ("information technology",),
        "virtual machine disk": ("VMDK",),
    },
)


def synonyms(config: SynonymsConfig = CONFIG, root: Path = Path()) -> Synonyms:
    return Synonyms(config, root, stop_words("english").__contains__)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How does sso work?", [("sso", ("single sign-on",))]),
        ("Single Sign On, please", [("Single Sign On", ("SSO",))]),
        ("a car wash", [("car", ("automobile", "motor vehicle"))]),
        ("motor vehicles", []),
        ("start a VM and a car", [("VM", ("virtual machine",)), ("car", ("automobile", "motor vehicle"))]),
        ("virtual machine", []),
        (
            "the virtual machine disk of a VM",
            [("virtual machine disk", ("VMDK",)), ("VM", ("virtual machine",))],
        ),
        ("is it here", []),
        ("who runs IT here", [("IT", ("information technology",))]),
        ("scar", []),
        ("", []),
    ],
)
def test_the_longest_phrase_counts(question: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    found = synonyms().find(question)
    assert [(one.phrase, one.synonyms) for one in found] == expected
    assert [question[one.start : one.end] for one in found] == [phrase for phrase, _ in expected]


def test_a_file_adds_to_what_is_written_inline(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text(
        "# of the house\n\npto, paid time off,  vacation\nhr => human resources, people team # asked for\n"
        "C++ => cpp\n",
        encoding="utf-8",
    )
    found = synonyms(SynonymsConfig(file="words.txt", one_way={"hr": ("personnel",)}), tmp_path)
    assert [one.synonyms for one in found.find("PTO from HR")] == [
        ("paid time off", "vacation"),
        ("personnel", "human resources", "people team"),
    ]
    assert [one.synonyms for one in found.find("paid time off in C++")] == [("pto", "vacation"), ("cpp",)]


@pytest.mark.parametrize("line", ["alone", "a =>", "=> b", ",", "=>"])
def test_a_line_that_is_no_rule_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "words.txt").write_text(f"a, b\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"words\.txt:2: is neither `a, b, c` nor `a => b, c`"):
        synonyms(SynonymsConfig(file="words.txt"), tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"words\.txt: cannot be read .*relative to the project"):
        synonyms(SynonymsConfig(file="words.txt"), tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "holds no synonyms"),
        ({"two_way": (("one",),)}, "fewer than two"),
        ({"weight": 0}, "greater than 0"),
    ],
)
def test_settings_that_mean_nothing(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SynonymsConfig.model_validate(settings)


def test_added_terms_weigh_less_and_leave_the_question_s_own_alone() -> None:
    encoder = Bm25Encoder(SparseConfig())
    question = "machine machine images"
    expansion = Expansion("images", ("virtual machine", "picture"), 16, 22)
    terms = expanded(encoder.encode_query(question), [expansion], encoder, 0.25)

    def weight(word: str) -> float:
        (index,) = encoder.encode_query(word).indices
        return float(terms.values[list(terms.indices).index(index)])

    assert (weight("machine"), weight("image")) == (2.0, 1.0)
    assert (weight("virtual"), weight("picture")) == (0.25, 0.25)
    assert len(terms.indices) == 4
    assert (np.diff(terms.indices.astype(np.int64)) > 0).all()
