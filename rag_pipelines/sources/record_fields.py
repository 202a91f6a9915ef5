"""From a record to a document: which field is what, and what makes a record unusable."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pydantic import Field

from rag_pipelines.config.base import Model
from rag_pipelines.core.types import Classification

_ACL_ENTRY = re.compile(r"^(\*|(user|group):\S+)$")
_MISSING = object()
_MILLISECONDS_FROM = 1e11
LONGEST_HEADING = 120


class RecordFields(Model):
    """Names of fields; a dot reaches into nested objects (`fields.summary`) where no field has the whole name."""

    id: str = Field(min_length=1)
    text: str | tuple[str, ...] = Field(description="one field, or several joined by a blank line")
    title: str | None = None
    uri: str | None = Field(default=None, description="without it, the id is the uri")
    metadata: str | tuple[str, ...] | dict[str, str] = Field(
        default=(),
        description="one field whose object is the metadata, fields to keep, or {name in the index: field}",
    )
    acl: str | None = Field(
        default=None,
        description="list or comma separated string of user:NAME, group:NAME or *; empty means nobody, "
        "null or absent the source's own acl",
    )
    modified_at: str | None = Field(
        default=None, description="ISO 8601, or seconds or milliseconds since 1970"
    )
    tenant: str | None = None
    classification: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One usable record."""

    record_id: str
    uri: str
    version: str
    text: str
    title: str | None
    modified_at: datetime | None
    acl: tuple[str, ...] | None
    tenant: str | None
    classification: Classification | None
    metadata: dict[str, Any]

    media_type: str = "text/plain"

    @property
    def data(self) -> bytes:
        """The text as UTF-8, under its title where the media type has a way to write a heading.

        A title that stood beside the text only would be shown with every answer and find none.
        """
        title = " ".join((self.title or "").split())
        text = self.text
        if title and not text.lstrip().startswith(title):
            if self.media_type == "text/plain":
                underline = "=" * max(len(title), 3) if len(title) <= LONGEST_HEADING else ""
                text = f"{title}\n{underline}\n\n{text}"
            elif self.media_type == "text/markdown":
                text = f"# {title}\n\n{text}"
        return text.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Unusable:
    """One record that is left out."""

    uri: str
    reason: str


