"""Reading blobs of a bare clone."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from rag_pipelines.sources.git_program import start_git, stop_git


class DamagedError(Exception):
    """An object of the clone cannot be read; never leaves the connector."""


class BlobReader:
    """One `git cat-file --batch` for many blobs."""

    def __init__(self, folder: Path) -> None:
        self._process = start_git(
            ["cat-file", "--batch"], folder=folder, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def read(self, blob: str) -> bytes:
        """Bytes of the blob; raises DamagedError where it is missing or git ends."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise DamagedError("git cat-file has no pipes")
        try:
            stdin.write(blob.encode("ascii") + b"\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise DamagedError(f"git cat-file ended before {blob}") from error
        header = stdout.readline().split()
        if len(header) != 3 or header[1] != b"blob":
            raise DamagedError(f"object {blob} cannot be read")
        size = int(header[2])
        data = stdout.read(size + 1)
        if len(data) != size + 1:
            raise DamagedError(f"object {blob} ends early")
        return data[:-1]

    def close(self) -> None:
        """End git."""
        stop_git(self._process)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
