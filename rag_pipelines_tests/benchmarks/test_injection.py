"""The injection benchmark halves, plants, chooses and counts as it says."""

from __future__ import annotations

import pytest

from rag_pipelines.governance.injection import Detector
from rag_pipelines.governance.injection_rules import Rule
from rag_pipelines_tests.benchmarks.injection import Sample, cut, families, measure, plant, threshold_for


def test_texts_are_cut_between_lines() -> None:
    assert cut("one\ntwo\nthree\n", 8) == ("one\ntwo", "three")
    assert cut("abcdefghij\nk\n", 4) == ("abcd", "efgh", "ij", "k")
    assert cut(" \n\n") == ()


@pytest.mark.parametrize(
    ("place", "text"), [("beginning", "X\na\nb"), ("middle", "a\nX\nb"), ("end", "a\nb\nX")]
)
def test_an_attack_is_a_line_of_its_own(place: str, text: str) -> None:
    assert plant("a\nb", "X", place) == text


def test_the_threshold_lets_so_many_clean_passages_by() -> None:
    assert threshold_for([[0.0, 0.3, 0.5, 0.9], [0.0, 0.0, 0.0, 0.3]], 0.25) == 0.5
    assert threshold_for([[0.0] * 99 + [0.4]], 0.01) == 0.4
    assert threshold_for([[0.4, 0.4]], 0.01) == 1.001


def test_the_threshold_is_of_one_half_and_the_shares_of_the_other() -> None:
    detector = Detector((Rule("low", 0.3, "low"), Rule("high", 0.8, "high")))
    clean = [Sample("scifact", ("none",), tuned=True, attack=False) for _ in range(199)]
    clean.append(Sample("scifact", ("low",), tuned=True, attack=False))
    held = [
        Sample("scifact", (text,), tuned=False, attack=False) for text in ("high", "none", "none", "none")
    ]
    attacks = [
        Sample("text: Clickbait", ("none", "high"), tuned=False, attack=True),
        Sample("text: Clickbait", ("none",), tuned=False, attack=True),
        Sample("text: Clickbait", ("none",), tuned=True, attack=True),
        Sample("prompts: injection", ("low",), tuned=False, attack=True),
    ]
    report, missed = measure(detector, [*clean, *held, *attacks], "held")
    assert (report.threshold, report.clean) == (0.3, {"scifact": 0.25})
    assert report.attacks == {"text: Clickbait": 0.5, "prompts: injection": 1.0}
    assert [sample.passages for sample in missed] == [("none",)]
    (point,) = [point for point in report.curve if point["threshold"] == 0.8]
    assert (point["recall"], point["precision"]) == (1 / 3, 0.5)
    report, _ = measure(detector, [*clean, *held, *attacks], "tuned")
    assert (report.clean, report.attacks) == ({"scifact": 0.005}, {"text: Clickbait": 0.0})

    more = [Sample("scifact", ("low",), tuned=True, attack=False) for _ in range(5)]
    report, _ = measure(detector, [*clean, *more, *held, *attacks], "held")
    assert (report.threshold, report.clean) == (1.001, {"scifact": 0.0})


def test_families_are_weighed_by_their_texts() -> None:
    shares = {
        "text: Clickbait": 0.5,
        "text: Persuasion": 1.0,
        "text: Content Creation": 0.0,
        "code: Mining": 1.0,
    }
    counts = {"text: Clickbait": 3, "text: Persuasion": 1, "text: Content Creation": 2, "code: Mining": 1}
    assert families(shares, counts) == {
        "bipia: orders about the answer": 0.625,
        "bipia: plain tasks": 0.0,
        "bipia: code": 1.0,
    }
