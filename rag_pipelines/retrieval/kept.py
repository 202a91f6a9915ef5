"""What is costly to make and the same for everybody with the same rights, in memory while it is used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """The values used last, as many as there is room for; each is made once, however many threads ask for it."""

    def __init__(self, room: int, size: Callable[[V], int]) -> None:
        """`size` is of a value, `room` of all together; the last one stays whatever its size."""
        self._room = room
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Future[V]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key; who asks for another one waits for nothing. Raises what `make` raises."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            else:
                mine = self._values[key] = Future()
        if found is not None:
            return found.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                self._values.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(value)
        self._make_room()
        return value

    def _make_room(self) -> None:
        with self._lock:
            done = {
                key: self._size(value.result())
                for key, value in self._values.items()
                if value.done() and value.exception() is None
            }
            total = sum(done.values())
            for key, size in list(done.items())[:-1]:
                if total <= self._room:
                    break
                del self._values[key]
                total -= size
