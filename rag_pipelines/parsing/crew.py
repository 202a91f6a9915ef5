"""Deals tasks to worker processes, and says which document is to blame when one of them ends."""

from __future__ import annotations

import logging
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator

from rag_pipelines.config.models import ParsingLimits
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.core.ports import ParseFailure, ParseOutcome, ParseTask
from rag_pipelines.parsing.process import Ticket, WorkerProcess
from rag_pipelines.parsing.worker import Reply, Settings

_LOG = logging.getLogger(__name__)
_BEHIND_BYTES = 2**20
_MAX_DEATHS = 2
_MAX_FAILED_STARTS = 3
_BASE_MB = 400
_CRASHES = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
)


class Crew:
    """The workers of one call of `parse`.

    A worker has a second, small document waiting so that it never idles. It reads in order, so the first
    of its queue is what it was reading when it ended; those behind go to another worker, unharmed.
    """

    def __init__(self, limits: ParsingLimits, size: int, workers: list[WorkerProcess]) -> None:
        self._limits = limits
        self._size = size
        self._workers = workers
        self._again: deque[Ticket] = deque()
        self._exhausted = False
        self._failed_starts = 0
        self._settings = Settings(limits.seconds, limits.memory_mb, limits.max_text_chars, lifeline=-1)

    def run(self, tasks: Iterator[ParseTask]) -> Iterator[ParseOutcome]:
        """One outcome a task, as they complete."""
        while True:
            yield from self._feed(tasks)
            if any(worker.queue for worker in self._workers):
                yield from self._wait()
            elif self._exhausted and not self._again:
                return

    def dismiss(self) -> list[WorkerProcess]:
        """The workers that are free for another call; those still reading are ended."""
        free = [worker for worker in self._workers if not worker.queue and worker.ready]
        for worker in self._workers:
            if worker not in free:
                worker.end()
        self._workers = []
        return free

    def _feed(self, tasks: Iterator[ParseTask]) -> Iterator[ParseOutcome]:
        while self._has_room():
            ticket = self._next(tasks)
            if ticket is None:
                return
            if len(ticket.task.data) > self._limits.max_bytes:
                yield self._too_large(ticket)
                continue
            worker = self._place(len(ticket.task.data))
            if worker is None:
                self._again.appendleft(ticket)
                return
            worker.send(ticket)

    def _has_room(self) -> bool:
        return len(self._workers) < self._size or any(len(worker.queue) < 2 for worker in self._workers)

    def _next(self, tasks: Iterator[ParseTask]) -> Ticket | None:
        if self._again:
            return self._again.popleft()
        if self._exhausted:
            return None
        for task in tasks:
            return Ticket(task)
        self._exhausted = True
        return None

    def _place(self, size: int) -> WorkerProcess | None:
        for worker in self._workers:
            if not worker.queue:
                return worker
        if len(self._workers) < self._size:
            worker = WorkerProcess(self._settings, 8 * self._limits.max_text_chars + 2**26)
            self._workers.append(worker)
            return worker
        for worker in self._workers:
            if len(worker.queue) == 1 and max(size, len(worker.queue[0].task.data)) <= _BEHIND_BYTES:
                return worker
        return None

    def _wait(self) -> Iterator[ParseOutcome]:
        """Move bytes until something happens, then judge the workers that ended or took too long."""
        poll = select.poll()
        for worker in self._workers:
            poll.register(worker.output, select.POLLIN)
            if worker.has_outgoing:
                poll.register(worker.input, select.POLLOUT)
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        patience = max(min(deadlines, default=0.0) - time.monotonic(), 0.0)
        if sys.platform == "darwin":
            patience = min(patience, 0.25)
        poll.poll(patience * 1000 + 1)
        for worker in list(self._workers):
            worker.flush()
            yield from self._collect(worker)

    def _collect(self, worker: WorkerProcess) -> Iterator[ParseOutcome]:
        last = False
        outcomes = []
        for reply in worker.receive():
            outcomes.append(_outcome(worker.queue.popleft(), reply))
            self._failed_starts = 0
            last = last or reply.last
        if last:
            self._retire(worker)
        elif worker.ended:
            outcomes.extend(self._mourn(worker))
        elif worker.said_too_much:
            outcomes.append(self._stop(worker, "grew to more than any document may hold while being read"))
        elif worker.deadline is not None and worker.deadline < time.monotonic():
            outcomes.extend(self._overdue(worker))
        elif sys.platform == "darwin" and worker.queue and self._too_much_memory(worker):
            outcomes.append(self._stop(worker, self._memory_reason()))
        yield from outcomes

    def _retire(self, worker: WorkerProcess) -> int:
        """End it; what waited behind its document is read by another."""
        self._workers.remove(worker)
        status = worker.end()
        self._again.extendleft(reversed(worker.queue))
        worker.queue.clear()
        return status

    def _stop(self, worker: WorkerProcess, reason: str) -> ParseOutcome:
        guilty = worker.queue.popleft()
        self._retire(worker)
        _LOG.warning("parser worker stopped pid=%d key=%s reason=%s", worker.pid, guilty.task.key, reason)
        return ParseOutcome(guilty.task.key, failure=ParseFailure(reason))

    def _overdue(self, worker: WorkerProcess) -> list[ParseOutcome]:
        if not worker.ready:
            self._start_again(worker)
            return []
        if not worker.queue:
            self._retire(worker)
            return []
        return [self._stop(worker, f"took longer than {self._limits.seconds:g} s to read")]

    def _mourn(self, worker: WorkerProcess) -> list[ParseOutcome]:
        """A death is blamed on a document once it happened twice: the first may be somebody else's doing."""
        if not worker.ready:
            self._start_again(worker)
            return []
        guilty = worker.queue.popleft() if worker.queue else None
        status = self._retire(worker)
        if guilty is None:
            return []
        guilty.deaths += 1
        _LOG.warning(
            "parser worker died pid=%d status=%d key=%s deaths=%d",
            *(worker.pid, status, guilty.task.key, guilty.deaths),
        )
        if guilty.deaths < _MAX_DEATHS and status != -signal.SIGXCPU:
            self._again.appendleft(guilty)
            return []
        return [ParseOutcome(guilty.task.key, failure=ParseFailure(self._death_reason(status)))]

    def _start_again(self, worker: WorkerProcess) -> None:
        self._retire(worker)
        self._failed_starts += 1
        if self._failed_starts >= _MAX_FAILED_STARTS:
            raise RagPipelinesError(
                f"parser processes do not start; the last one said: {worker.last_words or 'nothing'}"
            )

    def _death_reason(self, status: int) -> str:
        limits = self._limits
        if status == -signal.SIGXCPU:
            return f"took longer than {limits.seconds:g} s to read"
        if status == -signal.SIGKILL:
            return "was given up: the system killed the process that read it, twice, as it does when memory runs out"
        if -status in _CRASHES:
            name = signal.Signals(-status).name
            return f"crashes its parser ({name}): it is damaged, or needs more than {limits.memory_mb:,} MB of memory"
        return f"ends its parser's process unexpectedly (exit status {status})"

    def _memory_reason(self) -> str:
        return f"needed more than {self._limits.memory_mb:,} MB of memory while being read"

    def _too_much_memory(self, worker: WorkerProcess) -> bool:
        """macOS does not hold processes to an address space, so the parent looks."""
        import psutil

        try:
            resident: int = psutil.Process(worker.pid).memory_info().rss
        except psutil.Error:
            return False
        return resident > (self._limits.memory_mb + _BASE_MB) * 2**20

    def _too_large(self, ticket: Ticket) -> ParseOutcome:
        size, most = len(ticket.task.data), self._limits.max_bytes
        reason = f"has {size:,} bytes, more than the {most:,} allowed (parsing.max_bytes)"
        return ParseOutcome(ticket.task.key, failure=ParseFailure(reason))


def _outcome(ticket: Ticket, reply: Reply) -> ParseOutcome:
    if reply.document is not None:
        return ParseOutcome(ticket.task.key, document=reply.document)
    return ParseOutcome(ticket.task.key, failure=ParseFailure(reply.reason or "gave no reason"))
