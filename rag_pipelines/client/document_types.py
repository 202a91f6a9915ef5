"""What the service answers about documents and the values of their fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """A document of an index that the caller may read."""

    doc_id: str
    source: str
    uri: str
    title: str | None = None
    link: str | None = None
    classification: str | None = None
    chunks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPage:
    """Some of them; `next` is the cursor of those that follow, None on the last page."""

    index: str
    version: int
    documents: tuple[DocumentEntry, ...]
    next: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithheldSpan:
    """A span of a document's text that is left out: blank, and so many passages long."""

    start: int
    end: int
    passages: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document with the stored text to which the spans of its citations refer; what is `withheld` is blank."""

    doc_id: str
    text: str
    source: str = ""
    uri: str = ""
    index: str = ""
    version: int | None = None
    title: str | None = None
    link: str | None = None
    classification: str | None = None
    chunks: int | None = None
    revision: str | None = None
    modified_at: str | None = None
    media_type: str | None = None
    language: str | None = None
    parser: str | None = None
    parsed_hash: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    withheld: tuple[WithheldSpan, ...] = ()
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A title or heading that begins so, in how many documents it stands, and the first of them."""

    text: str
    kind: str | None = None
    documents: int | None = None
    doc_id: str | None = None
    source: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """Best first; `complete` is False where not all of the index was looked through."""

    suggestions: tuple[Suggestion, ...]
    complete: bool = True
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """A value of a field and how often it occurs among what the caller may read."""

    value: Any
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """Field -> its values, most frequent first; `cut` names fields that have more."""

    total: int
    facets: dict[str, tuple[FacetValue, ...]]
    unit: str | None = None
    cut: tuple[str, ...] = ()
    request_id: str = ""
