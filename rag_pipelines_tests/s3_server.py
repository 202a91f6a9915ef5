"""A real S3-speaking HTTP server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KEY, SECRET = "testing-key", "testing-secret"


@contextmanager
def s3_server() -> Iterator[str]:
    """Its URL, on a free port, for as long as the block runs."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def s3_client(endpoint: str) -> Any:
    """A file system of its own for what a test puts there."""
    import s3fs

    return s3fs.S3FileSystem(
        key=KEY,
        secret=SECRET,
        endpoint_url=endpoint,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
