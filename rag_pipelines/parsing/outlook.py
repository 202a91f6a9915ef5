"""Outlook messages (msg), made into Internet messages and read by the parser of those."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing import registry
from rag_pipelines.parsing.unstructured_reader import with_second_opinion

VERSION = 2
USES = ("rag_pipelines.parsing.email", "rag_pipelines.parsing.unstructured_reader")

_DAMAGE = (AttributeError, LookupError, OSError, TypeError, ValueError, struct.error)


def parse_msg(data: bytes, name: str) -> ParsedDocument:
    """The message with its text attachments. Raises ParseError."""
    if _is_encrypted(data):
        raise ParseError("is encrypted; store a decrypted copy of the message to have it indexed")

    def direct() -> ParsedDocument:
        mail = _undamaged(_internet_message, data)
        document = registry.parser_for(registry.EMAIL)(mail, f"{Path(name).stem}.eml")
        return msgspec.structs.replace(
            document, media_type=registry.MSG, parser=f"outlook/{VERSION}+{document.parser}"
        )

    return with_second_opinion(direct, data, registry.MSG)


def preload() -> None:
    """Import the libraries."""
    for library in ("email.message", "oxmsg"):
        importlib.import_module(library)


def _undamaged(read: Callable[[bytes], bytes], data: bytes) -> bytes:
    try:
        return read(data)
    except _DAMAGE as error:
        raise ParseError(f"is a damaged Outlook message: {type(error).__name__}: {error}") from error


def _is_encrypted(data: bytes) -> bool:
    """Sealed, and with nothing readable beside the seal."""
    from oxmsg import Message

    try:
        message = Message.load(BytesIO(data))
        if (message.body or "").strip() or (message.html_body or "").strip():
            return False
        kinds = [attachment.mime_type or "" for attachment in message.attachments]
        return "SMIME" in (message.message_class or "") or any(
            "encrypted" in kind or "pkcs7-mime" in kind for kind in kinds
        )
    except _DAMAGE:
        return False


def _internet_message(data: bytes) -> bytes:
    from email.message import EmailMessage

    from oxmsg import Message

    message = Message.load(BytesIO(data))
    mail = EmailMessage()
    for key, value in _headers(message).items():
        if value:
            mail[key] = " ".join(value.split())
    mail.set_content((message.body or "").replace("\r\n", "\n"))
    if message.html_body:
        mail.add_alternative(message.html_body, subtype="html")
    for attachment in message.attachments:
        main, _, sub = (attachment.mime_type or "application/octet-stream").partition("/")
        if main in {"message", "multipart"} or not sub:
            main, sub = "application", "octet-stream"
        content, file_name = attachment.file_bytes or b"", attachment.file_name or "attachment"
        mail.add_attachment(content, maintype=main, subtype=sub, filename=file_name)
    return mail.as_bytes()


def _headers(message: Any) -> dict[str, str | None]:
    from email.utils import format_datetime

    stated = {str(key).title(): str(value) for key, value in message.message_headers.items()}
    recipients = ", ".join(f"{r.name} <{r.email_address}>" for r in message.recipients)
    return {
        "From": stated.get("From") or message.sender,
        "To": stated.get("To") or recipients,
        "Cc": stated.get("Cc"),
        "Date": stated.get("Date") or (format_datetime(message.sent_date) if message.sent_date else None),
        "Subject": message.subject or stated.get("Subject"),
        "Message-ID": stated.get("Message-Id"),
    }
