"""The query service for other programs: typed, with retries, and an exception for each way to be refused.

```python
from rag_pipelines.client import Client

with Client("http://127.0.0.1:8600", credential="...") as client:
    result = client.search("knowledge", "How many days of leave are there?", k=5)
    for passage in result.passages:
        print(passage.uri, passage.page, passage.text)
```

Imports httpx and nothing else, so that it runs where the rest of the package is not installed.
"""

from __future__ import annotations

from rag_pipelines.client.awaiting import AsyncClient
from rag_pipelines.client.blocking import Client
from rag_pipelines.client.document_types import Document, DocumentEntry, DocumentPage, Facets, Suggestions
from rag_pipelines.client.errors import (
    BadRequest,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    RagClientError,
    RateLimited,
    ServerError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedResponse,
    Unreachable,
)
from rag_pipelines.client.retrying import Retry
from rag_pipelines.client.types import (
    Answer,
    AnswerEvent,
    AnswerStart,
    Citation,
    Feedback,
    Passage,
    SearchResult,
    Sentence,
)
from rag_pipelines.client.upkeep_types import Indexes, Reindex, Source, Sources, Version, Versions

__all__ = [
    "Answer",
    "AnswerEvent",
    "AnswerStart",
    "AsyncClient",
    "BadRequest",
    "Citation",
    "Client",
    "Document",
    "DocumentEntry",
    "DocumentPage",
    "Facets",
    "Feedback",
    "Forbidden",
    "Indexes",
    "Invalid",
    "NotFound",
    "Passage",
    "Problem",
    "RagClientError",
    "RateLimited",
    "Reindex",
    "Retry",
    "SearchResult",
    "Sentence",
    "ServerError",
    "Source",
    "Sources",
    "Suggestions",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UnexpectedResponse",
    "Unreachable",
    "Version",
    "Versions",
]
