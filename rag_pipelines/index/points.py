"""The layout of a point: vector names, reserved payload keys, and what is indexed in every collection."""

from __future__ import annotations

import re

from rag_pipelines.core.filters import All, Condition, Range

DENSE = "dense"
SPARSE = "sparse"

CHUNK_ID = "chunk_id"
DOC_ID = "doc_id"
SOURCE = "source"
URI = "uri"
TITLE = "title"
TEXT = "text"
START = "start"
END = "end"
PAGE = "page"
HEADING_PATH = "heading_path"
ORDINAL = "ordinal"
REVISION = "revision"
TEXT_HASH = "text_hash"
PARSED_HASH = "parsed_hash"
PARSER = "parser"
CHUNKER = "chunker"
MODEL = "model"
MEDIA_TYPE = "media_type"
LANGUAGE = "language"
MODIFIED_AT = "modified_at"
TENANT = "tenant"
CLASSIFICATION = "classification"
CLASSIFICATION_RANK = "classification_rank"
ACL = "acl"
ADDED = "added"
REMOVED = "removed"
LINK = "link"
PARENT_START = "parent_start"
PARENT_END = "parent_end"
META = "meta"
INJECTION = "injection"
INJECTION_SCORE = "injection.score"

RESERVED = frozenset(
    {
        CHUNK_ID, DOC_ID, SOURCE, URI, TITLE, TEXT, START, END, PAGE, HEADING_PATH, ORDINAL, REVISION,
        TEXT_HASH, PARSED_HASH, PARSER, CHUNKER, MODEL, MEDIA_TYPE, LANGUAGE, MODIFIED_AT, TENANT,
        CLASSIFICATION, CLASSIFICATION_RANK, ACL, ADDED, REMOVED, LINK, PARENT_START, PARENT_END, META,
        INJECTION,
    }
)  # fmt: skip
"""Every key that this program writes at the top level of a payload; users' own lie under `meta`."""

INDEXED_KEYWORDS = (TENANT, ACL, DOC_ID, SOURCE, TEXT_HASH)
INDEXED_INTEGERS = (ADDED, REMOVED, CLASSIFICATION_RANK, ORDINAL)
INDEXED_FLOATS = (INJECTION_SCORE,)

_BARE_KEY = re.compile(r"^[A-Za-z0-9_-]+$")


def meta_path(key: str) -> str:
    """The field to filter on for one key of a document's own metadata.

    Keys with dots, spaces or other signs are quoted, since a bare dot would descend into an object.
    A quotation mark cannot be written in a path: such a key raises ValueError.
    """
    if '"' in key:
        raise ValueError(f"metadata key {key!r} holds a quotation mark and cannot be filtered on")
    return f"{META}.{key}" if _BARE_KEY.match(key) else f'{META}."{key}"'


def visible_at(version: int) -> Condition:
    """The points that index version `version` sees: added by then and not yet removed."""
    return All((Range(ADDED, lte=version), Range(REMOVED, gt=version)))
