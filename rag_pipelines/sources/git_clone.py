"""A bare clone of one branch or tag, kept under the work directory and cloned anew when damaged."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.sources.failures import retry
from rag_pipelines.sources.git_program import run_git, start_git, stop_git

HEAD = "refs/rag/head"
_BLOCK = 65536
_COMMIT_TIME = re.compile(rb"\x01(\d+)\Z")


@dataclass(frozen=True, slots=True)
class Remote:
    """What to fetch: `ref` is HEAD, refs/heads/NAME or refs/tags/NAME."""

    url: str
    ref: str
    depth: int | None
    timeout: float
    env: Mapping[str, str]

    def head(self) -> str | None:
        """Commit that the ref points at; None for a repository without any commit. Raises SourceError."""
        refs = self._refs([self.ref, f"{self.ref}^{{}}"])
        found = refs.get(f"{self.ref}^{{}}") or refs.get(self.ref)
        if found is not None:
            return found
        kind = "tags" if self.ref.startswith("refs/tags/") else "heads"
        names = [name.removeprefix(f"refs/{kind}/") for name in self._refs([f"refs/{kind}/*"])]
        names = [name for name in names if not name.endswith("^{}")]
        if self.ref == "HEAD":
            if not names:
                return None
            raise SourceError(f"{self.url} has no default branch; set `branch` to one of {_listed(names)}")
        what = self.ref.removeprefix(f"refs/{kind}/")
        raise SourceError(
            f"{self.url} has no {'tag' if kind == 'tags' else 'branch'} {what!r}; it has {_listed(names)}"
        )

    def _refs(self, patterns: list[str]) -> dict[str, str]:
        arguments = ["ls-remote", "--", self.url, *patterns]
        out = retry(lambda: run_git(arguments, timeout=min(self.timeout, 120), env=self.env))
        lines = (line.split("\t", 1) for line in out.decode("utf-8", "replace").split("\n") if line)
        return {name: sha for sha, name in lines}


@dataclass(frozen=True, slots=True)
class Tree:
    """The listing of one commit in an unnamed file; `commit` is None for a repository without any."""

    commit: str | None
    listing: IO[bytes]

    def rows(self) -> Iterator[bytes]:
        """Rows of `ls-tree -r -l -z`; each call reads from the start, also beside another one."""

        def blocks() -> Iterator[bytes]:
            position = 0
            while block := os.pread(self.listing.fileno(), _BLOCK, position):
                position += len(block)
                yield block

        return _split_nul(blocks())


class Clone:
    """The local copy. One process at a time brings it up to date."""

    def __init__(self, remote: Remote, work_dir: Path) -> None:
        self._remote = remote
        self._work_dir = work_dir
        self.folder = work_dir / f"repository-{content_hash(f'{remote.url} {remote.depth}')[:12]}.git"

    def update(self) -> Tree:
        """Fetch if there is something new and list the commit; a damaged clone is replaced once."""
        with self._lock():
            wanted = self._remote.head()
            if wanted is None:
                return Tree(None, tempfile.TemporaryFile(dir=self._work_dir))
            if self.folder.exists():
                try:
                    if self._commit() != wanted:
                        self._fetch(self.folder)
                    return self._list()
                except SourceError as error:
                    if error.transient:
                        raise
            self._clone()
            return self._list()

    def discard(self) -> None:
        """Forget a clone that turned out to be damaged."""
        with self._lock():
            shutil.rmtree(self.folder, ignore_errors=True)

    def modified_times(self, commit: str, paths: set[bytes]) -> dict[bytes, int]:
        """When the newest change of each path reached the branch, in seconds since 1970.

        Walks the first parents once and only what is new after that. Empty for a shallow clone, whose
        oldest commit seems to touch everything.
        """
        if self._remote.depth is not None:
            return {}
        store = self._work_dir / f"{self.folder.stem}-times.json"
        known_commit, times = _read_times(store)
        if known_commit == commit:
            return times
        if known_commit is None or not self._is_ancestor(known_commit, commit):
            known_commit, times = None, {}
        span = commit if known_commit is None else f"{known_commit}..{commit}"
        newer = self._walk(span, None if known_commit else set(paths))
        times = {path: when for path, when in {**times, **newer}.items() if path in paths}
        _write_times(store, commit, times)
        return times

    def _walk(self, span: str, wanted: set[bytes] | None) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        when = 0
        arguments = [
            "log",
            "--first-parent",
            "-m",
            "--name-only",
            "--no-renames",
            "--format=%x01%ct",
            "-z",
            span,
            "--",
        ]
        with start_git(arguments, folder=self.folder, stderr=subprocess.DEVNULL) as process:
            try:
                out = process.stdout
                for token in _split_nul(iter(lambda: out.read(_BLOCK) if out else b"", b"")):
                    stamp = _COMMIT_TIME.match(token)
                    if stamp:
                        when = int(stamp[1])
                        continue
                    path = token.removeprefix(b"\n")
                    found.setdefault(path, when)
                    if wanted is not None:
                        wanted.discard(path)
                        if not wanted:
                            return found
                if process.wait() != 0:
                    raise SourceError(
                        f"git log failed in {self.folder}; delete that folder, it is cloned anew"
                    )
                return found
            finally:
                stop_git(process)

    def _is_ancestor(self, old: str, new: str) -> bool:
        try:
            run_git(
                ["merge-base", "--is-ancestor", old, new], folder=self.folder, timeout=self._remote.timeout
            )
        except SourceError:
            return False
        return True

    def _commit(self) -> str:
        out = run_git(["rev-parse", "--verify", f"{HEAD}^{{commit}}"], folder=self.folder, timeout=60)
        return out.decode().strip()

    def _list(self) -> Tree:
        """`-l` opens the header of each blob, so a listing without BAD means that all of them are there."""
        commit = self._commit()
        listing = tempfile.TemporaryFile(dir=self._work_dir)  # noqa: SIM115 - the tree owns it
        arguments = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit]
        run_git(arguments, folder=self.folder, timeout=self._remote.timeout, stdout=listing)
        tree = Tree(commit, listing)
        for row in tree.rows():
            if row.split(b"\t", 1)[0].endswith(b" BAD"):
                raise SourceError(f"clone {self.folder} lacks objects; delete that folder, it is cloned anew")
        return tree

    def _fetch(self, folder: Path) -> None:
        depth = [] if self._remote.depth is None else [f"--depth={self._remote.depth}"]
        arguments = [
            "fetch",
            "--quiet",
            "--force",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            *depth,
            "--",
            self._remote.url,
            f"+{self._remote.ref}:{HEAD}",
        ]
        retry(
            lambda: run_git(arguments, folder=folder, timeout=self._remote.timeout, env=self._remote.env),
            attempts=2,
        )

    def _clone(self) -> None:
        """Into a temporary folder and then renamed, so that an interrupted clone is never taken for a whole one."""
        for left in self._work_dir.iterdir():
            if left.is_dir() and re.fullmatch(r"cloning-.*|repository-\w+\.git", left.name):
                shutil.rmtree(left)
        temporary = Path(tempfile.mkdtemp(prefix="cloning-", dir=self._work_dir))
        try:
            run_git(["init", "--quiet", "--bare", "--template=", str(temporary)], timeout=60)
            self._fetch(temporary)
            temporary.rename(self.folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    @contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self._work_dir.mkdir(parents=True, exist_ok=True)
            with (self._work_dir / "git.lock").open("a") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise SourceError(
                f"cannot keep the clone of {self._remote.url} in {self._work_dir}: {error}; "
                "make the folder writable or free some disk"
            ) from error


def _split_nul(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """NUL-terminated pieces of a stream."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
    if rest:
        yield rest


def _listed(names: list[str]) -> str:
    return (", ".join(sorted(names)[:8]) + (", ..." if len(names) > 8 else "")) or "none"


def _read_times(store: Path) -> tuple[str | None, dict[bytes, int]]:
    """A cache: whatever cannot be read is computed again."""
    try:
        content = json.loads(store.read_text("utf-8"))
        return str(content["commit"]), {
            os.fsencode(path): int(when) for path, when in content["times"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}


def _write_times(store: Path, commit: str, times: dict[bytes, int]) -> None:
    temporary = store.with_suffix(f".{os.getpid()}.tmp")
    text = json.dumps({"commit": commit, "times": {os.fsdecode(path): when for path, when in times.items()}})
    temporary.write_text(text, "utf-8")
    temporary.replace(store)
