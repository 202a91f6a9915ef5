"""The process that parses: `python -m rag_pipelines.parsing.worker SETTINGS`, tasks in, replies out.

It limits itself before each document. The parent enforces the wall clock, and ends it through the lifeline:
a pipe of which only the parent holds the other end, so that no worker outlives a parent that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import resource
import select
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing import language
from rag_pipelines.parsing.builder import one_line
from rag_pipelines.parsing.detect import detect
from rag_pipelines.parsing.registry import module_of, parser_for

TASK_HEADER = struct.Struct("<IQ")
REPLY_HEADER = struct.Struct("<BQ")
READY, LOADING, LOADED, REPLY = range(4)

_MAX_DOCUMENTS = 2_000
_MAX_GROWTH_BYTES = 512 * 2**20
_MAX_FILE_BYTES = 512 * 2**20


class Settings(msgspec.Struct, frozen=True):
    """Limits of one document, and the number of the lifeline's file descriptor."""

    seconds: float
    memory_mb: int
    max_text_chars: int
    lifeline: int


class TaskHead(msgspec.Struct, frozen=True, array_like=True):
    """What goes before the bytes of a document."""

    name: str
    media_type: str | None


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """Exactly one of `document` and `reason`; after a `last` one the worker ends and is replaced."""

    document: ParsedDocument | None
    reason: str | None
    last: bool


def main() -> None:
    """Serve tasks from standard input until it ends."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    _hold_lifeline(settings.lifeline)
    tasks, replies = _take_over_standard_streams()
    _limit_process()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    worker = _Worker(settings, replies)
    worker.send(READY)
    while (header := tasks.read(TASK_HEADER.size)) and len(header) == TASK_HEADER.size:
        head_size, data_size = TASK_HEADER.unpack(header)
        head = msgspec.msgpack.decode(tasks.read(head_size), type=TaskHead)
        data = tasks.read(data_size)
        if worker.answer(head, data):
            return


class _Worker:
    """One document at a time; remembers which parsers are loaded."""

    def __init__(self, settings: Settings, replies: BinaryIO) -> None:
        self._settings = settings
        self._replies = replies
        self._loaded: set[str] = set()
        self._base = _resident_bytes()
        self._served = 0
        self._knows_languages = False

    def send(self, kind: int, payload: bytes = b"") -> None:
        self._replies.write(REPLY_HEADER.pack(kind, len(payload)))
        self._replies.write(payload)
        self._replies.flush()

    def answer(self, head: TaskHead, data: bytes) -> bool:
        """Parse and reply; True where that was this process's last document."""
        document, reason, exhausted = None, None, False
        try:
            document = self._parse(head, data)
        except ParseError as error:
            exhausted = _out_of_memory(error)
            reason = str(error)
        except RecursionError:
            reason = "is nested too deeply to be read"
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what a parser raises is the reason
            exhausted = _out_of_memory(error)
            reason = f"could not be read: {type(error).__name__}: {one_line(str(error))[:300]}"
        if exhausted:
            reason = f"needed more than {self._settings.memory_mb:,} MB of memory while being read"
        self._served += 1
        last = exhausted or self._served >= _MAX_DOCUMENTS or self._has_grown()
        self.send(REPLY, _encode(document, reason, last))
        return last

    def _parse(self, head: TaskHead, data: bytes) -> ParsedDocument:
        with _limits(self._settings):
            media_type = detect(data, head.name, head.media_type)
        self._load(media_type)
        with _limits(self._settings):
            document = parser_for(media_type)(data, head.name)
            if len(document.text) > self._settings.max_text_chars:
                raise ParseError(
                    f"holds {len(document.text):,} characters of text, more than the "
                    f"{self._settings.max_text_chars:,} allowed (parsing.max_text_chars)"
                )
            _check(document)
        return self._with_language(document)

    def _with_language(self, document: ParsedDocument) -> ParsedDocument:
        sample = None if document.language else language.sample_of(document)
        if sample is None:
            return document
        if not self._knows_languages:
            self.send(LOADING)
            language.preload()
            self.send(LOADED)
            self._knows_languages = True
        return msgspec.structs.replace(document, language=language.detect_language(document))

    def _load(self, media_type: str) -> None:
        """Import a parser, and call its module's `preload()` if it has one, outside of the limits."""
        if media_type in self._loaded:
            return
        self.send(LOADING)
        loader = getattr(module_of(media_type), "preload", None)
        if loader is not None:
            loader()
        self._loaded.add(media_type)
        self._base = max(self._base, _resident_bytes())
        self.send(LOADED)

    def _has_grown(self) -> bool:
        return _resident_bytes() - self._base > _MAX_GROWTH_BYTES


def _encode(document: ParsedDocument | None, reason: str | None, last: bool) -> bytes:
    try:
        return msgspec.msgpack.encode(Reply(document, reason, last))
    except (TypeError, ValueError, OverflowError) as error:
        return msgspec.msgpack.encode(Reply(None, f"cannot be stored once parsed: {error}", last))


def _check(document: ParsedDocument) -> None:
    """Refuse what breaks the promise of ParsedDocument: later stages cut and cite by these spans."""
    if not document.text or document.text.isspace():
        raise ParseError("has no text")
    position = 0
    for element in document.elements:
        if not position <= element.start < element.end <= len(document.text):
            raise ParseError(
                f"is read wrongly: parser {document.parser} returned overlapping or empty spans; report this"
            )
        if document.text[position : element.start].strip():
            raise ParseError(
                f"is read wrongly: parser {document.parser} left text outside of its elements; report this"
            )
        position = element.end
    if document.text[position:].strip():
        raise ParseError(
            f"is read wrongly: parser {document.parser} left text outside of its elements; report this"
        )


def _out_of_memory(error: BaseException) -> bool:
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            return False
        if isinstance(seen, MemoryError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextlib.contextmanager
def _limits(settings: Settings) -> Iterator[None]:
    """Soft limits relative to what this process has used already, so that every document gets the same."""
    address_space = _virtual_bytes()
    if address_space:
        _set_soft(resource.RLIMIT_AS, address_space + settings.memory_mb * 2**20)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set_soft(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + 2 * settings.seconds) + 10)
    try:
        yield
    finally:
        _set_soft(resource.RLIMIT_AS, resource.RLIM_INFINITY)


def _set_soft(which: int, value: int) -> None:
    """macOS refuses some limits; the wall clock still holds there."""
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > hard):
        value = hard
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (value, hard))


def _limit_process() -> None:
    for which, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_FSIZE, _MAX_FILE_BYTES),
    ):
        _set_soft(which, value)


def _statm(field: int) -> int:
    try:
        with open("/proc/self/statm", "rb") as statistics:
            return int(statistics.read().split()[field]) * resource.getpagesize()
    except OSError:
        return 0


def _virtual_bytes() -> int:
    return _statm(0)


def _resident_bytes() -> int:
    return _statm(1)


def _take_over_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes to ourselves: what a library prints goes nowhere."""
    tasks = os.fdopen(os.dup(0), "rb", buffering=2**20)
    replies = os.fdopen(os.dup(1), "wb", buffering=2**16)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return tasks, replies


def _hold_lifeline(descriptor: int) -> None:
    """End the process group when the parent's end closes, even from inside a C loop that holds the GIL.

    The kernel sends SIGIO then, whose default action is to end the process; the thread serves systems
    that do not send it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:
        os._exit(1)
    threading.Thread(target=_watch, args=(descriptor,), daemon=True).start()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
