"""A parser that does what the first word of the document says; runs in sandbox workers only."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import Element, ElementKind, ParsedDocument
from rag_pipelines.parsing import plain

VERSION = 1


def parse(data: bytes, name: str) -> ParsedDocument:
    """Misbehave if told to, otherwise read plain text."""
    command, _, argument = data.decode().partition(" ")
    special = COMMANDS.get(command)
    result = special(argument) if special else None
    if isinstance(result, ParsedDocument):
        return result
    return plain.parse(data if result is None else result.encode(), name)


def _hang(_: str) -> None:
    while True:
        pass


def _wrapped(_: str) -> None:
    try:
        bytearray(10**10)
    except MemoryError as error:
        raise ParseError("it looks damaged") from error


def _raise(argument: str) -> None:
    raise KeyError(argument)


def _recurse(argument: str) -> None:
    _recurse(argument)


def _once(marker: str) -> None:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _noise(_: str) -> None:
    os.write(1, b"noise" * 10_000)
    print("noise", flush=True)


def _child(note: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(note).write_text(str(child.pid))
    _hang("")


def _litter(_: str) -> str:
    Path(os.environ["TMPDIR"], "litter").write_text("x")
    return os.environ["TMPDIR"]


def _document(text: str, covered: int, **metadata: object) -> ParsedDocument:
    elements = (Element(ElementKind.CODE, 0, covered),) if covered else ()
    return ParsedDocument(text, elements, "text/plain", "test", metadata=metadata)


COMMANDS: dict[str, Callable[[str], ParsedDocument | str | None]] = {
    "segfault": lambda _: str(ctypes.string_at(0)),
    "hang": _hang,
    "stuck": lambda _: str(ctypes.PyDLL(None).sleep(600)),
    "memory": lambda _: str(len(bytearray(10**10))),
    "wrapped": _wrapped,
    "exit": lambda _: os._exit(3),
    "raise": _raise,
    "recurse": _recurse,
    "nothing": lambda _: _document(" ", 0),
    "gap": lambda _: _document("ab", 1),
    "unstorable": lambda _: _document("a", 1, a=object()),
    "once": _once,
    "noise": _noise,
    "child": _child,
    "environment": lambda _: repr(dict(os.environ)),
    "pid": lambda _: f"process {os.getpid()}",
    "litter": _litter,
}
