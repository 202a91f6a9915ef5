"""A small embeddings endpoint on loopback whose answers the test scripts, one per request."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

DIMENSION = 3


@dataclass
class Answer:
    """What the server sends: by default the right vectors."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda items: items
    hang: threading.Event | None = None
    drop: bool = False


@dataclass
class EmbeddingServer:
    """`script` is used up first, then every answer is right; `requests` records what came in."""

    url: str
    script: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


def vector_of(text: str) -> list[float]:
    """A vector that tells texts apart and is not of unit length."""
    return [float(len(text)), float(sum(map(ord, text)) % 101), 1.0]


def as_base64(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The other encoding: little-endian float32."""
    for item in items:
        item["embedding"] = base64.b64encode(np.array(item["embedding"], "<f4").tobytes()).decode()
    return items


@contextmanager
def serve() -> Iterator[EmbeddingServer]:
    """Run the server on a free port for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append({"path": self.path, **payload})
            server.keys.append(self.headers.get("Authorization"))
            answer = server.script.pop(0) if server.script else Answer()
            if answer.hang is not None:
                answer.hang.wait(60)
                return
            if answer.drop:
                self.connection.close()
                return
            items = [
                {"object": "embedding", "index": i, "embedding": vector_of(text)}
                for i, text in enumerate(payload["input"])
            ]
            body = answer.body
            if body is None:
                body = json.dumps({"object": "list", "data": answer.change(items)}).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = EmbeddingServer(f"http://127.0.0.1:{http.server_address[1]}/v1")
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
