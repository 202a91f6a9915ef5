"""Connector `git`: the files of one branch or tag, with the blob id as version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from rag_pipelines.config.base import Model
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure
from rag_pipelines.core.types import Excluded, RawDocument, SourceItem
from rag_pipelines.sources.connector import OpenContext
from rag_pipelines.sources.git_blobs import BlobReader, DamagedError
from rag_pipelines.sources.git_clone import Clone, Remote, Tree
from rag_pipelines.sources.git_links import permalink
from rag_pipelines.sources.git_program import token_environment
from rag_pipelines.sources.globs import Globs, Selection
from rag_pipelines.sources.storage import VariableName, check_no_password, local_path

_HELPER = re.compile(r"^[A-Za-z0-9+.-]+::")
_SCHEMES = ("file", "git", "http", "https", "ssh")
_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_MAX = 1024


def _check_url(url: str) -> str:
    if url.startswith("-") or not url.isprintable():
        raise ValueError("is not the URL of a repository")
    if _HELPER.match(url) or ("://" in url and url.partition("://")[0] not in _SCHEMES):
        raise ValueError(f"must be a path or a URL of {', '.join(_SCHEMES)}")
    return check_no_password(url)


def _check_ref(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(
        r"(?![-/.])(?!.*(\.\.|//|@\{|\.lock$|[/.]$))[^\s~^:?*\[\\\x00-\x20\x7f]+", name
    ):
        raise ValueError(f"{name!r} is not a name that git allows")
    return name


RefName = Annotated[str | None, AfterValidator(_check_ref)]


class GitParams(Model):
    """Which repository, which branch or tag, which files."""

    url: Annotated[str, AfterValidator(_check_url)] = Field(
        description="https, ssh, git or file URL, user@host:path, a path or a bundle"
    )
    branch: RefName = Field(default=None, description="without branch and tag, the default branch")
    tag: RefName = None
    include: Globs = Field(
        default=("**/*",), min_length=1, description="globs relative to the top of the tree"
    )
    exclude: Globs = Field(default=(), description="globs; they win over include")
    depth: int | None = Field(
        default=None,
        ge=1,
        description="fetch this many commits only; then no document has a modification time",
    )
    permalink: str | None = Field(
        default=None,
        description="link with {commit} and {path}, for forges whose host name does not tell their kind",
    )
    token_env: VariableName | None = Field(
        default=None, description="NAME of the variable that holds an access token for https"
    )
    timeout_seconds: float = Field(default=900.0, gt=0, description="limit of one git command")

    @model_validator(mode="after")
    def _consistent(self) -> GitParams:
        if self.branch is not None and self.tag is not None:
            raise ValueError("branch and tag exclude each other")
        if self.permalink is not None and not ("{commit}" in self.permalink and "{path}" in self.permalink):
            raise ValueError("permalink needs {commit} and {path}")
        if self.token_env is not None and not self.url.startswith(("https://", "http://")):
            raise ValueError("token_env needs an https URL")
        return self


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of `git ls-tree -l`."""

    mode: str
    blob_id: str
    size: int | None
    path: bytes


