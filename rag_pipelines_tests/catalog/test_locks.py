"""One process at a time, however the holder ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from rag_pipelines.catalog.store import Catalog, open_catalog

TAKE = """
import sys
from rag_pipelines.catalog.store import open_catalog
with open_catalog(sys.argv[1]).exclusive(sys.argv[2], lambda holder: print("waiting", flush=True)):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def other_process(url: str, name: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process that takes the lock and holds it until told otherwise; what it says as it goes."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, url, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout
    finally:
        process.kill()
        process.communicate()


def url_of(catalog: Catalog) -> str:
    return catalog.engine.url.render_as_string(hide_password=False)


def never(holder: str) -> None:
    pytest.fail(f"waited for {holder}")


def test_a_killed_holder_lets_go(catalog: Catalog) -> None:
    waits: list[str] = []
    with other_process(url_of(catalog), "sync") as (holder, said):
        assert said.readline() == "held\n"

        def on_wait(name: str) -> None:
            waits.append(name)
            assert holder.poll() is None
            holder.send_signal(signal.SIGKILL)
            holder.wait()

        with catalog.exclusive("sync", on_wait):
            assert len(waits) == 1
    expected = f"process {holder.pid} since 20" if catalog.dialect == "sqlite" else "another database session"
    assert waits[0].startswith(expected)
    with catalog.exclusive("sync", never):
        pass


def test_a_second_process_gets_it_after_the_first(catalog: Catalog) -> None:
    with catalog.exclusive("sync", never), other_process(url_of(catalog), "sync") as (_, said):
        assert said.readline() == "waiting\n"
        with other_process(url_of(catalog), "another name") as (_, free):
            assert free.readline() == "held\n"
    with other_process(url_of(catalog), "sync") as (_, said):
        assert said.readline() == "held\n"


def test_a_waiting_process_can_be_interrupted(catalog: Catalog) -> None:
    with catalog.exclusive("sync", never), other_process(url_of(catalog), "sync") as (waiting, said):
        assert said.readline() == "waiting\n"
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=60) != 0
        assert waiting.stderr is not None
        assert waiting.stderr.read().strip().endswith("KeyboardInterrupt")


def test_an_exception_lets_go(catalog: Catalog) -> None:
    with pytest.raises(ZeroDivisionError), catalog.exclusive("sync", never):
        raise ZeroDivisionError
    second = open_catalog(url_of(catalog))
    with second.exclusive("sync", never), catalog.exclusive("other", never):
        pass
    second.close()
