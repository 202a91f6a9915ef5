"""Commits what several threads hand over together: one flush of the disk for all that came meanwhile."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, TypeVar

from rag_pipelines.core.errors import CatalogError

logger = logging.getLogger(__name__)
T = TypeVar("T")
MOST = 500
RETRIES = (0.05, 0.2, 1.0, 5.0)


class GroupCommit(Generic[T]):
    """A thread that calls `write` with all items that wait.

    With `wait`, `put` returns once its item is committed and raises where it is not. Without, it returns at
    once, unless `room` items wait; what was not written when the process is killed is lost then, and what
    cannot be written is tried again, while new items find the room taken. `patience` is the longest wait.
    """

    def __init__(
        self, write: Callable[[list[T]], None], *, wait: bool, room: int = 10_000, patience: float = 30.0
    ) -> None:
        self._write = write
        self._wait = wait
        self._patience = patience
        self._queue: queue.Queue[tuple[T, Future[None]] | Future[None] | None] = queue.Queue(room)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items nobody has begun to write."""
        return self._queue.qsize()

    def put(self, item: T) -> None:
        """Hand an item over. Raises CatalogError where it cannot be written, or not in time."""
        if self._closing.is_set():
            raise CatalogError("the audit log is closed: the service is shutting down")
        done: Future[None] = Future()
        try:
            self._queue.put((item, done), timeout=self._patience)
            if self._wait:
                done.result(self._patience)
        except (queue.Full, FutureTimeout):
            raise CatalogError(
                "the audit log cannot be written in time: the catalog is busy or away"
            ) from None

    def flush(self) -> None:
        """Wait for what was handed over before."""
        mark: Future[None] = Future()
        self._queue.put(mark)
        with contextlib.suppress(FutureTimeout):
            mark.result(self._patience)

    def close(self) -> None:
        """Write what waits, and end."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            found = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(found) < MOST:
                    found.append(self._queue.get_nowait())
            ended = None in found
            items = [one for one in found if isinstance(one, tuple)]
            if items:
                self._commit(items)
            for mark in found:
                if isinstance(mark, Future):
                    mark.set_result(None)

    def _commit(self, items: list[tuple[T, Future[None]]]) -> None:
        attempt = 0
        while True:
            try:
                self._write([item for item, _ in items])
            except Exception as error:
                if not self._wait and (not self._closing.is_set() or attempt < len(RETRIES)):
                    logger.exception("lines=%s of the audit log wait for the catalog", len(items))
                    self._closing.wait(RETRIES[min(attempt, len(RETRIES) - 1)])
                    attempt += 1
                    continue
                logger.exception("lines=%s of the audit log were not written", len(items))
                for _, done in items:
                    done.set_exception(
                        CatalogError(f"the audit log cannot be written: {type(error).__name__}")
                    )
                return
            for _, done in items:
                done.set_result(None)
            return
