"""One file of records behind HTTP, with ranges, that can be told to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class RecordServer:
    """`mode`: `ok`; `503`; `torn` promises the whole body and hangs up in the middle of it."""

    url: str
    body: bytes = b""
    mode: str = "ok"
    failed: int = 0


@contextmanager
def serve_records() -> Iterator[RecordServer]:
    """On a free port of loopback for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(send=False)

        def do_GET(self) -> None:
            self._answer(send=True)

        def _answer(self, *, send: bool) -> None:
            if server.mode == "503":
                server.failed += 1
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data, status = server.body, 200
            wanted = self.headers.get("Range")
            if wanted is not None:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                status, data = 206, data[int(first) : int(last) + 1 if last else None]
            self.send_response(status)
            if status == 206:
                self.send_header(
                    "Content-Range", f"bytes {first}-{int(first) + len(data) - 1}/{len(server.body)}"
                )
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not send:
                return
            if server.mode == "torn":
                server.failed += 1
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = RecordServer(f"http://127.0.0.1:{http.server_address[1]}/all.jsonl")
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
