"""What each method sends and reads, for both clients: they differ in how they wait, in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from rag_pipelines.client.document_types import Document, DocumentPage, Facets, Suggestions
from rag_pipelines.client.reading import read
from rag_pipelines.client.types import Answer, Feedback, SearchResult
from rag_pipelines.client.upkeep_types import Indexes, Reindex, Sources, Versions

T = TypeVar("T")
Filters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. A `repeatable` one changes nothing, so that it may be sent again after a lost answer."""

    method: str
    path: str
    kind: type[T]
    body: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    repeatable: bool = False

    def read(self, data: object, request_id: str) -> T:
        """The response as its type; an id in the body is the one that counts."""
        if isinstance(data, Mapping):
            data = {"request_id": request_id, **data}
        return read(self.kind, data)


def _path(*parts: str | int) -> str:
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _filters(filters: Filters | None) -> dict[str, Any] | None:
    return dict(filters) if filters else None


def search(
    index: str, query: str, k: int, filters: Filters | None, version: int | None, options: Mapping[str, Any]
) -> Call[SearchResult]:
    """`options` are further fields of the request, as the service's `/docs` names them."""
    body = {"query": query, "k": k, **_given(filters=_filters(filters), version=version), **options}
    return Call("POST", _path("indexes", index, "search"), SearchResult, body, repeatable=True)


def answer(
    index: str,
    query: str,
    k: int,
    filters: Filters | None,
    version: int | None,
    unsupported: Literal["drop", "mark"] | None,
    stream: bool = False,
) -> Call[Answer]:
    """Not repeatable: what was lost may have been paid for."""
    given = _given(filters=_filters(filters), version=version, unsupported=unsupported)
    body = {"query": query, "k": k, "stream": stream, **given}
    return Call("POST", _path("indexes", index, "answer"), Answer, body)


def feedback(
    index: str, request_id: str, useful: bool, citation: str | None, comment: str | None
) -> Call[Feedback]:
    """`citation` is a chunk_id."""
    body = {"request_id": request_id, "useful": useful, **_given(citation=citation, comment=comment)}
    return Call("POST", _path("indexes", index, "feedback"), Feedback, body)


def documents(
    index: str, source: str | None, prefix: str | None, limit: int | None, cursor: str | None
) -> Call[DocumentPage]:
    """One page."""
    params = _given(source=source, prefix=prefix, limit=limit, cursor=cursor)
    return Call("GET", _path("indexes", index, "documents"), DocumentPage, params=params, repeatable=True)


def document(index: str, doc_id: str, version: int | None) -> Call[Document]:
    """With its text."""
    path = _path("indexes", index, "documents", doc_id)
    return Call("GET", path, Document, params=_given(version=version), repeatable=True)


def suggestions(index: str, prefix: str, limit: int | None) -> Call[Suggestions]:
    """For what is typed so far."""
    params = _given(prefix=prefix, limit=limit)
    return Call("GET", _path("indexes", index, "suggestions"), Suggestions, params=params, repeatable=True)


def facets(index: str, fields: Sequence[str], filters: Filters | None, version: int | None) -> Call[Facets]:
    """Counts over what the caller may read."""
    body = {"fields": list(fields), **_given(filters=_filters(filters), version=version)}
    return Call("POST", _path("indexes", index, "facets"), Facets, body, repeatable=True)


def indexes() -> Call[Indexes]:
    """All."""
    return Call("GET", _path("indexes"), Indexes, repeatable=True)


def versions(index: str) -> Call[Versions]:
    """All of one index."""
    return Call("GET", _path("indexes", index, "versions"), Versions, repeatable=True)


def sources() -> Call[Sources]:
    """All."""
    return Call("GET", _path("sources"), Sources, repeatable=True)


def reindex(source: str, uri_prefix: str, force: bool) -> Call[Reindex]:
    """Not repeatable: once the first has started, a second is another run."""
    body = {"uri_prefix": uri_prefix, "force": force}
    return Call("POST", _path("sources", source, "reindex"), Reindex, body)


def reindex_status(source: str, number: int) -> Call[Reindex]:
    """Of one request."""
    return Call("GET", _path("sources", source, "reindex", number), Reindex, repeatable=True)


def check_credential(credential: object) -> str:
    """A credential that can stand in a header. Raises ValueError, which does not show it."""
    if not isinstance(credential, str) or not credential:
        raise ValueError("the credential must be a string that is not empty")
    if not all(33 <= ord(character) < 127 for character in credential):
        raise ValueError(
            "the credential has a blank, a line end or another character that no header can carry"
        )
    return credential


def check_base(base_url: str) -> str:
    """The address without a slash at its end. Raises ValueError."""
    if not base_url.startswith(("http://", "https://")):
        raise ValueError("base_url must begin with http:// or https://, for example http://127.0.0.1:8600")
    if "@" in base_url.partition("://")[2].partition("/")[0]:
        raise ValueError("base_url must hold no credential; pass it as `credential`")
    return base_url.rstrip("/")


Token = Callable[[], str]
"""Asked before every request, so that a token may be renewed; it keeps what it has for as long as that is valid."""
