"""A real issuer of tokens on loopback: discovery and key set over HTTP, real keys, rotated while it runs."""

from __future__ import annotations

import base64
import functools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from rag_pipelines.config.auth import IssuerConfig

AUDIENCE = "rag-pipelines"
DISCOVERY = "/.well-known/openid-configuration"


@functools.cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key a name; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """One key a name."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def ed_key(name: str) -> ed25519.Ed25519PrivateKey:
    """One key a name."""
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(key: Any, kid: str | None, **members: Any) -> dict[str, Any]:
    """The public half as an issuer lists it."""
    algorithm = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    kind: Any = next((found for base, found in algorithm.items() if isinstance(key, base)), OKPAlgorithm)
    listed: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)
    listed.pop("key_ops", None)
    return listed | {"use": "sig"} | ({"kid": kid} if kid is not None else {}) | members


def part(value: Any) -> str:
    """A part of a token."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Issuer:
    """`keys` is what it lists now; `status`, `body` and `hang` spoil its answers; `requests` are the paths."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    body: bytes | None = None
    hang: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)

    def config(self, **values: Any) -> IssuerConfig:
        """As service.yaml names it."""
        return IssuerConfig.model_validate(self.settings(**values))

    def settings(self, **values: Any) -> dict[str, Any]:
        """The same before it is validated."""
        plain = {"issuer": self.url, "audience": [AUDIENCE], "tenants": {"acme": "acme"}}
        return {**plain, "refresh_seconds": 0.05, "timeout_seconds": 2, **values}

    def claims(self, **values: Any) -> dict[str, Any]:
        """Those of a token that is valid now; a value of None leaves a claim out."""
        now = int(time.time())
        plain = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ana",
            "iat": now,
            "exp": now + 300,
            "tenant": "acme",
            "groups": ["staff"],
            "clearance": "internal",
            "scope": "openid search status",
        }
        return {name: value for name, value in {**plain, **values}.items() if value is not None}

    def token(
        self,
        key: Any = None,
        kid: str | None = "one",
        alg: str = "RS256",
        *,
        header: Any = None,
        **claims: Any,
    ) -> str:
        """Signed by the key, by default the first one."""
        headers = {**({"kid": kid} if kid is not None else {}), **(header or {})}
        return jwt.encode(self.claims(**claims), key or rsa_key("one"), algorithm=alg, headers=headers)


@contextmanager
def serve() -> Iterator[Issuer]:
    """The issuer on a free port for the length of the block, with one RSA key `one`."""
    issuer = Issuer(keys=[public_jwk(rsa_key("one"), "one")])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.requests.append(self.path)
            if issuer.hang:
                issuer.ended.wait(30)
                return
            answer = issuer.document if self.path == DISCOVERY else {"keys": issuer.keys}
            body = issuer.body if issuer.body is not None else json.dumps(answer).encode()
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    issuer.document = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
    try:
        yield issuer
    finally:
        issuer.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
