"""The values that travel between stages. All frozen; ids name things, hashes detect change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rag_pipelines.core.ids import embed_text
from rag_pipelines.core.places import Location, MatchedSpan

CURRENT = 2**31 - 1
"""The `removed` of a point that no version has removed yet."""

EVERYONE = "*"
"""The acl entry that every principal of the tenant holds."""

FloatArray = npt.NDArray[np.float32]


class Classification(StrEnum):
    """Confidentiality tiers, lowest first; `rank` is what the engine compares."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"

    @property
    def rank(self) -> int:
        """0 for public up to 3 for restricted."""
        return list(Classification).index(self)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a document: same tenant, clearance at least `classification`, one entry of `acl`.

    An empty `acl` means nobody but the operator.
    """

    tenant: str
    classification: Classification
    acl: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `unrestricted` is the operator at the command line and never comes from a request."""

    subject: str
    tenant: str
    groups: tuple[str, ...] = ()
    clearance: Classification = Classification.INTERNAL
    unrestricted: bool = False


OPERATOR = Principal(subject="operator", tenant="*", clearance=Classification.RESTRICTED, unrestricted=True)


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One row of a listing.

    `version` changes whenever the bytes may have changed (hash, etag, blob id). `acl`, `tenant` and
    `classification` are None where the connector does not know them: the source's YAML decides then.
    `size` is in bytes.
    """

    uri: str
    version: str
    modified_at: datetime | None = None
    size: int | None = None
    acl: tuple[str, ...] | None = None
    tenant: str | None = None
    classification: Classification | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A row of a listing that the configuration leaves out, with the reason a person reads."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class RawDocument:
    """The bytes of one document as fetched.

    `name` is a file name (its suffix is a hint, no more); `media_type` is set where the source states
    it (records). `title` is set where the source knows it better than the content does.
    `link` is what a reader can open, with the revision where the source has permalinks.
    """

    uri: str
    version: str
    data: bytes
    name: str
    media_type: str | None = None
    title: str | None = None
    link: str | None = None


class ElementKind(StrEnum):
    """What an element of a document is."""

    TITLE = "title"
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CODE = "code"


class Element(msgspec.Struct, frozen=True):
    """A span of `ParsedDocument.text` in characters, half-open; `level` 1-6 for headings, `page` from 1."""

    kind: ElementKind
    start: int
    end: int
    level: int | None = None
    page: int | None = None


class ParsedDocument(msgspec.Struct, frozen=True):
    """Text and structure of one document: a pure function of its bytes, media type and parser settings.

    Elements are in reading order, do not overlap, and cover every character that is not white space.
    It holds neither id nor uri, so that equal bytes share one stored artifact wherever they lie.
    """

    text: str
    elements: tuple[Element, ...]
    media_type: str
    parser: str
    title: str | None = None
    language: str | None = None
    pages: int | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of one document: `parsed.text[start:end] == text`.

    `text_hash` names the passage's text, `embed_hash` what is embedded (`header`, a newline, `text`).
    `parent_start`/`parent_end` span the section that a hierarchical chunk belongs to, in the same text.
    """

    chunk_id: str
    doc_id: str
    ordinal: int
    text: str
    start: int
    end: int
    text_hash: str
    embed_hash: str
    tokens: int
    page: int | None = None
    heading_path: tuple[str, ...] = ()
    header: str = ""
    parent_start: int | None = None
    parent_end: int | None = None

    @property
    def embed_text(self) -> str:
        """What the embedding model and the sparse encoder read."""
        return embed_text(self.header, self.text)


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term ids (unsigned 32 bit, ascending, unique) and their weights."""

    indices: npt.NDArray[np.uint32]
    values: FloatArray


class Distance(StrEnum):
    """Distance of a dense vector space."""

    COSINE = "cosine"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What a collection can hold; changing any of it needs a new collection.

    Each of the `*_fields` gets a payload index of its kind before the first point.
    """

    dimension: int
    distance: Distance = Distance.COSINE
    sparse: bool = True
    keyword_fields: tuple[str, ...] = ()
    integer_fields: tuple[str, ...] = ()
    datetime_fields: tuple[str, ...] = ()
    float_fields: tuple[str, ...] = ()
    boolean_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One chunk as the engine stores it; `point_id` is a UUID string, `dense` has unit length for cosine."""

    point_id: str
    dense: FloatArray
    sparse: SparseVector | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A point read back; `dense` and `sparse` only where asked for."""

    point_id: str
    payload: Mapping[str, Any]
    dense: FloatArray | None = None
    sparse: SparseVector | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate of one search with the engine's score, higher is better."""

    point_id: str
    score: float
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a passage stands, precise enough to verify it again.

    Slicing the stored parsed text (`parsed_hash`) at `start:end` gives the passage's text.
    """

    source: str
    uri: str
    doc_id: str
    chunk_id: str
    start: int
    end: int
    page: int | None
    heading_path: tuple[str, ...]
    revision: str
    parsed_hash: str
    parser: str
    chunker: str
    model: str
    version: int
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """One ranked answer of retrieval; `rank` from 1. `locations` are the most similar first, one a document.

    `matched` is empty where the passage is the chunk that was found; else it names the found ones, best first,
    and the citation's span and page are those of the whole passage, the rest of it the best chunk's. `injection` is
    `{score, reasons}` where the passage may hold instructions for a machine and the policy wants that told.
    `classification` is the document's, for those who pass the text on; None where it is not known.
    """

    rank: int
    score: float
    text: str
    title: str | None
    citation: Citation
    metadata: Mapping[str, Any] = field(default_factory=dict)
    locations: tuple[Location, ...] = ()
    matched: tuple[MatchedSpan, ...] = ()
    injection: Mapping[str, Any] | None = None
    classification: Classification | None = None