class GitSource:
    """Lists and reads the tree of one commit; the uri of a document is its path in the tree."""

    def __init__(self, context: OpenContext, params: GitParams) -> None:
        self._context = context
        self._params = params
        self._selection = Selection(params.include, params.exclude)
        self._url = _absolute(params.url, context.base_dir)
        self._tree: Tree | None = None
        self._blobs: tuple[Tree, dict[str, str]] | None = None
        self._replaced = False

    def probe(self) -> str | None:
        """The commit of the branch or tag."""
        return self._remote().head() or "empty"

    def list(self) -> Iterator[SourceItem | Excluded]:
        """Every file of the newest commit; submodules, links and unmatched files with a reason."""
        tree = self._update()
        times: dict[bytes, int] = {}
        if tree.commit is not None:
            times = self._clone().modified_times(tree.commit, {row.path for row in _rows(tree)})
        for row in _rows(tree):
            yield self._describe(row, times.get(row.path))

    def fetch(self, items: Iterable[SourceItem]) -> Iterator[RawDocument | FetchFailure]:
        """The files as of the commit listed last by this object, or else as of now."""
        tree = self._tree or self._update()
        reader: BlobReader | None = None
        try:
            for item in items:
                blob, data = self._blob_ids(tree).get(item.uri), b""
                if blob is not None:
                    reader = reader or BlobReader(self._clone().folder)
                    try:
                        data = reader.read(blob)
                    except DamagedError as error:
                        reader.close()
                        reader = None
                        tree, blob, data = self._read_anew(item, error)
                if blob is None:
                    gone = SourceError(
                        f"file {item.uri} is gone since it was listed; the next sync will remove it"
                    )
                    yield FetchFailure(item, gone)
                else:
                    yield self._document(item, tree, blob, data)
        finally:
            if reader is not None:
                reader.close()

    def close(self) -> None:
        """Forget the listing; the clone stays for the next time."""
        self._tree = None
        self._blobs = None

    def _remote(self) -> Remote:
        params = self._params
        ref = "HEAD"
        if params.branch is not None:
            ref = f"refs/heads/{params.branch}"
        elif params.tag is not None:
            ref = f"refs/tags/{params.tag}"
        env = token_environment(self._url, params.token_env)
        return Remote(self._url, ref, params.depth, params.timeout_seconds, env)

    def _clone(self) -> Clone:
        return Clone(self._remote(), self._context.work_dir)

    def _update(self) -> Tree:
        self._tree = self._clone().update()
        return self._tree

    def _describe(self, row: _Row, modified: int | None) -> SourceItem | Excluded:
        try:
            path = row.path.decode("utf-8")
        except UnicodeDecodeError:
            return Excluded(
                row.path.decode("utf-8", "backslashreplace"), "its name is not valid UTF-8; rename it"
            )
        if row.mode == "160000":
            return Excluded(path, "submodule; give that repository a source of its own")
        if row.mode == "120000":
            return Excluded(path, "symbolic link; its target is listed itself if it is in the repository")
        reason = self._selection.reason(path)
        if reason is not None:
            return Excluded(path, reason)
        when = None if modified is None else datetime.fromtimestamp(modified, tz=UTC)
        return SourceItem(path, row.blob_id, modified_at=when, size=row.size)

    def _blob_ids(self, tree: Tree) -> dict[str, str]:
        if self._blobs is None or self._blobs[0] is not tree:
            files = (row for row in _rows(tree) if row.mode.startswith("100"))
            self._blobs = tree, {row.path.decode("utf-8", "backslashreplace"): row.blob_id for row in files}
        return self._blobs[1]

    def _read_anew(self, item: SourceItem, error: DamagedError) -> tuple[Tree, str | None, bytes]:
        """From a new clone, once; its commit may be newer than the listed one."""
        if self._replaced:
            raise SourceError(
                f"the clone of {self._url} is damaged again: {error}; check the disk"
            ) from error
        self._replaced = True
        self._clone().discard()
        tree = self._update()
        blob = self._blob_ids(tree).get(item.uri)
        if blob is None:
            return tree, None, b""
        reader = BlobReader(self._clone().folder)
        try:
            return tree, blob, reader.read(blob)
        except DamagedError as again:
            raise SourceError(
                f"the new clone of {self._url} is damaged, too: {again}; check the disk"
            ) from again
        finally:
            reader.close()

    def _document(self, item: SourceItem, tree: Tree, blob: str, data: bytes) -> RawDocument | FetchFailure:
        if len(data) < _LFS_MAX and data.startswith(_LFS):
            message = f"{item.uri} is a Git LFS pointer; its content is not in the repository: exclude it or commit it"
            return FetchFailure(item, SourceError(message))
        return RawDocument(
            uri=item.uri,
            version=blob,
            data=data,
            name=PurePosixPath(item.uri).name,
            link=permalink(self._url, tree.commit or "", item.uri, self._params.permalink),
        )


def _rows(tree: Tree) -> Iterator[_Row]:
    for row in tree.rows():
        facts, _, path = row.partition(b"\t")
        mode, _kind, blob_id, size = facts.decode("ascii").split()
        yield _Row(mode, blob_id, None if size == "-" else int(size), path)


def _absolute(url: str, base_dir: Path) -> str:
    """Relative paths against the folder of the configuration; a bundle by its path, which is how git opens it."""
    if "://" in url and not url.startswith("file://"):
        return url
    if re.match(r"^[^/]+:", url) and "://" not in url and not (base_dir / url).exists():
        return url
    path = local_path(url, base_dir)
    if path is None or (url.startswith("file://") and not path.is_file()):
        return url
    return str(path)
