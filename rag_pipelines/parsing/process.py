"""The parent's side of one worker process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rag_pipelines.core.ports import ParseTask
from rag_pipelines.parsing.folders import LockedFolder
from rag_pipelines.parsing.worker import (
    LOADING,
    READY,
    REPLY,
    REPLY_HEADER,
    TASK_HEADER,
    Reply,
    Settings,
    TaskHead,
)

_STARTUP_SECONDS = 120.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV")
_SET = {
    "DO_NOT_TRACK": "1",
    "SCARF_NO_ANALYTICS": "true",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONUNBUFFERED": "1",
}
_REPLY_DECODER = msgspec.msgpack.Decoder(Reply)


@dataclass(slots=True)
class Ticket:
    """A task on its way; `deaths` counts the workers that ended while they read it."""

    task: ParseTask
    deaths: int = 0


class WorkerProcess:
    """Owns the process, its pipes and its temporary folder. Not thread-safe.

    `queue[0]` is what it reads now. `deadline` is when that must be done, on the monotonic clock.
    """

    def __init__(self, settings: Settings, max_reply_bytes: int) -> None:
        self.queue: deque[Ticket] = deque()
        self.ready = False
        self.ended = False
        self.last_words = ""
        self.deadline: float | None = time.monotonic() + _STARTUP_SECONDS
        self._seconds = settings.seconds
        self._max_reply_bytes = max_reply_bytes
        self._outbox: deque[memoryview] = deque()
        self._inbox = bytearray()
        self._folder = LockedFolder()
        theirs, self._lifeline = os.pipe()
        settings = msgspec.structs.replace(settings, lifeline=theirs)
        try:
            with (self._folder.path / "stderr").open("wb") as errors:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "rag_pipelines.parsing.worker",
                        msgspec.json.encode(settings),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    bufsize=0,
                    pass_fds=(theirs,),
                    cwd=self._folder.path,
                    env=_environment(self._folder.path),
                    process_group=0,
                )
        except OSError:
            os.close(self._lifeline)
            self._folder.remove()
            raise
        finally:
            os.close(theirs)
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self.input = self._process.stdin.fileno()
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)

    @property
    def pid(self) -> int:
        """Of the process, for its logs and its memory."""
        return self._process.pid

    @property
    def has_outgoing(self) -> bool:
        """Whether `flush` has something left to write."""
        return bool(self._outbox)

    def send(self, ticket: Ticket) -> None:
        """Queue a task; it begins once those before it are done."""
        task = ticket.task
        head = msgspec.msgpack.encode(TaskHead(task.name, task.media_type))
        self._outbox.append(memoryview(TASK_HEADER.pack(len(head), len(task.data)) + head))
        self._outbox.append(memoryview(task.data))
        self.queue.append(ticket)
        if self.ready and len(self.queue) == 1:
            self.deadline = time.monotonic() + self._seconds
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes now; a worker that is gone shows itself when read from."""
        try:
            while self._outbox:
                view = self._outbox[0]
                if len(view):
                    view = view[os.write(self.input, view) :]
                    self._show_life()
                if len(view):
                    self._outbox[0] = view
                else:
                    self._outbox.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._outbox.clear()

    def receive(self) -> list[Reply]:
        """Replies that are complete, in the order of the queue; sets `ended` where the worker is gone."""
        try:
            while not self.said_too_much:
                chunk = os.read(self.output, 2**20)
                if not chunk:
                    self.ended = True
                    break
                self._inbox += chunk
                self._show_life()
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        try:
            return self._complete()
        except msgspec.MsgspecError:
            self.ended = True
            return []

    def _show_life(self) -> None:
        """Bytes that move push the deadline: else a caller that was away long would blame the worker for it."""
        if self.ready and self.deadline is not None:
            self.deadline = max(self.deadline, time.monotonic() + self._seconds)

    @property
    def said_too_much(self) -> bool:
        """Whether a reply is larger than any document within the limits can be."""
        return len(self._inbox) > self._max_reply_bytes

    def _complete(self) -> list[Reply]:
        replies: list[Reply] = []
        position = 0
        while len(self._inbox) - position >= REPLY_HEADER.size:
            kind, size = REPLY_HEADER.unpack_from(self._inbox, position)
            end = position + REPLY_HEADER.size + size
            if len(self._inbox) < end:
                break
            if kind == REPLY:
                with memoryview(self._inbox) as view:
                    replies.append(_REPLY_DECODER.decode(view[position + REPLY_HEADER.size : end]))
            self._reset_deadline(kind, len(self.queue) - len(replies))
            position = end
        del self._inbox[:position]
        return replies

    def _reset_deadline(self, kind: int, waiting: int) -> None:
        now = time.monotonic()
        self.ready = self.ready or kind == READY
        if kind == LOADING:
            self.deadline = now + _STARTUP_SECONDS
        else:
            self.deadline = now + self._seconds if waiting else None

    def end(self) -> int:
        """Kill the process and its children, free everything, return the exit status (negative: signal).

        A process that is dying by itself gets a second to leave the status it died with.
        """
        if self.ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self._lifeline)
        with contextlib.suppress(OSError):
            self.last_words = (self._folder.path / "stderr").read_text(errors="replace").strip()[-2000:]
        self._folder.remove()
        return status


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the parent's but what finds programs and libraries: parsers need no secrets."""
    kept = {key: value for key, value in os.environ.items() if key in _PASSED_ON or key.startswith("LC_")}
    path = [os.path.abspath(entry or os.curdir) for entry in sys.path]
    return {**kept, **_SET, "PYTHONPATH": os.pathsep.join(path), "TMPDIR": str(folder)}
