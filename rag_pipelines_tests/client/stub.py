"""A service of the agreed shapes that answers literal values and can be told to refuse first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

CITATION = {
    "number": 1, "source": "docs", "uri": "leave.md", "title": "Leave", "link": None, "doc_id": "d1",
    "chunk_id": "c1", "start": 9, "end": 58, "page": None, "heading_path": ["Leave"], "revision": "r1",
    "text": "Everyone has thirty days of paid leave a year.",
}  # fmt: skip
SENTENCES = [
    {"text": "Thirty days\u2028a year.", "citations": [1], "supported": True},
    {"text": "Perhaps more.", "citations": [], "supported": False},
]
ANSWER: dict[str, Any] = {
    "request_id": "body-id",
    "index": "knowledge",
    "version": 7,
    "answerable": True,
    "confidence": 0.75,
    "text": "Thirty days a year. Perhaps more.",
    "sentences": SENTENCES,
    "citations": [CITATION],
    "provider": {
        "name": "local",
        "model": "m",
        "attempts": [
            {"provider": "first", "outcome": "timeout", "seconds": 2.5, "detail": "no answer in 2.5 s"},
            {"provider": "local", "outcome": "ok", "seconds": 1, "detail": None},
        ],
    },
    "usage": {"prompt_tokens": 120, "completion_tokens": 9, "cost": 0.001},
    "prompt": {"template": "default/1", "hash": "abc"},
    "reason": None,
    "a_field_of_next_year": {"x": 1},
}
DOCUMENTS = [{"doc_id": f"d{n}", "source": "docs", "uri": f"{n}.md", "title": None, "link": None,
              "classification": "internal", "chunks": n} for n in (1, 2, 3)]  # fmt: skip


def event(name: str, data: object) -> str:
    """As server-sent events write it, with every separator that JSON leaves as it is."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


@dataclass
class Stub:
    """`refusals` are answered first, one a request; `seen` has what came: method, path, headers, body."""

    refusals: list[Response] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    stream: list[str] = field(default_factory=list)

    def refuse(self, *statuses: int, **headers: str) -> None:
        """Next time, and the times after it."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for status in statuses:
            body = {"type": "about:blank", "title": "Refused", "status": status, "detail": "not now"}
            self.refusals.append(JSONResponse(body, status, named, media_type="application/problem+json"))

    def answer(self, path: str, query: dict[str, str], body: Any) -> Response:
        """Of the shapes that the routes have."""
        answers: dict[str, Any] = {
            "/v1/indexes/knowledge/answer": ANSWER,
            "/v1/indexes/knowledge/feedback": {
                "id": 4, "request_id": "r-9", "index": "knowledge", "version": 7, "variant": "control",
            },
            "/v1/indexes/knowledge/documents/d%2F1": {**DOCUMENTS[0], "doc_id": "d/1", "text": "Leave"},
            "/v1/indexes/knowledge/suggestions": {"suggestions": [{"text": "leave days", "documents": 3}]},
            "/v1/indexes/knowledge/facets": {
                "total": 3, "facets": {"source": [{"value": "docs", "count": 2}, {"value": 5, "count": 1}]},
            },
            "/v1/indexes": "no object",
            "/v1/sources": {"sources": [{"sauce": "docs"}]},
        }  # fmt: skip
        if path == "/v1/indexes/knowledge/answer" and body["stream"]:
            return StreamingResponse(iter(self.stream), media_type="text/event-stream")
        if path == "/v1/indexes/knowledge/documents":
            at = int(query.get("cursor", "0"))
            following = str(at + 2) if at + 2 < len(DOCUMENTS) else None
            return JSONResponse(
                {"index": "knowledge", "version": 7, "documents": DOCUMENTS[at : at + 2], "next": following}
            )
        if path == "/v1/indexes/knowledge/versions":
            return PlainTextResponse("<html>a proxy's page with a secret</html>")
        return JSONResponse(answers[path], 201 if path.endswith("feedback") else 200)


def application(stub: Stub) -> FastAPI:
    """The stub as a service."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def every(request: Request) -> Response:
        sent = await request.body()
        path = request.scope["raw_path"].decode()
        body = json.loads(sent) if sent else None
        stub.seen.append((request.method, path, dict(request.headers), body or dict(request.query_params)))
        if stub.refusals:
            return stub.refusals.pop(0)
        answer = stub.answer(path, dict(request.query_params), body)
        answer.headers["X-Request-Id"] = f"id-{len(stub.seen)}"
        return answer

    return app


def whole_stream() -> Iterator[str]:
    """A streamed answer: with a comment and an event that this client does not know."""
    start = {name: ANSWER[name] for name in ("request_id", "index", "version", "citations")}
    yield ": hello\n\n"
    yield event("start", start)
    yield event("weather", {"sun": True})
    yield from (event("sentence", sentence) for sentence in SENTENCES)
    yield event("end", ANSWER)
