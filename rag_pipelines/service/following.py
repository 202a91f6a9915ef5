"""Keeps searchers on the published snapshot, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from rag_pipelines.core.errors import NotPublished
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.service.problems import sayable

logger = logging.getLogger(__name__)


class Follower:
    """Looks for newly published snapshots every `seconds`; loads models before anybody asks.

    Whatever fails is kept in `faults` until a later look succeeds: a database that is away for a minute
    must not leave the service on an old version for good.
    """

    def __init__(self, searchers: Searchers, seconds: float) -> None:
        self._searchers = searchers
        self._seconds = seconds
        self._faults: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-pointers", daemon=True)

    @property
    def faults(self) -> Mapping[str, str]:
        """Index -> why it cannot be followed now."""
        return dict(self._faults)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            for name in self._searchers.configuration.indexes:
                self._look(name)
            self._stop.wait(self._seconds)

    def _look(self, name: str) -> None:
        try:
            searcher = self._searchers.get(name)
            if searcher.refresh(warmed=True) and searcher.pointer is not None:
                logger.info("index=%s version=%s is live", name, searcher.pointer.version)
        except NotPublished:
            return
        except Exception as error:
            fault = sayable(error)
            if self._faults.get(name) != fault:
                logger.exception("index=%s cannot be followed", name)
            self._faults[name] = fault
            return
        self._faults.pop(name, None)
