"""What the data of a candidate version must look like before anyone may see it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rag_pipelines.config.base import Model

QualityCheck = Literal[
    "documents_lost",
    "documents_refused",
    "documents_shrunk",
    "documents_length",
    "documents_foreign",
    "documents_thin",
    "documents_languages",
    "documents_metadata",
    "chunks_lost",
    "chunks_filled",
    "chunks_size",
    "chunks_ids",
    "chunks_offsets",
    "chunks_cover",
    "vectors_finite",
    "vectors_dimension",
    "vectors_norm",
    "vectors_stored",
    "vectors_reproducible",
    "vectors_centroid",
    "terms_stored",
    "terms_identifiers",
]
"""Every data-quality check, by the name that reports and Dagster show."""


class Thresholds(Model):
    """What may be wrong with a source before the version is refused.

    Shares are of all documents of the source, so that a small change cannot be a large drift; below `floor`
    documents a share says nothing.
    """

    floor: int = Field(default=2, ge=1, description="so many documents must be wrong before a share counts")
    lost_floor: int = Field(
        default=4, ge=1, description="the same of lost, refused, shrunk and thin documents and of lost chunks"
    )
    max_lost_documents: float = Field(
        default=0.3, ge=0, le=1, description="documents that the live version has and this one has not"
    )
    max_lost_chunks: float = Field(default=0.5, ge=0, le=1)
    max_refused: float = Field(default=0.25, ge=0, le=1, description="documents in quarantine")
    max_shrunk: float = Field(
        default=0.05, ge=0, le=1, description="documents that lost more than half of their text"
    )
    max_length_change: float = Field(
        default=1.5, ge=1, description="factor by which the documents' mean (geometric) length may change"
    )
    max_foreign: float = Field(
        default=0.02, ge=0, le=1, description="documents that carry the text of another one"
    )
    min_own_words: float = Field(
        default=0.8, ge=0, le=1, description="words of a text that must be in the document's own bytes"
    )
    max_thin: float = Field(
        default=0.2, ge=0, le=1, description="documents of whose bytes too few words became text"
    )
    min_kept_words: float = Field(
        default=0.25, ge=0, le=1, description="words of a document's bytes that must be in its text"
    )
    max_language_drift: float = Field(
        default=0.2, ge=0, le=1, description="share of documents by which the mix of languages may move"
    )
    max_null_metadata: float = Field(
        default=0.1, ge=0, le=1, description="documents that lost the value of a filter field"
    )
    min_coverage: float = Field(
        default=0.99, ge=0, le=1, description="of a document's text, without white space, that chunks hold"
    )
    norm_tolerance: float = Field(default=0.01, gt=0, description="of the length of a normalised vector")
    min_stored_cosine: float = Field(
        default=0.999, ge=-1, le=1, description="between the vector in the engine and in the catalog"
    )
    min_cosine: float = Field(
        default=0.99, ge=-1, le=1, description="between a stored vector and that of the text embedded anew"
    )
    max_centroid_drift: float = Field(
        default=0.1, ge=0, le=2, description="1 - cosine of the mean vectors of live version and this one"
    )
    max_lost_identifiers: float = Field(
        default=0.1, ge=0, le=1, description="identifiers by which their passages are not found"
    )


class QualityConfig(Thresholds):
    """`gates.data` of an index: thresholds, overrides a source, and how much is looked at."""

    sources: dict[str, Thresholds] = Field(
        default_factory=dict, description="source -> the thresholds that differ for it"
    )
    warnings: tuple[QualityCheck, ...] = Field(
        default=("chunks_lost", "documents_languages"),
        description="checks whose failure is shown and holds nothing back",
    )
    off: tuple[QualityCheck, ...] = Field(default=(), description="checks that are not made")
    max_documents: int = Field(
        default=2000, ge=1, description="changed documents that are looked at; of more, a seeded sample"
    )
    max_points: int = Field(default=20_000, ge=1, description="points of these documents")
    compared: int = Field(
        default=4000, ge=0, description="points of the live version that drift is measured from"
    )
    reembedded: int = Field(default=64, ge=0, description="texts that are embedded anew")
    identifiers: int = Field(default=64, ge=0, description="identifiers that are searched for")
    seed: int = Field(default=0, ge=0, description="of all samples")

    @model_validator(mode="after")
    def _disjoint(self) -> QualityConfig:
        both = sorted({*self.warnings} & {*self.off} - {*type(self).model_fields["warnings"].default})
        if both:
            raise ValueError(f"{', '.join(both)} can be in warnings or in off, not in both")
        return self

    def of(self, source: str) -> Thresholds:
        """The thresholds of one source: its own where it sets them, else the index's."""
        own = self.sources.get(source)
        if own is None:
            return self
        return self.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
