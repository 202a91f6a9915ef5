"""Storing a run and reading it back, as TREC reads it too."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from rag_pipelines.core.errors import ConfigError, NotFound
from rag_pipelines.evaluation.runs import Place, Run, read_run, read_trec, trec_text, write_run
from rag_pipelines_tests.evaluation.samples import HEADER, query, run_of, suite_of


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two queries, one of which finds nothing; ids with white space."""
    suite = suite_of(
        tmp_path / "suite", [query("a b"), query("c")], [HEADER, "a b\tguide/x y.md\t1", "c\td\t1"]
    )
    return run_of(suite, {"a b": ["guide/x y.md", "100%", "z"]}, settings={"k": 3})


def placed(run: Run, *scores: float) -> Run:
    """The run with one query of these scores."""
    places = tuple(Place(f"d{number}", score) for number, score in enumerate(scores))
    return msgspec.structs.replace(run, places={"q": places})


def test_round_trip(run: Run, tmp_path: Path) -> None:
    write_run(run, tmp_path / "runs" / "1")
    back = read_run(tmp_path / "runs" / "1")
    assert msgspec.structs.replace(back, places={}) == msgspec.structs.replace(run, places={})
    assert {query_id: [place.unit for place in places] for query_id, places in back.places.items()} == {
        "a b": ["guide/x y.md", "100%", "z"]
    }
    assert [place.score for place in back.places["a b"]] == pytest.approx([1, 1 / 2, 1 / 3])
    assert sorted(path.name for path in (tmp_path / "runs" / "1").iterdir()) == ["run.json", "run.trec"]


def test_the_record_is_json_without_places(run: Run, tmp_path: Path) -> None:
    write_run(run, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert record["run"]["places"] == {}
    assert record["run"]["settings"] == {"k": 3}


def test_trec_lines(run: Run) -> None:
    assert trec_text(run).splitlines() == [
        "a%20b Q0 guide/x%20y.md 1 1 rag-pipelines",
        "a%20b Q0 100%25 2 0.5 rag-pipelines",
        "a%20b Q0 z 3 0.333333343 rag-pipelines",
    ]


@pytest.mark.parametrize("unit", ["a\u00a0b", "a\u2028b", "a\tb", "a\x85b", "%41", "ü%"])
def test_every_white_space_survives(run: Run, unit: str) -> None:
    text = trec_text(msgspec.structs.replace(run, places={unit: (Place(unit, 1.0),)}))
    assert len(text.split()) == 6
    assert read_trec(text) == {unit: (Place(unit, 1.0),)}


@pytest.mark.parametrize(
    "scores",
    [
        (0.5, 0.5, 0.5),
        (1.0, 1.0 - 1e-12, 1.0 - 2e-12),
        (0.3, 0.9, 0.1),
        (0.0, 0.0, -0.0),
        (1e300, 2.0, 1.0),
        (float("nan"), 1.0, 2.0),
        (3.0, float("-inf"), float("-inf")),
        (1e-46, 1e-47, 0.0),
    ],
)
def test_scores_fall_strictly_in_single_precision(run: Run, scores: tuple[float, ...]) -> None:
    lines = trec_text(placed(run, *scores)).splitlines()
    written = [np.float32(line.split()[4]) for line in lines]
    assert all(first > second for first, second in itertools.pairwise(written))
    assert [place.unit for place in read_trec("\n".join(lines))["q"]] == ["d0", "d1", "d2"]


def test_scores_that_fall_already_stay(run: Run) -> None:
    assert [line.split()[4] for line in trec_text(placed(run, 20.25, 3.5, -1)).splitlines()] == [
        "20.25",
        "3.5",
        "-1",
    ]


def test_a_run_of_another_program_is_ordered_by_score() -> None:
    found = read_trec("q Q0 low 9 0.1 x\nq Q0 high 9 0.9 x\n\n")
    assert [place.unit for place in found["q"]] == ["high", "low"]
    with pytest.raises(ConfigError, match="line 2 of the run"):
        read_trec("q Q0 d 1 0.5 x\nq Q0 d 1\n")
    with pytest.raises(ConfigError, match="line 1 of the run"):
        read_trec("q Q0 d 1 high x\n")


def test_an_interrupted_write_leaves_the_old_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(run, tmp_path)

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_run(msgspec.structs.replace(run, index="other", places={}), tmp_path)
    assert read_run(tmp_path).index == "handbook"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["run.json", "run.trec"]


def test_the_record_is_replaced_and_never_written_over(run: Run, tmp_path: Path) -> None:
    write_run(run, tmp_path)
    kept = (tmp_path / "run.json").open("rb")
    write_run(msgspec.structs.replace(run, index="other"), tmp_path)
    with kept:
        assert b'"handbook"' in kept.read()
    assert read_run(tmp_path).index == "other"


def test_the_umask_decides_who_may_read_it(run: Run, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_run(run, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600


def test_what_is_no_run_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no stored run"):
        read_run(tmp_path / "missing")
    write_run(run, tmp_path)
    (tmp_path / "run.trec").write_text("q Q0 d 1 0.5 x\n", "utf-8")
    with pytest.raises(ConfigError, match=r"does not belong to run\.json"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"run": 1}', "utf-8")
    with pytest.raises(ConfigError, match="not the record of a run"):
        read_run(tmp_path)
    (tmp_path / "run.trec").unlink()
    with pytest.raises(NotFound):
        read_run(tmp_path)
