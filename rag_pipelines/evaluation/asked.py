"""What people asked and how they rated it, from the catalog that the service writes to."""

from __future__ import annotations

from rag_pipelines.catalog import feedback, searches
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.evaluation.candidates import Asked


def asked_of(catalog: Catalog, index: str) -> tuple[Asked, ...]:
    """Searches of an index and feedback on their passages, as far as the text of the question is still kept.

    People are told apart by a hash. Feedback on a whole answer names no document and says nothing here.
    """
    rated = [
        Asked(
            row["query"],
            row["person"],
            row["source"],
            row["uri"],
            row["doc_id"],
            tuple((str(name), str(value)) for name, value in row["metadata"].items()),
            helpful=row["useful"],
        )
        for row in feedback.rated(catalog, index)
    ]
    asked = [
        Asked(row["query"], row["person"], answerable=row["answerable"])
        for row in searches.asked(catalog, index)
    ]
    return (*rated, *asked)
