"""E-mail (RFC 5322, MIME): subject, people and date, the body as its sender wrote it, names of what is attached.

The lenient policy of the standard library reads it: the modern one raises on what real mail has, and takes
quadratic time for long address lists.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import encoding, html, plain
from rag_pipelines.parsing.builder import DocumentBuilder, clean
from rag_pipelines.parsing.charset import decode_declared, decode_page
from rag_pipelines.parsing.mailheaders import Bounded, decode_words, header, people, sent_at
from rag_pipelines.parsing.registry import EMAIL

VERSION = 1

MAX_PARTS = 2000
MAX_NESTED = 20

_MAX_BOUNDARIES = 500
_LISTED = 100
_MAX_SUBJECT = 1000
_STUB = 200
_KNOWN_HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "Received", "Sender", "Cc", "MIME-Version")
_SHOWN_HEADERS = ("From", "To", "Cc", "Date")
_SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)
_QUOTED = re.compile(r"((?:^[ \t]*>.*(?:\n|\Z))+)", re.MULTILINE)
_ENCRYPTED = frozenset({"application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})


@dataclass(slots=True)
class _Reading:
    """What was met on the way through one mail."""

    builder: DocumentBuilder = field(default_factory=DocumentBuilder)
    attachments: list[str] = field(default_factory=list)
    parts: int = 0
    bodies: int = 0
    encrypted: bool = False


def parse(data: bytes, name: str) -> ParsedDocument:
    """Title (subject), a paragraph of people and date, the body, forwarded mails and names of attachments.

    The plain text is read, the HTML where there is no plain text worth reading. Blind copies are left out. Raises
    ParseError for what is no mail, is encrypted, or has more parts than a mail has.
    """
    message = _read(data)
    subject = header(message, "Subject")[:_MAX_SUBJECT]
    reading = _Reading()
    if subject:
        reading.builder.add(ElementKind.TITLE, subject)
    _add_people(reading.builder, message)
    try:
        _add_part(reading, message, 0)
    except RecursionError:
        raise ParseError("the mail nests its parts too deeply to be read") from None
    if reading.encrypted and reading.bodies == 0:
        raise ParseError(
            "the mail is encrypted or sealed (S/MIME or PGP); store a decrypted copy to have it indexed"
        )
    _add_attachments(reading)
    return reading.builder.build(EMAIL, "email", title=subject or None, metadata=_metadata(message, reading))


def _read(data: bytes) -> Message:
    wide = encoding.wide_encoding(data)
    if wide is not None:
        data = data.decode(wide, "replace").removeprefix("\ufeff").encode()
    data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n\t ")
    if data.lower().count(b"boundary=") > _MAX_BOUNDARIES:
        raise ParseError(
            f"the mail declares more than {_MAX_BOUNDARIES} multipart boundaries: no real mail does"
        )
    try:
        message = message_from_bytes(data, policy=Bounded())
    except RecursionError:
        raise ParseError("the mail nests its parts too deeply to be read") from None
    if not any(known in message for known in _KNOWN_HEADERS):
        raise ParseError("it has no mail headers (From, To, Subject, Date): it is no e-mail, or is damaged")
    return message


def _add_people(builder: DocumentBuilder, message: Message) -> None:
    lines = []
    for name in _SHOWN_HEADERS:
        text = header(message, name)[:200] if name == "Date" else ", ".join(people(message, name)[:_LISTED])
        if text:
            lines.append(f"{name}: {text}")
    builder.add(ElementKind.PARAGRAPH, "\n".join(lines), keep_lines=True)


def _add_part(reading: _Reading, part: Message, depth: int) -> None:
    reading.parts += 1
    if reading.parts > MAX_PARTS:
        raise ParseError(f"the mail has more than {MAX_PARTS} parts: no real mail does")
    kind = part.get_content_type()
    if kind in _ENCRYPTED:
        reading.encrypted = True
    if kind == "message/rfc822" and part.is_multipart():
        _add_forwarded(reading, part, depth)
    elif kind == "multipart/alternative":
        _add_alternative(reading, _children(part), depth)
    elif part.is_multipart() and kind != "message/delivery-status":
        for child in _children(part):
            _add_part(reading, child, depth)
    elif kind in {"text/plain", "text/html", "message/delivery-status"} and not _is_attached(part):
        _add_body(reading, part, kind)
    elif part.get_content_maintype() != "multipart":
        reading.attachments.append(_attachment_name(part))


def _lenient(read: Callable[[], str | None]) -> str | None:
    """A parameter of a header; None where it is malformed in one of the ways the standard library raises on."""
    try:
        return read()
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_lenient(part.get_filename))


def _attachment_name(part: Message) -> str:
    name = _lenient(part.get_filename) or ""
    return decode_words(name)[:200] or f"unnamed {part.get_content_type()}"


def _add_forwarded(reading: _Reading, part: Message, depth: int) -> None:
    if depth >= MAX_NESTED:
        raise ParseError(f"the mail holds mails within mails more than {MAX_NESTED} deep")
    for inner in _children(part):
        reading.builder.add(
            ElementKind.HEADING, header(inner, "Subject")[:_MAX_SUBJECT] or "Forwarded message", level=2
        )
        _add_people(reading.builder, inner)
        reading.bodies += 1
        _add_part(reading, inner, depth + 1)


def _add_alternative(reading: _Reading, choices: list[Message], depth: int) -> None:
    """The plain text, unless it is a stub beside a far longer HTML text; else whatever else is offered."""
    flat = [leaf for choice in choices for leaf in _leaves(choice)]
    texts = {kind: [leaf for leaf in flat if leaf.get_content_type() == kind and not _is_attached(leaf)]
             for kind in ("text/plain", "text/html")}  # fmt: skip
    plain_length = sum(len(_text(leaf).strip()) for leaf in texts["text/plain"])
    trial = DocumentBuilder()
    if plain_length < _STUB:
        for leaf in texts["text/html"]:
            html.write_body(trial, _text(leaf))
    passed_over = texts["text/plain" if trial.length > 4 * plain_length else "text/html"]
    for leaf in flat:
        if not any(leaf is other for other in passed_over):
            _add_part(reading, leaf, depth)


def _leaves(part: Message) -> Iterator[Message]:
    """The parts below without their multiparts; mails within are leaves."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for child in _children(part):
            yield from _leaves(child)
    else:
        yield part


