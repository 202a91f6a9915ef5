"""Which files hold the records, and opening them so that they can be read from any place."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.types import Excluded
from rag_pipelines.sources.entries import Entry, Tree
from rag_pipelines.sources.failures import retry
from rag_pipelines.sources.globs import Selection
from rag_pipelines.sources.local_tree import LocalTree, local_entry
from rag_pipelines.sources.remote_tree import RemoteTree
from rag_pipelines.sources.storage import local_path, open_storage

SUFFIXES = {"jsonl": "jsonl,ndjson,json", "csv": "csv,tsv", "parquet": "parquet,pq"}
_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
_MAGIC = re.compile(r"[*?\[{]")


@dataclass(frozen=True, slots=True)
class RecordFile:
    """One file; `token` differs once it was written, None where the store cannot tell."""

    name: str
    kind: str
    token: str | None


class RecordFiles:
    """The files behind `url`: one file, every file of the format below a folder, or those a glob matches."""

    def __init__(self, url: str, base_dir: Path, kind: str, options: Callable[[], dict[str, Any]]) -> None:
        self._url = url
        self._base_dir = base_dir
        self._kind = kind
        self._options = options
        self._folder, self._pattern = self._split()
        self._fs: Any = None
        self._root = ""

    def discover(self) -> tuple[list[RecordFile], list[Excluded]]:
        """Raises SourceError where the url or the glob matches nothing."""
        found: list[RecordFile] = []
        left_out: list[Excluded] = []
        self._connect()
        if self._pattern is not None and not _MAGIC.search(self._pattern.replace("[[]", "")):
            name = self._pattern.replace("[[]", "[")
            return [self._record_file(self._stat(name))], []
        selection = Selection((self._pattern,) if self._pattern else self._default_patterns(), ())
        for entry in self._tree().walk():
            if isinstance(entry, Excluded):
                left_out.append(entry)
                continue
            reason = selection.reason(entry.path)
            if reason is None:
                found.append(self._record_file(entry))
            elif self._pattern is None:
                left_out.append(Excluded(entry.path, f"not a file of records: {reason}"))
        if not found and self._pattern is not None:
            raise SourceError(f"no file matches {self._url}; correct `url` in the source's configuration")
        return sorted(found, key=lambda file: file.name), left_out

    def open(self, file: RecordFile, *, seekable: bool, scratch: Path) -> IO[bytes]:
        """Decompressed. With `seekable`, a compressed file is unpacked into `scratch` first."""
        path = local_path(self._folder, self._base_dir)
        raw: IO[bytes]
        if path is not None:
            raw = (path / file.name).open("rb", buffering=2**20)
        else:
            if self._fs is None:
                self._connect()
            remote = f"{self._root}/{file.name}" if self._root else file.name
            raw = io.BufferedReader(retry(lambda: self._fs.open(remote, "rb")), 2**20)
        compression = _COMPRESSED.get(Path(file.name).suffix.lower())
        if compression is None or file.kind == "parquet":
            return raw
        unpacked = _unpack(raw, compression)
        if not seekable:
            return unpacked
        scratch.mkdir(parents=True, exist_ok=True)
        with unpacked:
            spool = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - the reader closes it
            shutil.copyfileobj(unpacked, spool, 2**20)
        spool.seek(0)
        return spool

    def close(self) -> None:
        """Forget the connection."""
        self._fs = None

    def _connect(self) -> None:
        if local_path(self._folder, self._base_dir) is None:
            self._fs, self._root = open_storage(self._folder, self._base_dir, self._options())
        if self._pattern is None and self._is_file():
            head, _, name = self._url.rpartition("/")
            self._folder, self._pattern = head or ".", name.replace("[", "[[]")
            self._connect()

    def _is_file(self) -> bool:
        path = local_path(self._folder, self._base_dir)
        if path is not None:
            if not path.exists():
                raise SourceError(
                    f"{path} does not exist; create it or correct `url` in the source's configuration"
                )
            return path.is_file()
        return bool(retry(lambda: self._fs.isfile(self._root)))

    def _stat(self, name: str) -> Entry:
        """Of the one file that is named; it may be a link to anywhere, as whoever names it decides."""
        path = local_path(self._folder, self._base_dir)
        return self._tree().stat(name) if path is None else local_entry(name, os.stat(path / name))

    def _tree(self) -> Tree:
        path = local_path(self._folder, self._base_dir)
        if path is not None:
            return LocalTree(path, follow_symlinks=True)
        return RemoteTree(self._folder, lambda: (self._fs, self._root))

    def _split(self) -> tuple[str, str | None]:
        """Folder and glob; the whole url as folder where it has no wildcard."""
        steps = self._url.split("/")
        for position, step in enumerate(steps):
            if _MAGIC.search(step):
                return "/".join(steps[:position]) or ".", "/".join(steps[position:])
        return self._url, None

    def _default_patterns(self) -> tuple[str, ...]:
        kinds = SUFFIXES.values() if self._kind == "auto" else [SUFFIXES[self._kind]]
        return tuple(f"**/*.{{{suffixes}}}{{,.gz,.bz2,.xz,.zst}}" for suffixes in kinds)

    def _record_file(self, entry: Entry) -> RecordFile:
        if self._kind != "auto":
            return RecordFile(entry.path, self._kind, entry.etag or entry.stat)
        suffixes = [suffix.lower().lstrip(".") for suffix in Path(entry.path).suffixes[-2:]]
        for kind, known in SUFFIXES.items():
            if any(suffix in known.split(",") for suffix in suffixes):
                return RecordFile(entry.path, kind, entry.etag or entry.stat)
        raise SourceError(f"cannot tell the format of {entry.path} by its name; set `format`")


def _unpack(raw: IO[bytes], compression: str) -> IO[bytes]:
    from fsspec.compression import compr

    if compression not in compr:
        raise SourceError(f"cannot unpack {compression}: the package for it is not installed; use gzip")
    stream: IO[bytes] = compr[compression](raw, mode="rb")
    return stream
