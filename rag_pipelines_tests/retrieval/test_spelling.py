"""Corrections from the index's own words, and only from those that the asker may read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.query import SpellingConfig
from rag_pipelines.core.types import OPERATOR, Principal
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.retrieval.spelling import Vocabulary, checkable, read_vocabulary
from rag_pipelines_tests.project import STAFF, Parts, Project, scratch_folder

BOARD = Principal("berta", "acme", ("board",))
SPELLING: dict[str, Any] = {"query": {"spelling": {}}}
STAFF_PAGES = {
    "oven.md": "# Oven\n\nThe temperature of the furnace is measured by a thermocouple made of zirconia.\n",
    "belt.md": "# Belt\n\nThe temperature of the conveyor is measured when the furnace stands still.\n",
    "once.md": "# Once\n\nThe hydrometer is read once a day, and nobody else writes about it.\n",
}
BOARD_PAGES = {
    "sale.md": "# Sale\n\nThe divestiture of the zirconium works is planned. Zirconium prices rise.\n",
    "plan.md": "# Plan\n\nThe divestiture needs the consent of the owners. The furnaces stay.\n",
}


@pytest.fixture(scope="module")
def project(parts: Parts) -> Iterator[Project]:
    """Two pages for the staff, two for the board, which reads the staff's too."""
    with scratch_folder() as folder:
        made = Project(folder / "project", parts=parts)
        made.index("knowledge", retrieval=SPELLING)
        made.source("docs", acl=["group:staff", "group:board"])
        made.source("board", acl=["group:board"])
        for name, text in STAFF_PAGES.items():
            made.write(name, text)
        for name, text in BOARD_PAGES.items():
            made.write(name, text, "board")
        made.sync()
        yield made


def corrected(result: SearchResult) -> dict[str, str]:
    assert result.understanding is not None
    return {one.word: one.replacement for one in result.understanding.corrections}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("temperture of the furnace", {"temperture": "temperature"}),
        ("Temperatrue of the frunace?", {"Temperatrue": "Temperature", "frunace": "furnace"}),
        ("temperatures of furnaces", {}),
        ('"temperture" of the furnace', {}),
        ("“temperture log” of the frunace", {"frunace": "furnace"}),
        ("TEMPERTURE tempErture temperture-2 temperture_x temp3rture", {}),
        ("the furnace's temperture", {"temperture": "temperature"}),
        ("frunace's colour", {"frunace": "furnace"}),
        ("xylophone", {}),
        ("hydrometter", {}),
        ("measurd wher it stads", {"measurd": "measured"}),
    ],
)
def test_unknown_words_become_known_ones(project: Project, question: str, expected: dict[str, str]) -> None:
    result = project.search(question, principal=STAFF)
    assert corrected(result) == expected
    assert result.understanding is not None
    wanted = question
    for word, replacement in expected.items():
        wanted = wanted.replace(word, replacement, 1)
    assert result.understanding.question == wanted


def test_a_correction_finds_what_the_slip_does_not(project: Project, tmp_path: Path) -> None:
    plain = project.copied(tmp_path / "plain")
    plain.index("knowledge", retrieval={"mode": "sparse"})
    assert plain.uris("conveeyor", principal=STAFF) == []
    plain.index("knowledge", retrieval={"mode": "sparse", "query": {"spelling": {"min_passages": 1}}})
    assert plain.uris("conveeyor", principal=STAFF) == ["belt.md"]


def test_no_correction_tells_of_a_word_that_the_asker_cannot_read(project: Project) -> None:
    assert corrected(project.search("divestture", principal=BOARD)) == {"divestture": "divestiture"}
    assert corrected(project.search("divestture", principal=OPERATOR)) == {"divestture": "divestiture"}
    assert corrected(project.search("divestture", principal=STAFF)) == {}


def test_a_word_is_known_only_to_those_who_can_read_it(project: Project, tmp_path: Path) -> None:
    """Else a word that stays as it is would tell that it stands somewhere."""
    once = project.copied(tmp_path / "project")
    once.index("knowledge", retrieval={"query": {"spelling": {"min_passages": 1}}})
    assert corrected(once.search("zirconium", principal=BOARD)) == {}
    assert corrected(once.search("zirconium", principal=STAFF)) == {"zirconium": "zirconia"}


def test_frequency_counts_what_the_asker_can_read(project: Project) -> None:
    assert corrected(project.search("zirconiun", principal=BOARD)) == {}
    with_plural = project.search("furnaxe", principal=BOARD)
    assert corrected(with_plural) == {"furnaxe": "furnace"}


