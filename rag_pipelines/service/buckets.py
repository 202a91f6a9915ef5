"""Token buckets, one for each key, in bounded memory."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from rag_pipelines.config.limits import RateConfig


class TokenBuckets:
    """Each key may take `burst` at once and `per_second` in the long run. Safe to use from several threads.

    The key that was not heard of for longest is forgotten first; it begins anew with a full bucket.
    """

    def __init__(self, rate: RateConfig, keys: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """Take one token: 0 where there was one, else the seconds until there is, and nothing is taken."""
        with self._lock:
            now = self._clock()
            tokens, at = self._left.pop(key, (float(self._rate.burst), now))
            tokens = min(self._rate.burst, tokens + (now - at) * self._rate.per_second)
            taken = tokens >= 1
            self._left[key] = (tokens - taken, now)
            if len(self._left) > self._keys:
                self._left.popitem(last=False)
            return 0.0 if taken else (1 - tokens) / self._rate.per_second

    def give_back(self, key: Hashable) -> None:
        """What was taken did not lead to anything."""
        with self._lock:
            if key in self._left:
                tokens, at = self._left[key]
                self._left[key] = (min(self._rate.burst, tokens + 1), at)

    def __len__(self) -> int:
        return len(self._left)


def retry_after(seconds: float) -> str:
    """For the header of that name: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))
