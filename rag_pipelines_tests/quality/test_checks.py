"""Each expectation on facts that are written out: sound ones pass, and one fault fails one check."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rag_pipelines.config.quality import QualityConfig, Thresholds
from rag_pipelines.core.checks import Check
from rag_pipelines.quality.checks import CHUNKS, DOCUMENTS, NAMES, SOURCES, VECTORS, judge
from rag_pipelines.quality.expecting import Expectation
from rag_pipelines.quality.facts import (
    Before,
    ChunkFacts,
    DocumentFacts,
    Facts,
    IdentifierFacts,
    Live,
    SourceFacts,
    VectorFacts,
)

EAST = np.array([1.0, 0.0], np.float32)
BEFORE = Before(characters=1000, language="en", nulls=(), similar=0.9)
DOCUMENT = DocumentFacts("wiki", "leave.md", 1000, 1.0, "en", own=1.0, kept=0.9, before=BEFORE)
CHUNK = ChunkFacts("wiki", "leave.md", "c1", 0, "Thirty days.", 0, 12, 1000, True, 3, 220)
VECTOR = VectorFacts("wiki", "leave.md", 0, 384, 384, True, 1.0, 1.0, True, 1.0)
NAME = IdentifierFacts("wiki", "leave.md", "ERR_1", True, True)
SOURCE = SourceFacts(
    "wiki",
    documents=100,
    chunks=300,
    changed=10,
    live=Live(100, 300, {"en": 1.0}, {"product": 0.0}, EAST),
    moved=np.zeros(2, np.float32),
)


def documents(count: int, **changes: Any) -> list[DocumentFacts]:
    return [replace(DOCUMENT, document=f"page{n}.md", **changes) for n in range(count)]


SOUND = Facts(
    [SOURCE, SourceFacts("git", 50, 90, 0, live=Live(50, 90))],
    documents(10),
    [replace(CHUNK, chunk=f"c{n}") for n in range(10)],
    [VECTOR] * 10,
    [replace(NAME, identifier=f"ERR_{n}") for n in range(10)],
)


def failed(
    facts: Facts, settings: QualityConfig | None = None, group: Sequence[Expectation] = (*SOURCES, *DOCUMENTS)
) -> dict[str, Check]:
    """The failed checks of the group by name, all of which name the source and can be written as JSON."""
    others = tuple({*NAMES} - {one.check for one in group})
    checks = judge(facts, (settings or QualityConfig()).model_copy(update={"off": others}))
    json.dumps([dict(check.metadata) for check in checks], allow_nan=False)
    wrong = {check.name: check for check in checks if not check.passed}
    assert all("source 'wiki': " in check.reason and "git" not in check.reason for check in wrong.values())
    return wrong


def test_sound_data_passes_every_check() -> None:
    checks = judge(SOUND, QualityConfig())
    assert [check.name for check in checks] == list(NAMES)
    assert [check for check in checks if not check.passed or check.reason] == []
    assert {check.name for check in checks if check.severity == "warning"} == {
        "chunks_lost",
        "documents_languages",
    }
    by_name = {check.name: check.metadata for check in checks}
    assert by_name["chunks_offsets"]["looked_at"] == 10
    assert by_name["documents_lost"]["highest"] == {"source": "wiki", "value": 0, "limit": 30}


def test_nothing_to_look_at_passes() -> None:
    checks = judge(Facts([], [], [], []), QualityConfig())
    assert [check.name for check in checks] == list(NAMES)
    assert all(check.passed and check.metadata["looked_at"] == 0 for check in checks)


def test_a_first_version_is_compared_with_nothing() -> None:
    first = replace(SOUND, sources=[SourceFacts("wiki", 10, 10, 10)], documents=documents(10, before=None))
    assert failed(first) == {}


SOURCE_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "documents_lost",
        {"documents": 69},
        "31 of 100 documents of the live version are gone, at most 30 may be",
    ),
    ("documents_refused", {"refused": 34}, "34 documents are in quarantine beside 100 in the version"),
    ("chunks_lost", {"chunks": 149}, "151 of 300 chunks of the live version are gone"),
    ("vectors_centroid", {"moved": np.array([0, 200], np.float32)}, "the mean vector moved by 0.168"),
]


@pytest.mark.parametrize(("name", "changes", "said"), SOURCE_FAULTS)
def test_a_source_that_is_wrong(name: str, changes: dict[str, Any], said: str) -> None:
    wrong = failed(replace(SOUND, sources=[replace(SOURCE, **changes), *SOUND.sources[1:]]))
    assert [*wrong] == [name]
    assert said in wrong[name].reason


@pytest.mark.parametrize(
    "changes",
    [{"documents": 70}, {"refused": 33}, {"chunks": 150}, {"moved": np.array([0, 140], np.float32)}],
)
def test_a_source_within_its_limits(changes: dict[str, Any]) -> None:
    assert failed(replace(SOUND, sources=[replace(SOURCE, **changes)])) == {}


def test_deletions_that_a_person_approved_are_not_lost() -> None:
    assert failed(replace(SOUND, sources=[replace(SOURCE, documents=50, chunks=100, approved=50)])) == {}


DOCUMENT_FAULTS: list[tuple[str, int, dict[str, Any], str]] = [
    (
        "documents_shrunk",
        6,
        {"characters": 499},
        "6 documents lost more than half of their text (such as page0.md)",
    ),
    (
        "documents_foreign",
        3,
        {"own": 0.79},
        "3 documents carry a text that is not their own (such as page0.md)",
    ),
    (
        "documents_foreign",
        3,
        {"twin": "b.md", "copied": True, "before": replace(BEFORE, similar=0.49)},
        "3 documents carry a text that is not their own",
    ),
    ("documents_foreign", 3, {"twin": "b.md", "own": None, "before": None}, "3 documents carry a text"),
    ("documents_thin", 4, {"kept": 0.24}, "of 4 documents hardly any words became text (such as page0.md)"),
    (
        "chunks_cover",
        1,
        {"coverage": 0.5},
        "the chunks of 1 of 10 documents leave text out (of page0.md they hold 50%)",
    ),
]


@pytest.mark.parametrize(("name", "count", "changes", "said"), DOCUMENT_FAULTS)
def test_documents_that_are_wrong(name: str, count: int, changes: dict[str, Any], said: str) -> None:
    rest = documents(10)[count:]
    wrong = failed(replace(SOUND, documents=[*documents(count, **changes), *rest]))
    assert [*wrong] == [name]
    assert said in wrong[name].reason
    (sample,) = wrong[name].metadata["samples"]
    named = (
        [sample["document"]]
        if name == "chunks_cover"
        else sample[f"{name.removeprefix('documents_')}_samples"]
    )
    assert named == [f"page{n}.md" for n in range(min(count, 5))]
    fewer = [*documents(count - 1, **changes), *documents(10)[count - 1 :]]
    assert failed(replace(SOUND, documents=fewer)) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"twin": "b.md", "copied": True, "before": None, "own": None},
        {"twin": "b.md", "before": replace(BEFORE, similar=0.5)},
        {"twin": "b.md", "before": None},
        {"own": None, "kept": None},
    ],
)
def test_copies_and_small_edits_are_nobody_elses_text(changes: dict[str, Any]) -> None:
    assert failed(replace(SOUND, documents=documents(10, **changes))) == {}


def test_all_documents_shorter_is_a_drift_of_length() -> None:
    whole = replace(SOUND, sources=[replace(SOURCE, changed=100)])
    wrong = failed(replace(whole, documents=documents(10, characters=600)))
    assert [*wrong] == ["documents_length"]
    assert "documents are 1.7 times shorter on average than in the live version, 1.5 is allowed" in (
        wrong["documents_length"].reason
    )
    assert failed(replace(whole, documents=documents(10, characters=700))) == {}
    assert failed(replace(SOUND, documents=documents(10, characters=600))) == {}  # ten of a hundred


def test_another_language_is_shown_and_holds_nothing_back() -> None:
    whole = [replace(SOURCE, changed=100)]
    mixed = [*documents(7), *(replace(one, language="de") for one in documents(3))]
    wrong = failed(replace(SOUND, sources=whole, documents=mixed))
    assert [*wrong] == ["documents_languages"]
    assert "documents in language de went from 0% to 30%" in wrong["documents_languages"].reason
    assert not wrong["documents_languages"].holds
    assert failed(replace(SOUND, documents=mixed)) == {}  # three of a hundred


def test_a_filter_field_that_loses_its_values() -> None:
    whole = [replace(SOURCE, changed=100)]
    mixed = [*documents(8), *(replace(one, nulls=("product",)) for one in documents(2))]
    wrong = failed(replace(SOUND, sources=whole, documents=mixed))
    assert [*wrong] == ["documents_metadata"]
    assert (
        "the filter field 'product' has no value in 20% more of the documents"
        in wrong["documents_metadata"].reason
    )
    never = [replace(SOURCE, changed=100, live=Live(100, 300, {"en": 1.0}, {"product": 1.0}, EAST))]
    nulls = replace(BEFORE, nulls=("product",))
    assert (
        failed(replace(SOUND, sources=never, documents=documents(10, nulls=("product",), before=nulls))) == {}
    )


CHUNK_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("chunks_filled", {"text": " \n"}, "1 of 10 chunks are empty (such as one of leave.md)"),
    (
        "chunks_size",
        {"tokens": 221},
        "1 of 10 chunks are too long (such as one of leave.md: 221 tokens, its rule says 220)",
    ),
    ("chunks_ids", {"chunk": "c5"}, "2 of 10 chunks share their ids"),
    ("chunks_offsets", {"faithful": False}, "1 of 10 chunks do not say what their document says"),
    ("chunks_offsets", {"start": -1}, "-1 to 12 of 1000 characters"),
    ("chunks_offsets", {"start": 12}, "12 to 12 of 1000 characters"),
    ("chunks_offsets", {"end": 1001}, "0 to 1001 of 1000 characters"),
]


@pytest.mark.parametrize(("name", "changes", "said"), CHUNK_FAULTS)
def test_a_chunk_that_is_wrong(name: str, changes: dict[str, Any], said: str) -> None:
    wrong = failed(
        replace(SOUND, chunks=[replace(SOUND.chunks[0], **changes), *SOUND.chunks[1:]]), group=CHUNKS
    )
    assert [*wrong] == [name]
    assert said in wrong[name].reason
    assert "Thirty" not in json.dumps(dict(wrong[name].metadata))


def test_the_same_chunk_id_in_two_sources_is_no_duplicate() -> None:
    other = replace(CHUNK, source="git", chunk="c0")
    assert failed(replace(SOUND, chunks=[*SOUND.chunks, other]), group=CHUNKS) == {}


VECTOR_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "vectors_finite",
        {"finite": False, "norm": None},
        "1 of 10 vectors hold NaN or infinity (such as of leave.md)",
    ),
    ("vectors_dimension", {"dimension": 768}, "(such as of leave.md: 768, not 384)"),
    ("vectors_norm", {"norm": 1.02}, "1 of 10 vectors are not at unit length (such as of leave.md: 1.020)"),
    ("vectors_norm", {"norm": 0.98}, "1 of 10 vectors are not at unit length"),
    ("vectors_stored", {"stored": 0.99}, "the engine has 1 of 10 vectors not, or otherwise than the catalog"),
    ("vectors_stored", {"stored": None}, "the engine has 1 of 10 vectors not, or otherwise than the catalog"),
    (
        "vectors_reproducible",
        {"again": 0.98},
        "1 texts embedded anew have another vector than the stored one",
    ),
    ("terms_stored", {"terms": False}, "the engine has 1 of 10 passages with other terms than their text's"),
]


@pytest.mark.parametrize(("name", "changes", "said"), VECTOR_FAULTS)
def test_a_vector_that_is_wrong(name: str, changes: dict[str, Any], said: str) -> None:
    wrong = failed(replace(SOUND, vectors=[replace(VECTOR, **changes), *SOUND.vectors[1:]]), group=VECTORS)
    assert [*wrong] == [name]
    assert said in wrong[name].reason


def test_vectors_as_rounding_leaves_them_are_right() -> None:
    rounded = replace(VECTOR, norm=1.009, stored=0.9991, again=0.991)
    unknown = replace(VECTOR, norm=None, terms=None, again=None)
    assert failed(replace(SOUND, vectors=[rounded, unknown]), group=VECTORS) == {}


@pytest.mark.parametrize("changes", [{"found": False}, {"whole": False}])
def test_identifiers_that_find_nothing(changes: dict[str, Any]) -> None:
    lost = [replace(one, **changes) for one in SOUND.identifiers[:2]]
    wrong = failed(replace(SOUND, identifiers=[*lost, *SOUND.identifiers[2:]]))
    assert [*wrong] == ["terms_identifiers"]
    assert "2 of 10 identifiers do not find their passages (such as ERR_0 of leave.md), at most 1 may" in (
        wrong["terms_identifiers"].reason
    )
    assert failed(replace(SOUND, identifiers=[lost[0], *SOUND.identifiers[1:]])) == {}


def test_a_source_has_its_own_thresholds() -> None:
    settings = QualityConfig(max_lost_documents=0.5, sources={"wiki": Thresholds(max_lost_documents=0.1)})
    smaller = [replace(SOURCE, documents=89), SourceFacts("git", 26, 90, 0, live=Live(50, 90))]
    wrong = failed(replace(SOUND, sources=smaller), settings)
    assert [*wrong] == ["documents_lost"]
    assert "at most 10 may be" in wrong["documents_lost"].reason
    assert settings.of("wiki").max_lost_chunks == settings.max_lost_chunks
    assert settings.of("git") == settings


def test_an_override_leaves_the_other_thresholds_of_the_index() -> None:
    settings = QualityConfig(floor=7, sources={"wiki": Thresholds(max_refused=0.1)})
    assert (settings.of("wiki").floor, settings.of("wiki").max_refused) == (7, 0.1)


def test_checks_can_be_warnings_or_off() -> None:
    empty = replace(SOUND, chunks=[replace(CHUNK, text="")])
    (check,) = failed(empty, QualityConfig(warnings=("chunks_filled",)), CHUNKS).values()
    assert check.severity == "warning"
    assert not check.holds
    assert "chunks_filled" not in {one.name for one in judge(empty, QualityConfig(off=("chunks_filled",)))}
    with pytest.raises(ValidationError, match="chunks_filled can be in warnings or in off, not in both"):
        QualityConfig(warnings=("chunks_filled",), off=("chunks_filled",))
    with pytest.raises(ValidationError):
        QualityConfig(off=("no_such_check",))  # type: ignore[arg-type]


def test_many_wrong_sources_are_summed_up() -> None:
    sources = [replace(SOURCE, source=f"s{n}", documents=10) for n in range(5)]
    (check,) = (one for one in judge(replace(SOUND, sources=sources), QualityConfig()) if not one.passed)
    assert check.reason.count("source 's") == 3
    assert check.reason.endswith("; and 2 more sources")
    assert check.metadata["sources"] == {f"s{n}": 1 for n in range(5)}
    assert check.metadata["unexpected_percent"] == 100.0


def test_nothing_heavy_is_loaded_before_data_is_judged() -> None:
    code = (
        "import sys, rag_pipelines.pipeline.data_quality, rag_pipelines.pipeline.sync\n"
        "print(*(name for name in ('great_expectations', 'pandas', 'scipy') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_great_expectations_reports_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GX_ANALYTICS_ENABLED", raising=False)
    code = (
        "import socket, os\n"
        "def refuse(*_): raise AssertionError('a connection')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from rag_pipelines_tests.quality.test_checks import SOUND, judge, QualityConfig\n"
        "judge(SOUND, QualityConfig())\n"
        "assert os.environ['GX_ANALYTICS_ENABLED'] == 'false'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Calculating" not in done.stderr
