"""A retriever for LangChain over the query service. Needs the extra `langchain`."""

from __future__ import annotations

from typing import Any

from rag_pipelines.client.awaiting import AsyncClient
from rag_pipelines.client.blocking import Client
from rag_pipelines.client.citing import metadata_of
from rag_pipelines.client.types import SearchResult

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise ImportError(
        "rag_pipelines.client.langchain needs langchain-core: pip install 'rag-pipelines[langchain]'"
    ) from error
from pydantic import ConfigDict, Field


class RagRetriever(BaseRetriever):
    """Passages as documents whose metadata is the citation; none where the index does not answer the question.

    Without `async_client` a chain that awaits runs `client` in a thread; a chain that does not needs `client`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: str
    client: Client | None = Field(default=None, exclude=True)
    async_client: AsyncClient | None = Field(default=None, exclude=True)
    k: int = 4
    filters: dict[str, Any] = Field(default_factory=dict)
    version: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if self.client is None:
            raise ValueError("RagRetriever: pass client=Client(...) to use it without awaiting")
        return _documents(self.client.search(self.index, query, **self._asked()))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        if self.async_client is None:
            return await super()._aget_relevant_documents(query, run_manager=run_manager)
        return _documents(await self.async_client.search(self.index, query, **self._asked()))

    def _asked(self) -> dict[str, Any]:
        return {"k": self.k, "filters": self.filters, "version": self.version, **self.options}


def _documents(result: SearchResult) -> list[Document]:
    return [
        Document(id=passage.chunk_id, page_content=passage.text, metadata=metadata_of(passage, result))
        for passage in result.passages
    ]
