"""What is kept is made once, and as much as there is room for."""

from __future__ import annotations

import threading

import pytest

from rag_pipelines.retrieval.kept import Kept


def test_the_values_used_last_stay_while_there_is_room() -> None:
    kept: Kept[str] = Kept(5, len)
    made: list[str] = []

    def get(text: str) -> str:
        def make() -> str:
            made.append(text)
            return text

        return kept.get(text, make)

    assert [get("aa"), get("bb"), get("aa")] == ["aa", "bb", "aa"]
    assert made == ["aa", "bb"]
    get("cc")  # six letters: the one used longest ago goes
    get("aa")
    assert made == ["aa", "bb", "cc"]
    get("bb")
    assert made == ["aa", "bb", "cc", "bb"]
    get("too long to fit")
    get("too long to fit")
    assert made[4:] == ["too long to fit"]


def test_a_value_is_made_once_however_many_ask() -> None:
    kept: Kept[int] = Kept(10, lambda _: 1)
    asked, made = threading.Barrier(4), []
    begun, go = threading.Event(), threading.Event()

    def make() -> int:
        begun.set()
        go.wait(10)
        made.append(1)
        return 7

    found: list[int] = []

    def ask() -> None:
        asked.wait(10)
        found.append(kept.get("same", make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    assert kept.get("another", lambda: 8) == 8, "who asks for another value waits for nothing"
    go.set()
    for thread in threads:
        thread.join()
    assert (found, made) == ([7, 7, 7, 7], [1])


def test_a_failure_is_told_and_not_kept() -> None:
    kept: Kept[int] = Kept(10, lambda _: 1)

    def fail() -> int:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        kept.get("it", fail)
    assert kept.get("it", lambda: 3) == 3