class RecordMapper:
    """Applies the field names. `text_seen` tells whether any record had one of the text fields."""

    def __init__(self, fields: RecordFields, media_type: str, version_field: str | None) -> None:
        self._fields = fields
        self._texts = (fields.text,) if isinstance(fields.text, str) else fields.text
        self._whole = fields.metadata if isinstance(fields.metadata, str) else None
        self._metadata = _kept(fields.metadata)
        self._media_type = media_type
        self._version_field = version_field
        self._salt = json.dumps([2, self._texts, fields.title, self._metadata, media_type], sort_keys=True)
        self.text_seen = False

    def names(self) -> tuple[str, ...]:
        """Every field that is read."""
        fields = self._fields
        single = (fields.id, fields.title, fields.uri, fields.acl, fields.modified_at, fields.tenant)
        other = (fields.classification, self._version_field)
        named = [name for name in (*single, *other) if name is not None]
        return tuple(dict.fromkeys([*named, *self._texts, *self._metadata.values()]))

    def map(self, record: Mapping[str, Any]) -> Record | Unusable:
        """The document, or why it is left out; ValueError where the record cannot even be named."""
        fields = self._fields
        record_id = _name(record, fields.id)
        if not record_id:
            known = ", ".join(sorted(map(str, record))[:12])
            raise ValueError(f"has no id (field {fields.id!r}); its fields are: {known}")
        uri = record_id if fields.uri is None else _name(record, fields.uri)
        if not uri:
            return Unusable(record_id, f"record has no uri (field {fields.uri!r})")
        parts = [_find(record, name) for name in self._texts]
        self.text_seen = self.text_seen or any(part is not _MISSING for part in parts)
        text = "\n\n".join(part for part in map(_text, parts) if part.strip())
        if not text:
            return Unusable(uri, "record has no text")
        title = None if fields.title is None else _text(_find(record, fields.title)).strip() or None
        try:
            rights = self._rights(record)
            modified_at = None if fields.modified_at is None else _time(_find(record, fields.modified_at))
        except ValueError as error:
            return Unusable(uri, str(error))
        metadata = {
            name: _plain(value)
            for name, field in self._metadata.items()
            if (value := _find(record, field)) is not _MISSING and value is not None
        }
        if self._whole is not None:
            metadata = _object(_find(record, self._whole), self._whole)
        version = self._version(record, [title or "", text, json.dumps(metadata, sort_keys=True)])
        return Record(record_id, uri, version, text, title, modified_at, *rights, metadata, self._media_type)

    def _rights(
        self, record: Mapping[str, Any]
    ) -> tuple[tuple[str, ...] | None, str | None, Classification | None]:
        fields = self._fields
        acl = None if fields.acl is None else _acl(_find(record, fields.acl))
        tenant = None if fields.tenant is None else _name(record, fields.tenant)
        if fields.tenant is not None and (not tenant or tenant == "*"):
            raise ValueError(f"record has no tenant (field {fields.tenant!r})")
        classification = None
        if fields.classification is not None:
            value = _text(_find(record, fields.classification)).strip().lower()
            if value not in set(Classification):
                raise ValueError(f"classification {value!r} is not one of {', '.join(Classification)}")
            classification = Classification(value)
        return acl, tenant, classification

    def _version(self, record: Mapping[str, Any], parts: list[str]) -> str:
        """Of what the index holds of the record; rights are compared apart from it, they apply without a fetch."""
        if self._version_field is not None:
            stated = _text(_find(record, self._version_field)).strip()
            if not stated:
                raise ValueError(f"has no version (field {self._version_field!r})")
            parts = [stated]
        total = hashlib.sha256()
        for part in (self._salt, *parts):
            raw = part.encode("utf-8", "surrogatepass")
            total.update(b"%d:" % len(raw))
            total.update(raw)
        return f"sha256:{total.hexdigest()}"


def _kept(metadata: str | tuple[str, ...] | dict[str, str]) -> dict[str, str]:
    """Name in the index -> field; one field that holds all of it stands under its own name."""
    if isinstance(metadata, dict):
        return metadata
    return {name: name for name in ((metadata,) if isinstance(metadata, str) else metadata)}


def _object(value: object, field: str) -> dict[str, Any]:
    """The metadata of a record whose one field holds all of it; anything but an object keeps its name."""
    plain = None if value is _MISSING else _plain(value)
    if plain is None:
        return {}
    return dict(plain) if isinstance(plain, dict) else {field: plain}


def _find(record: Mapping[str, Any], name: str) -> Any:
    if name in record:
        return record[name]
    value: Any = record
    for step in name.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return _MISSING
        value = value[step]
    return value


def _name(record: Mapping[str, Any], field: str) -> str:
    value = _find(record, field)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    name = str(value).strip()
    return name.encode("utf-8", "replace").decode("utf-8")


def _text(value: object) -> str:
    if value is None or value is _MISSING:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return json.dumps(_plain(value), ensure_ascii=False)


def _acl(value: object) -> tuple[str, ...] | None:
    if value is None or value is _MISSING:
        return None
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)):
        raise ValueError("its acl is neither a list nor a string")
    cleaned = [str(entry).strip() for entry in entries]
    cleaned = [entry for entry in cleaned if entry]
    for entry in cleaned:
        if not _ACL_ENTRY.match(entry):
            raise ValueError(f"acl entry {entry!r} is not group:NAME, user:NAME or *")
    return tuple(dict.fromkeys(cleaned))


def _time(value: object) -> datetime | None:
    if value is None or value is _MISSING or value == "":
        return None
    try:
        if isinstance(value, str) and not re.fullmatch(r"\s*\d{9,}(\.\d+)?\s*", value):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS_FROM else seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError(f"modification time {str(value)[:40]!r} is neither ISO 8601 nor seconds since 1970")


def _plain(value: Any) -> Any:
    """As JSON knows it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return str(value)
