"""What a connector is: a name, its parameters and how to open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from rag_pipelines.core.ports import Source

P = TypeVar("P", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class OpenContext:
    """Where a source stands: relative paths resolve against `base_dir`, scratch files go to `work_dir`.

    `work_dir` belongs to this one source and survives between runs (clones, hash caches); losing it
    costs time and nothing else.
    """

    source: str
    work_dir: Path
    base_dir: Path


@dataclass(frozen=True, slots=True)
class Connector(Generic[P]):
    """One kind of source. `open` does no I/O: the first probe, list or fetch does."""

    name: str
    params: type[P]
    open: Callable[[OpenContext, P], Source]
    description: str
