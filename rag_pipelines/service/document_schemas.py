"""Requests and responses about documents: lists, texts, suggestions and counts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_pipelines.service.schemas import Filter


class ListedBody(BaseModel):
    """One document of a version."""

    doc_id: str
    source: str
    uri: str
    title: str | None
    link: str | None
    classification: str
    chunks: int = Field(description="Chunks of the document in this version that may be shown.")


class DocumentList(BaseModel):
    """A page of the documents that the asker may read; `next` is null after the last one.

    A page may hold fewer documents than asked for and still have a next one.
    """

    index: str
    version: int
    documents: list[ListedBody]
    next: str | None


class WithheldBody(BaseModel):
    """A span of the text that is left out, with a space for each character, and how many passages it held."""

    start: int
    end: int
    passages: int


class DocumentBody(ListedBody):
    """A document and its stored text, which `start` and `end` of the version's citations slice.

    Passages that the policy withholds are blank in the text, and named in `withheld`.
    """

    index: str
    version: int
    revision: str | None
    modified_at: str | None
    media_type: str | None
    language: str | None
    parser: str | None
    parsed_hash: str
    metadata: dict[str, Any]
    text: str
    withheld: list[WithheldBody] = Field(description="What is left out of the text, in its order.")


class SuggestionBody(BaseModel):
    """A title or heading, in how many readable documents it stands, and the first of them."""

    text: str
    kind: Literal["title", "heading"]
    documents: int
    doc_id: str
    source: str
    uri: str


class SuggestionList(BaseModel):
    """The best first; `complete` is false where a version has more chunks than are read for suggestions."""

    index: str
    version: int
    suggestions: list[SuggestionBody]
    complete: bool


class FacetsBody(BaseModel):
    """Which fields to count, and among what."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"fields": ["source", "language"]},
                {"fields": ["media_type"], "filters": {"source": "handbook"}, "unit": "documents"},
            ]
        },
    )

    fields: list[str] = Field(
        min_length=1,
        max_length=20,
        description="source, media_type, language, or filter fields of the index.",
    )
    filters: dict[str, Filter] = Field(default_factory=dict, description="As in a search.")
    version: int | None = Field(
        default=None, ge=1, description="A published version instead of the live one."
    )
    limit: int = Field(default=20, ge=1, le=1000, description="Values of each field at most.")
    unit: Literal["chunks", "documents"] = Field(default="chunks", description="What is counted.")


class FacetBody(BaseModel):
    """A value and how often it occurs."""

    value: str | int | bool
    count: int


class FacetsAnswer(BaseModel):
    """Counts over what the asker may read, the most frequent value first; `cut` names fields that have more."""

    index: str
    version: int
    total: int
    unit: Literal["chunks", "documents"]
    facets: dict[str, list[FacetBody]]
    cut: list[str]
