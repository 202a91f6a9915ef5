"""Mail headers as they are in the wild: bounded, decoded, never raising."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.policy import Compat32
from email.utils import getaddresses, parsedate_to_datetime
from itertools import islice

from rag_pipelines.parsing.builder import one_line
from rag_pipelines.parsing.charset import codec_of, decode_as, is_single_byte

MAX_PEOPLE = 100
_MAX_HEADER = 20_000


class Bounded(Compat32):
    """Headers cut to a length that the quadratic parts of the standard library bear."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_MAX_HEADER]


def header(message: Message, name: str) -> str:
    """The header decoded to one line of text; empty where it is not there."""
    return next((decode_words(raw) for raw in _raw_headers(message, name)), "")


def _raw_headers(message: Message, name: str) -> Iterator[str]:
    """The values as sent; bytes beyond ASCII, which the standard library hides, as text."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            raw = str(value)
            yield raw if raw.isascii() else decode_as(raw.encode("utf-8", "surrogateescape"), "cp1252")


def decode_words(raw: str) -> str:
    """One line of text without the encoded words that mail has for what is not ASCII."""
    try:
        pieces = decode_header(raw)
    except (HeaderParseError, ValueError):
        return one_line(raw)
    return one_line("".join(_header_piece(piece, charset) for piece, charset in pieces))


def _header_piece(piece: bytes | str, charset: str | None) -> str:
    """Headers are too short for statistics: what does not decode as declared is Windows-1252 or damaged."""
    if isinstance(piece, str):
        return piece
    if charset is None:
        return piece.decode("raw-unicode-escape", "replace")
    codec = codec_of(charset) or "cp1252"
    return decode_as(piece, codec) if is_single_byte(codec) else piece.decode(codec, "replace")


def people(message: Message, name: str) -> list[str]:
    """`Name <address>` each, decoded after they were taken apart so that a comma in a name divides nothing."""
    found = []
    values = list(islice(_raw_headers(message, name), MAX_PEOPLE))
    try:
        addresses = getaddresses(values)
    except RecursionError:
        return [one_line(value)[:200] for value in values]
    for person, address in addresses:
        shown = decode_words(person)
        found.append(f"{shown} <{address}>" if shown and address else shown or address)
    return [one_line(person) for person in found if person]


def sent_at(message: Message) -> datetime | None:
    """The date of a mail, RFC 5322 or ISO 8601; None where it is missing or neither."""
    raw = header(message, "Date")
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(raw)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
