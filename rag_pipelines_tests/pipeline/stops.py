"""Ends what runs in a block at a named fault point, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rag_pipelines.core import faults


class KilledError(BaseException):
    """Stands in for a kill: nothing in the product catches it."""


@contextmanager
def killing(place: str | None, count: int = 1) -> Iterator[None]:
    """Raises KilledError at the count-th passage of the fault point; None never does."""
    left = count

    def act(name: str) -> None:
        nonlocal left
        left -= name == place
        if name == place and left == 0:
            raise KilledError(name)

    faults.arm(act)
    try:
        yield
    finally:
        faults.arm(None)
