"""Server-sent events of a streamed answer, from bytes as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from rag_pipelines.client.errors import UnexpectedResponse, Unreachable, problem_of
from rag_pipelines.client.reading import read
from rag_pipelines.client.types import Answer, AnswerEvent, AnswerStart, Sentence

KINDS: dict[str, type[AnswerStart] | type[Sentence] | type[Answer]] = {
    "start": AnswerStart,
    "sentence": Sentence,
    "end": Answer,
}
MAX_EVENT = 4 * 2**20
"""Bytes of one event: more is no answer, and would fill the memory."""
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A lone carriage return at the very end may be the first half of a pair."""


class AnswerEvents:
    """Bytes -> events. Splits lines at CR and LF alone: JSON may hold other separators that str.splitlines knows."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.ended = False
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[AnswerEvent]:
        """The events that these bytes complete. Raises the problem of an `error` event."""
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT:
            raise self._unexpected(f"an event of more than {MAX_EVENT} bytes")
        for line in lines:
            if line:
                self._field(line)
                continue
            event = self._event()
            if event is not None:
                yield event

    def finish(self) -> None:
        """Raises Unreachable where the stream ended before the answer did."""
        if not self.ended:
            error = Unreachable("the stream broke off before the answer was whole; ask again")
            error.request_id = self.request_id
            raise error

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"data":
            self._data.append(value)

    def _event(self) -> AnswerEvent | None:
        name, data = self._name, b"\n".join(self._data)
        self._name, self._data = "", []
        if not data or (name not in KINDS and name != "error"):
            return None
        try:
            content = json.loads(data)
        except ValueError:
            raise self._unexpected(f"an event {name!r} that is not JSON") from None
        if name == "error":
            status = content.get("status") if isinstance(content, dict) else None
            raise problem_of(status if isinstance(status, int) else 500, content, "failed", self.request_id)
        if name != "sentence" and isinstance(content, dict):
            content = {"request_id": self.request_id, **content}
        self.ended = self.ended or name == "end"
        found: AnswerEvent = read(KINDS[name], content)
        return found

    def _unexpected(self, what: str) -> UnexpectedResponse:
        error = UnexpectedResponse(f"the stream has {what}")
        error.request_id = self.request_id
        return error
