"""The registry of fault points says what the code does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from rag_pipelines.core.faults import FAULT_POINTS, PLACES, arm, fault_point
from rag_pipelines_tests.shared_data import ROOT

PACKAGE = ROOT / "rag_pipelines"


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    """Whatever a test armed."""
    yield
    arm(None)


def used() -> Counter[tuple[str, str]]:
    """(module, name) of every call in the package, in whatever form it is written."""
    found: Counter[tuple[str, str]] = Counter()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if module != "core.faults":
            found.update((module, call) for call in re.findall(r"fault_point\(([^)]*)\)", path.read_text()))
    return found


def test_each_registered_name_is_passed_at_one_place_of_its_module_and_no_other_is() -> None:
    assert used() == Counter((module, f'"{name}"') for module, names in PLACES.items() for name in names)


def test_no_name_is_registered_twice() -> None:
    assert len(FAULT_POINTS) == sum(map(len, PLACES.values()))


def test_an_armed_action_is_told_the_name_until_it_is_disarmed() -> None:
    passed: list[str] = []
    fault_point("publish.moved")
    arm(passed.append)
    fault_point("stage.intended")
    arm(None)
    fault_point("publish.moved")

    assert passed == ["stage.intended"]


def test_an_unknown_name_is_an_error_once_armed() -> None:
    arm(lambda name: None)
    with pytest.raises(KeyError):
        fault_point("stage.imagined")
