"""How many requests are worked on at once, how many wait for that, and for how long."""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """So many slots, and so many who wait for one for so many seconds. For one event loop.

    `draining` says that the process is about to end: it is asked by whoever sends requests here.
    """

    def __init__(self, slots: int, waiting: int = 0, wait_seconds: float = 1.0) -> None:
        self.slots = slots
        self.draining = False
        self.refused = 0
        self.timed_out = 0
        self._free = slots
        self._most_waiting = waiting
        self._wait_seconds = wait_seconds
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def active(self) -> int:
        """Slots that are taken."""
        return self.slots - self._free

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    async def enter(self) -> bool:
        """Take a slot, first come first served; False where the queue is full or the wait is over."""
        if self._free:
            self._free -= 1
            return True
        if len(self._queue) >= self._most_waiting:
            self.refused += 1
            return False
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await asyncio.wait((place,), timeout=self._wait_seconds)
        except asyncio.CancelledError:
            if place.done():
                self.leave()
            else:
                self._queue.remove(place)
            raise
        if place.done():
            return True
        self._queue.remove(place)
        self.refused += 1
        return False

    def leave(self) -> None:
        """Give the slot to whoever waits longest."""
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self._free += 1
