"""A chat endpoint on loopback whose answers the test scripts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ChatServer:
    """`content` is what the model says; `body` and `status` replace the answer; `hang` and `drip` never end it."""

    url: str = ""
    content: str = "rewritten"
    status: int = 200
    body: bytes | None = None
    hang: bool = False
    drip: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[ChatServer]:
    """Run the server on a free port for the length of the block."""
    server = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append({"path": self.path, **payload})
            server.keys.append(self.headers.get("Authorization"))
            if server.hang:
                server.ended.wait(30)
                return
            choices = [{"message": {"role": "assistant", "content": server.content}}]
            body = server.body if server.body is not None else json.dumps({"choices": choices}).encode()
            self.send_response(server.status)
            if server.drip:
                self.end_headers()
                self._drip()
                return
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _drip(self) -> None:
            while not server.ended.wait(0.02):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    return

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()
