"""What is expected of a candidate's data, and the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_pipelines.config.quality import QualityConfig
from rag_pipelines.core.checks import Check
from rag_pipelines.quality.expecting import Expectation, expect
from rag_pipelines.quality.facts import Facts
from rag_pipelines.quality.rows import chunk_rows, document_rows, source_rows, vector_rows

if TYPE_CHECKING:
    import pandas as pd

SOURCES = (
    Expectation(
        "documents_lost",
        "at_most",
        "lost",
        "{lost:.0f} of {expected:.0f} documents of the live version are gone, at most {lost_limit:.0f} may be",
        "lost_limit",
    ),
    Expectation(
        "documents_refused",
        "at_most",
        "refused",
        "{refused:.0f} documents are in quarantine beside {documents:.0f} in the version, at most "
        "{refused_limit:.0f} may be",
        "refused_limit",
    ),
    Expectation(
        "documents_shrunk",
        "at_most",
        "shrunk",
        "{shrunk:.0f} documents lost more than half of their text (such as {shrunk_first}), at most "
        "{shrunk_limit:.0f} may",
        "shrunk_limit",
    ),
    Expectation(
        "documents_length",
        "at_most",
        "length_change",
        "documents are {length_change:.1f} times {direction} on average than in the live version, {length_limit:g} "
        "is allowed",
        "length_limit",
    ),
    Expectation(
        "documents_foreign",
        "at_most",
        "foreign",
        "{foreign:.0f} documents carry a text that is not their own (such as {foreign_first}), at most "
        "{foreign_limit:.0f} may",
        "foreign_limit",
    ),
    Expectation(
        "documents_thin",
        "at_most",
        "thin",
        "of {thin:.0f} documents hardly any words became text (such as {thin_first}), at most {thin_limit:.0f} of "
        "{looked_at:.0f} may be so",
        "thin_limit",
    ),
    Expectation(
        "documents_languages",
        "at_most",
        "language_drift",
        "documents in language {language} went from {language_before:.0f}% to {language_after:.0f}%",
        "language_limit",
    ),
    Expectation(
        "documents_metadata",
        "at_most",
        "null_drift",
        "the filter field {field!r} has no value in {null_drift:.0%} more of the documents than in the live "
        "version, {null_limit:.0%} is allowed",
        "null_limit",
    ),
    Expectation(
        "chunks_lost",
        "at_most",
        "gone",
        "{gone:.0f} of {before_chunks:.0f} chunks of the live version are gone, at most {gone_limit:.0f} may be",
        "gone_limit",
    ),
    Expectation(
        "vectors_centroid",
        "at_most",
        "centroid_drift",
        "the mean vector moved by {centroid_drift:.3f} (1 - cosine) from that of the live version, "
        "{centroid_limit:g} is allowed",
        "centroid_limit",
    ),
    Expectation(
        "terms_identifiers",
        "at_most",
        "missed",
        "{missed:.0f} of {names:.0f} identifiers do not find their passages (such as {missed_first}), at most "
        "{missed_limit:.0f} may",
        "missed_limit",
    ),
)
DOCUMENTS = (
    Expectation(
        "chunks_cover",
        "at_most",
        "uncovered",
        "the chunks of {count} of {total} documents leave text out (of {document} they hold {percent}%)",
        "uncovered_limit",
    ),
)
CHUNKS = (
    Expectation(
        "chunks_filled", "true", "filled", "{count} of {total} chunks are empty (such as one of {document})"
    ),
    Expectation(
        "chunks_size",
        "at_most",
        "tokens",
        "{count} of {total} chunks are too long (such as one of {document}: {tokens} tokens, its rule says {limit})",
        "limit",
    ),
    Expectation(
        "chunks_ids",
        "unique",
        "chunk",
        "{count} of {total} chunks share their ids (such as one of {document})",
    ),
    Expectation(
        "chunks_offsets",
        "true",
        "verifies",
        "{count} of {total} chunks do not say what their document says at their offsets (such as one of {document}, "
        "{start} to {end} of {length} characters)",
    ),
)
VECTORS = (
    Expectation(
        "vectors_finite",
        "true",
        "finite",
        "{count} of {total} vectors hold NaN or infinity (such as of {document})",
    ),
    Expectation(
        "vectors_dimension",
        "true",
        "right_dimension",
        "{count} of {total} vectors have another dimension (such as of {document}: {dimension}, not {expected})",
    ),
    Expectation(
        "vectors_norm",
        "at_most",
        "off",
        "{count} of {total} vectors are not at unit length (such as of {document}: {norm:.3f})",
        "off_limit",
    ),
    Expectation(
        "vectors_stored",
        "at_most",
        "apart",
        "the engine has {count} of {total} vectors not, or otherwise than the catalog (such as of {document})",
        "apart_limit",
    ),
    Expectation(
        "vectors_reproducible",
        "at_most",
        "changed",
        "{count} texts embedded anew have another vector than the stored one (such as of {document}: cosine "
        "{again:.3f})",
        "changed_limit",
    ),
    Expectation(
        "terms_stored",
        "true",
        "terms",
        "the engine has {count} of {total} passages with other terms than their text's (such as of {document})",
    ),
)
NAMES = tuple(one.check for group in (SOURCES, DOCUMENTS, CHUNKS, VECTORS) for one in group)


def judge(facts: Facts, settings: QualityConfig) -> list[Check]:
    """One check of each name that is not off, in a fixed order; reasons name the source and what is wrong."""
    checks: list[Check] = []
    for group, frame in (
        (SOURCES, source_rows(facts, settings)),
        (DOCUMENTS, document_rows(facts.documents, settings)),
        (CHUNKS, chunk_rows(facts.chunks)),
        (VECTORS, vector_rows(facts.vectors, settings)),
    ):
        wanted = [one for one in group if one.check not in settings.off]
        if wanted:
            checks += expect(_complete(frame, wanted), wanted, settings.warnings)
    return checks


def _complete(frame: pd.DataFrame, group: Sequence[Expectation]) -> pd.DataFrame:
    """With a column for every expectation, also where no row has a value to judge."""
    if frame.empty:
        return frame
    missing = [
        name for one in group for name in (one.column, one.limit) if name and name not in frame.columns
    ]
    return frame.assign(**dict.fromkeys(missing))