def test_hidden_words_take_no_readable_one_s_place(project: Project, tmp_path: Path) -> None:
    """Fourteen hidden words are as near as the readable one, and come before it in the alphabet."""
    crowded = project.copied(tmp_path / "project")
    crowded.index("knowledge", retrieval={"query": {"spelling": {"min_passages": 1}}})
    crowded.write("lamp.md", "# Lamp\n\nThe lanternz hangs above the door.\n")
    words = " ".join(f"lantern{letter}" for letter in "abcdefghijklmn")
    crowded.write("lamps.md", f"# Lamps\n\nNames of the works are {words}.\n", "board")
    crowded.sync()
    assert corrected(crowded.search("lanternx", principal=STAFF)) == {"lanternx": "lanternz"}
    assert corrected(crowded.search("lanternx", principal=BOARD)) == {"lanternx": "lanterna"}


def test_a_word_granted_by_name_is_known_to_nobody_else(project: Project, tmp_path: Path) -> None:
    named = project.copied(tmp_path / "project")
    named.index("knowledge", retrieval={"query": {"spelling": {"min_passages": 1}}})
    named.source("own", acl=["user:ana"])
    named.write("own.md", "# Own\n\nThe barograph draws a line.\n", "own")
    named.sync()
    other = Principal("otto", STAFF.tenant, STAFF.groups)
    with named.searchers() as searchers:
        searcher = searchers.get("knowledge")
        for who, expected in (
            (STAFF, {"barogaph": "barograph"}),
            (other, {}),
            (STAFF, {"barogaph": "barograph"}),
        ):
            assert corrected(searcher.search("barogaph", 5, who)) == expected


def test_words_are_those_of_the_version_that_is_read(project: Project, tmp_path: Path) -> None:
    later = project.copied(tmp_path / "project")
    for name in ("new.md", "more.md"):
        later.write(name, f"# {name}\n\nThe pyrometer hangs above the {name} door.\n")
    later.sync()
    assert corrected(later.search("pyrometter")) == {"pyrometter": "pyrometer"}
    assert corrected(later.search("pyrometter", version=1)) == {}


def test_an_index_without_spelling_says_nothing(project: Project, tmp_path: Path) -> None:
    plain = project.copied(tmp_path / "project")
    plain.index("knowledge")
    result = plain.search("temperture")
    assert result.understanding is None
    assert "understanding" not in result.as_json()


def test_a_collection_without_terms_corrects_nothing_and_is_refused_in_the_yaml() -> None:
    with pytest.raises(ValidationError, match="sparse is null"):
        IndexConfig.model_validate({"index": "knowledge", "sparse": None, "retrieval": SPELLING})


def test_near_words_are_ordered_by_edits_and_likeness() -> None:
    words = ["storage", "stage", "stooge", "forage", "storages", "garage"]
    by_length: dict[int, list[str]] = {}
    for word in words:
        by_length.setdefault(len(word), []).append(word)
    vocabulary = Vocabulary(by_length)
    assert vocabulary.near("stoage", 1) == ["storage", "stage", "stooge"]
    assert vocabulary.near("stoarge", 1) == ["storage"], "a swap of neighbours is one edit"
    assert set(vocabulary.near("stoage", 2)) == {"storage", "stage", "stooge", "storages"}
    assert vocabulary.near("xyz", 1) == []


def test_the_vocabulary_is_bounded_in_time_and_words() -> None:
    clock = iter(range(100))
    settings = SpellingConfig(seconds=3)
    some = read_vocabulary((f"word{'a' * n} Word" for n in range(50)), settings, lambda: next(clock))
    assert some.by_length == {4: ["word"], 5: ["worda"], 6: ["wordaa"]}

    few = SpellingConfig(max_words=1000)
    texts = ["".join(letters) for letters in product("abcdefghijkl", repeat=3)]
    vocabulary = read_vocabulary([*texts, "often often", "often"], few, lambda: 0.0)
    assert sum(map(len, vocabulary.by_length.values())) == 1000
    assert "often" in vocabulary.by_length[5]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the temperature (in degrees)?", ["temperature", "degrees"]),
        ("size of ERR_4217, foo.bar and X-Header", []),
        ('"exact phrase" search', ["search"]),
        ('unfinished "quote here', ["unfinished"]),
        ("naïve Überprüfung", ["naïve", "Überprüfung"]),
        ("5kg iPhone NASA", []),
    ],
)
def test_which_words_may_be_misspelt(question: str, words: list[str]) -> None:
    assert [question[start:end] for start, end in checkable(question, 5)] == words
