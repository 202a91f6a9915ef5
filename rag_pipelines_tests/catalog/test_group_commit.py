"""Items of several threads in one transaction: what is answered, what is refused, and what a slow disk does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag_pipelines.catalog.group_commit import GroupCommit
from rag_pipelines.core.errors import CatalogError


class Disk:
    """Keeps batches; waits until it is `free`, and fails `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[int]] = []
        self.failures = failures
        self.free = threading.Event()
        self.busy = threading.Event()

    def write(self, items: list[int]) -> None:
        self.busy.set()
        assert self.free.wait(30)
        if self.failures:
            self.failures -= 1
            raise OSError("no room left")
        self.batches.append(items)


def test_what_waits_is_committed_together_and_answered_afterwards() -> None:
    disk = Disk()
    group = GroupCommit(disk.write, wait=True)
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(group.put, 0)
        assert disk.busy.wait(30)
        others = [threads.submit(group.put, number) for number in range(1, 9)]
        while group.waiting < 8:
            pass
        assert not any(one.done() for one in (first, *others))
        disk.free.set()
        for one in (first, *others):
            one.result(30)
    group.close()
    assert disk.batches[0] == [0]
    assert sorted(disk.batches[1]) == list(range(1, 9))
    assert len(disk.batches) == 2


def test_whoever_waits_is_told_that_it_was_not_written() -> None:
    disk = Disk(failures=1)
    disk.free.set()
    group = GroupCommit(disk.write, wait=True)
    with pytest.raises(CatalogError, match="cannot be written: OSError"):
        group.put(1)
    group.put(2)
    group.close()
    assert disk.batches == [[2]]
    with pytest.raises(CatalogError, match="is closed"):
        group.put(3)


def test_whoever_does_not_wait_loses_nothing_to_a_failure() -> None:
    disk = Disk(failures=2)
    disk.free.set()
    group = GroupCommit(disk.write, wait=False)
    for number in range(20):
        group.put(number)
    group.flush()
    assert [number for batch in disk.batches for number in batch] == list(range(20))
    group.put(20)
    group.close()
    assert disk.batches[-1] == [20]


def test_where_too_many_wait_the_next_is_refused() -> None:
    disk = Disk()
    group = GroupCommit(disk.write, wait=False, room=2, patience=0.01)
    group.put(0)
    assert disk.busy.wait(30)
    group.put(1)
    group.put(2)
    with pytest.raises(CatalogError, match="in time"):
        group.put(3)
    disk.free.set()
    group.close()
    assert [number for batch in disk.batches for number in batch] == [0, 1, 2]
