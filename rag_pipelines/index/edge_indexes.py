"""Payload indexes of a Qdrant Edge shard."""

from __future__ import annotations

import qdrant_edge as edge
from qdrant_client import models

from rag_pipelines.core.types import VectorSpace
from rag_pipelines.index.payload_indexes import wanted_indexes

_KINDS = {
    models.PayloadSchemaType.KEYWORD: edge.PayloadSchemaType.Keyword,
    models.PayloadSchemaType.INTEGER: edge.PayloadSchemaType.Integer,
    models.PayloadSchemaType.FLOAT: edge.PayloadSchemaType.Float,
    models.PayloadSchemaType.BOOL: edge.PayloadSchemaType.Bool,
    models.PayloadSchemaType.DATETIME: edge.PayloadSchemaType.Datetime,
}


def missing_indexes(shard: edge.EdgeShard, space: VectorSpace) -> list[str]:
    """Fields of the space without an index in the shard."""
    there = shard.info().payload_schema
    return [field for field in wanted_indexes(space) if field not in there]


def create_indexes(shard: edge.EdgeShard, space: VectorSpace) -> None:
    """Make those that are missing."""
    kinds = wanted_indexes(space)
    for field in missing_indexes(shard, space):
        shard.update(edge.UpdateOperation.create_field_index(field, _KINDS[kinds[field]]))
