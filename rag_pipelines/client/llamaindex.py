"""A retriever for LlamaIndex over the query service. Needs the extra `llamaindex`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from rag_pipelines.client.awaiting import AsyncClient
from rag_pipelines.client.blocking import Client
from rag_pipelines.client.citing import SHOWN, metadata_of
from rag_pipelines.client.types import Passage, SearchResult

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as error:
    raise ImportError(
        "rag_pipelines.client.llamaindex needs llama-index-core: pip install 'rag-pipelines[llamaindex]'"
    ) from error


class RagRetriever(BaseRetriever):
    """Passages as scored nodes whose metadata is the citation; none where the index does not answer the question.

    Without `async_client` what awaits runs `client` in a thread; what does not needs `client`.
    """

    def __init__(
        self,
        index: str,
        *,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        k: int = 4,
        filters: Mapping[str, Any] | None = None,
        version: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._index = index
        self._client = client
        self._async_client = async_client
        self._asked = {"k": k, "filters": filters, "version": version, **(options or {})}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._client is None:
            raise ValueError("RagRetriever: pass client=Client(...) to use it without awaiting")
        return _nodes(self._client.search(self._index, query_bundle.query_str, **self._asked))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._async_client is None:
            return await asyncio.to_thread(self._retrieve, query_bundle)
        return _nodes(await self._async_client.search(self._index, query_bundle.query_str, **self._asked))


def _nodes(result: SearchResult) -> list[NodeWithScore]:
    return [NodeWithScore(node=_node(passage, result), score=passage.score) for passage in result.passages]


def _node(passage: Passage, result: SearchResult) -> TextNode:
    """Of its metadata, prompts and embeddings are shown what a reader knows it by; ids and hashes cost tokens."""
    metadata = metadata_of(passage, result)
    unseen = [name for name in metadata if name not in SHOWN]
    return TextNode(
        id_=passage.chunk_id,
        text=passage.text,
        metadata=metadata,
        start_char_idx=passage.start,
        end_char_idx=passage.end,
        excluded_llm_metadata_keys=unseen,
        excluded_embed_metadata_keys=unseen,
    )
