"""Which payload fields every collection has an index on: one answer for all engines."""

from __future__ import annotations

from qdrant_client import models

from rag_pipelines.core.types import VectorSpace
from rag_pipelines.index.points import INDEXED_FLOATS, INDEXED_INTEGERS, INDEXED_KEYWORDS, TENANT


def wanted_indexes(space: VectorSpace) -> dict[str, models.PayloadSchemaType]:
    """Field -> kind of index. All of them are made before the first point: a graph built earlier ignores them."""
    return {
        **dict.fromkeys((*INDEXED_KEYWORDS, *space.keyword_fields), models.PayloadSchemaType.KEYWORD),
        **dict.fromkeys((*INDEXED_INTEGERS, *space.integer_fields), models.PayloadSchemaType.INTEGER),
        **dict.fromkeys((*INDEXED_FLOATS, *space.float_fields), models.PayloadSchemaType.FLOAT),
        **dict.fromkeys(space.boolean_fields, models.PayloadSchemaType.BOOL),
        **dict.fromkeys(space.datetime_fields, models.PayloadSchemaType.DATETIME),
    }


def server_schema(field: str, kind: models.PayloadSchemaType) -> models.PayloadFieldSchema:
    """The index as a server takes it; points of one tenant are stored beside each other."""
    if field == TENANT:
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    return kind
