"""Many at once, or one alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Gate:
    """Many may use a thing at once; one may wait for them to leave and then change or close it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._users = 0
        self._shut = False

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """Enter beside others, once nobody has it to themselves."""
        with self._condition:
            while self._shut:
                self._condition.wait()
            self._users += 1
        try:
            yield
        finally:
            with self._condition:
                self._users -= 1
                self._condition.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Enter once everybody has left, and keep others out."""
        with self._condition:
            while self._shut:
                self._condition.wait()
            self._shut = True
            while self._users:
                self._condition.wait()
        try:
            yield
        finally:
            with self._condition:
                self._shut = False
                self._condition.notify_all()
