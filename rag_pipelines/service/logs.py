"""Log lines for people and for machines, without what anybody asked or any document says."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.service.observing import access, current
from rag_pipelines.service.problems import sayable

FIELDS = ("method", "route", "status", "ms")
WITHHELD = "(withheld: it repeats the request)"
SAYABLE = (RagPipelinesError, OSError)
"""Their messages are about configuration and machines; a driver's may quote what was being written."""
SPAN = 3
"""So many words in a row that stand in both are a repetition."""


def log_fields(record: logging.LogRecord) -> dict[str, Any]:
    """All that a line says, in its order. Of an exception its class and where it was raised, and its message only
    outside of requests, where it is one of ours or the operating system's.
    """
    made = datetime.fromtimestamp(record.created, UTC)
    found: dict[str, Any] = {
        "time": made.isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": _message(record),
    }
    noted = current()
    if noted is not None:
        found["request_id"] = noted.request
        span = noted.span.get_span_context()
        if span.is_valid:
            found |= {"trace_id": format(span.trace_id, "032x"), "span_id": format(span.span_id, "016x")}
        found |= {name: value for name in ("index", "variant") if (value := getattr(noted, name)) is not None}
    found |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        found["error"] = type(error).__qualname__
        if noted is None and isinstance(error, SAYABLE):
            found["reason"] = sayable(error)
        found["traceback"] = "\n".join(_frames(error))
    return found


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return json.dumps(log_fields(record), default=str)


class TextLines(logging.Formatter):
    """The same for people: fields as key=value behind the message, tracebacks on lines of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line or lines."""
        found = log_fields(record)
        frames = found.pop("traceback", None)
        head = " ".join(found.pop(name) for name in ("time", "level", "logger", "message"))
        line = " ".join((head, *(f"{name}={value}" for name, value in found.items())))
        return line if frames is None else f"{line}\n{frames}"


FORMATTERS: dict[str, type[logging.Formatter]] = {"json": JsonLines, "text": TextLines}


def write_logs(form: Literal["json", "text"]) -> None:
    """Send all records of this process to standard error, in place of every handler that there was."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATTERS[form]())
    level = min(logging.getLogger().level, logging.WARNING)  # lower where the command line is verbose
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("rag_pipelines.service").setLevel(logging.INFO)


def repeats(message: str, said: Iterable[str]) -> bool:
    """Whether the message holds three words in a row of what was said, or all of it where it has fewer."""
    inside = f" {' '.join(_words(message))} "
    for text in said:
        words = _words(text)
        spans = [words[at : at + SPAN] for at in range(max(len(words) - SPAN + 1, 1))]
        if any(f" {' '.join(span)} " in inside for span in spans if span):
            return True
    return False


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        message = str(record.msg)
    if record.name == access.name:
        return message
    if record.name == "asyncio":  # the lines below the first quote the exception
        message = message.partition("\n")[0]
    noted = current()
    return WITHHELD if noted is not None and repeats(message, noted.said) else message


def _frames(error: BaseException) -> Iterator[str]:
    """The chain of causes, the first one first, as Python prints it but for messages."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _frames(before)
        yield "then:"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
    yield f"{type(error).__module__}.{type(error).__qualname__}"
