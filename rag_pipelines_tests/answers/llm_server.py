"""An OpenAI-compatible chat endpoint on loopback that behaves as the test scripts it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
JSON, EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True)
class Say:
    """An answer in the words given, whole or streamed as the request wants it.

    `hang_after` pieces nothing comes until the client goes; after `cut_after` pieces the connection is closed.
    """

    text: str
    usage: Mapping[str, int] | None = field(default_factory=lambda: USAGE)
    finish: str = "stop"
    hang_after: int | None = None
    cut_after: int | None = None
    done: bool = True


@dataclass(frozen=True)
class Send:
    """Exactly these bytes, whatever was asked."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """No answer at all."""


Behaviour = Say | Send | Hang


def pieces(text: str) -> list[str]:
    """As a model streams: some characters at a time, across words."""
    return [text[at : at + 7] for at in range(0, len(text), 7)]


@dataclass
class ChatEndpoint:
    """`script` is what it does, request by request; the last one stays.

    `came` is set by a request, `left` by a client that goes away while it waits.
    """

    url: str = ""
    script: list[Behaviour] = field(default_factory=lambda: [Say("No script.")])
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def does(self, *script: Behaviour) -> None:
        """From the next request on."""
        self.script = list(script)
        self.requests.clear()
        self.headers.clear()
        self.paths.clear()
        self.came.clear()
        self.left.clear()

    def next(self) -> Behaviour:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class _Handler(BaseHTTPRequestHandler):
    endpoint: ChatEndpoint

    def do_POST(self) -> None:
        endpoint = self.endpoint
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        behaviour = endpoint.next()
        endpoint.requests.append(payload)
        endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
        endpoint.paths.append(self.path)
        endpoint.came.set()
        if isinstance(behaviour, Hang):
            self._hang()
        elif isinstance(behaviour, Send):
            self._begin(behaviour.status, behaviour.kind, behaviour.headers)
            self.wfile.write(behaviour.body)
        elif payload.get("stream"):
            self._stream(behaviour, payload["model"])
        else:
            self._begin(200, JSON, {})
            choice = {
                "message": {"role": "assistant", "content": behaviour.text},
                "finish_reason": behaviour.finish,
            }
            body = {"model": f"{payload['model']}-exact", "choices": [choice]}
            self.wfile.write(
                json.dumps(body | ({"usage": behaviour.usage} if behaviour.usage else {})).encode()
            )

    def _begin(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, say: Say, model: str) -> None:
        self._begin(200, EVENTS, {})
        self._event({"model": f"{model}-exact", "choices": []})
        for place, piece in enumerate(pieces(say.text)):
            if place == say.cut_after:
                return
            if place == say.hang_after:
                self._hang()
                return
            self._event({"choices": [{"delta": {"content": piece}, "finish_reason": None}]})
        self._event({"choices": [{"delta": {}, "finish_reason": say.finish}]})
        if say.usage:
            self._event({"choices": [], "usage": say.usage})
        if say.done:
            self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, data: Mapping[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _hang(self) -> None:
        """Until the client closes its end, which is read as nothing."""
        self.connection.settimeout(0.02)
        while not self.endpoint.ended.is_set():
            try:
                if self.connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.endpoint.left.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def serve(script: Sequence[Behaviour] = ()) -> Iterator[ChatEndpoint]:
    """Run the endpoint on a free port for the length of the block."""
    endpoint = ChatEndpoint()
    if script:
        endpoint.does(*script)
    handler = type("Handler", (_Handler,), {"endpoint": endpoint})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
