"""What people said of the answers they got, stored with what they were shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from rag_pipelines.catalog import searches as search_rows
from rag_pipelines.catalog.memory_tables import feedback, searches
from rag_pipelines.catalog.store import Catalog, Row, Transaction, now, reading, rows_of
from rag_pipelines.catalog.tables import documents
from rag_pipelines.core.errors import NotFound

WHOLE = ""
"""The citation of feedback on an answer as a whole."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """`citation` is a chunk of the answer, None for the answer as a whole."""

    request: str
    useful: bool
    citation: str | None = None
    comment: str | None = None


class NotShown(NotFound):
    """The citation is not among the passages of the request."""


def save_feedback(tx: Transaction, index: str, tenant: str, subject: str, given: Feedback) -> Row:
    """The row of it; what the same person says again of the same thing takes the place of what they said.

    Raises NotFound where the request was not theirs or is forgotten, NotShown for a citation that it did not show.
    """
    asked = search_rows.searches_of(tx, given.request, index, tenant, subject)
    if not asked:
        raise NotFound("there is no such request of yours on this index, or it is no longer remembered")
    passages = [shown for row in asked for shown in row["passages"]]
    if given.citation is not None and given.citation not in {shown[0] for shown in passages}:
        raise NotShown("citation: is none of the passages of this request")
    citation = given.citation or WHOLE
    said = {"at": now(), "useful": given.useful, "comment": given.comment}
    values: dict[str, Any] = {
        **{name: asked[-1][name] for name in ("version", "variant", "tenant", "subject", "person")},
        **said,
        "request": given.request,
        "citation": citation,
        "index_name": index,
        "passages": passages,
    }
    insert: Any = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    statement = insert(feedback).values(**values)
    statement = statement.on_conflict_do_update(index_elements=["request", "citation"], set_=said)
    return rows_of(tx.execute(statement.returning(*feedback.c)))[0]


def rated(catalog: Catalog, index: str) -> list[Row]:
    """Feedback on single passages of an index, oldest first, with its question where the text is still known.

    Each row has `query`, `person`, `useful`, and of the passage's document `doc_id`, and `source`, `uri` and
    `metadata` where the catalog still knows it.
    """
    own = feedback.c
    joined = feedback.join(searches, searches.c.request == own.request)
    chosen = (
        sa.select(own.id, own.citation, own.useful, own.person, own.passages, searches.c.query)
        .select_from(joined)
        .where(own.index_name == index, searches.c.index_name == index)
        .where(own.citation != WHOLE, searches.c.query.is_not(None))
        .order_by(own.at, own.id, searches.c.id)
    )
    found: dict[int, dict[str, Any]] = {}
    with reading(catalog.engine) as tx:
        for row in rows_of(tx.execute(chosen)):
            document = next(shown[1] for shown in row["passages"] if shown[0] == row["citation"])
            found[row["id"]] = {**row, "doc_id": document, "source": "", "uri": "", "metadata": {}}
        for one in found.values():
            known = sa.select(documents.c.source, documents.c.uri, documents.c.metadata)
            one.update(*rows_of(tx.execute(known.where(documents.c.doc_id == one["doc_id"]))))
    return list(found.values())