def _text(part: Message) -> str:
    if part.is_multipart():
        fields = ([f"{key}: {header(child, key)}" for key in child] for child in _children(part))
        return "\n\n".join("\n".join(lines) for lines in fields)
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = _lenient(part.get_content_charset)
    if part.get_content_type() == "text/html" and not charset:
        return decode_page(payload)
    return decode_declared(payload, charset)


def _add_body(reading: _Reading, part: Message, kind: str) -> None:
    text = _text(part)
    if text.lstrip().startswith("-----BEGIN PGP MESSAGE-----"):
        reading.encrypted = True
        return
    before = reading.builder.length
    if kind == "text/html":
        html.write_body(reading.builder, text)
    else:
        _add_plain(reading.builder, clean(text))
    reading.bodies += reading.builder.length > before


def _add_plain(builder: DocumentBuilder, text: str) -> None:
    """Quoted lines stay line by line; the mark before a signature goes, the signature is a paragraph."""
    for section in _SIGNATURE.split(text):
        for position, piece in enumerate(_QUOTED.split(section)):
            if position % 2:
                builder.add(ElementKind.PARAGRAPH, piece, keep_lines=True)
            else:
                plain.add_text(builder, piece)


def _add_attachments(reading: _Reading) -> None:
    names = reading.attachments
    lines = [f"Attachment: {name}" for name in names[:_LISTED]]
    if len(names) > _LISTED:
        lines.append(f"and {len(names) - _LISTED} more attachments")
    reading.builder.add(ElementKind.PARAGRAPH, "\n".join(lines), keep_lines=True)


def _metadata(message: Message, reading: _Reading) -> dict[str, Any]:
    sent = sent_at(message)
    values: dict[str, Any] = {
        "from": ", ".join(people(message, "From")),
        "to": people(message, "To")[:_LISTED],
        "cc": people(message, "Cc")[:_LISTED],
        "date": sent.isoformat() if sent else "",
        "message_id": header(message, "Message-ID"),
        "in_reply_to": header(message, "In-Reply-To"),
        "attachments": reading.attachments[:_LISTED],
    }
    return {key: value for key, value in values.items() if value}
