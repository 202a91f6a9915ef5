"""Text from bytes whose encoding somebody declares, rightly or not."""

from __future__ import annotations

import codecs
import re

from rag_pipelines.parsing import encoding

_CHARSET = re.compile(
    rb"<(?:meta[^>]{0,300}?charset|\?xml[^>]{0,100}?encoding)\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE
)
_SUPERSETS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
              "euc_kr": "cp949", "iso8859-9": "cp1254", "iso8859-11": "cp874", "big5": "big5hkscs"}  # fmt: skip
_NOT_TEXT = frozenset(
    {"idna", "punycode", "unicode_escape", "raw-unicode-escape", "raw_unicode_escape", "utf-7", "undefined"}
)


def decode_page(data: bytes) -> str:
    """The text of an HTML page: BOM, then what the page declares where the bytes agree, then statistics.

    Valid UTF-8 beyond ASCII is believed over a declaration: templates carry stale ones.
    """
    if data.startswith(codecs.BOM_UTF8) or encoding.wide_encoding(data) is not None:
        return encoding.decode(data)[0]
    declared = _CHARSET.search(data[:4096])
    codec = codec_of(declared[1].decode("ascii", "replace")) if declared else None
    return decode_as(data, codec)


def decode_as(data: bytes, codec: str | None) -> str:
    """Valid UTF-8, else what `codec` makes of it, else statistics."""
    if codec is None or codec.startswith(("utf", "iso2022")):
        return encoding.decode(data)[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(codec, "replace")


def codec_of(label: str) -> str | None:
    """The Python codec that browsers use for a declared charset; None for what is no text encoding."""
    try:
        name = codecs.lookup(label).name
        b"".decode(name)
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if name in _NOT_TEXT else _SUPERSETS.get(name, name)


def decode_declared(data: bytes, label: str | None) -> str:
    """As declared where the bytes agree with it, else by what they look like.

    Any bytes agree with a single-byte charset, so that valid UTF-8 is believed over it.
    """
    codec = codec_of(label) if label else None
    if codec is None or is_single_byte(codec):
        return decode_as(data, codec)
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return encoding.decode(data)[0]


def is_single_byte(codec: str) -> bool:
    """Whether each byte is one character, so that decoding seldom fails and proves nothing."""
    return codec.startswith(("cp125", "iso8859", "koi8", "mac"))
