from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure, Source
from rag_pipelines.core.types import Excluded, RawDocument, SourceItem
from rag_pipelines.sources import OpenContext
from rag_pipelines.sources import hash_cache as hash_cache_module
from rag_pipelines.sources.filesystem import FilesystemParams, FilesystemSource
from rag_pipelines.sources.hash_cache import HashCache
from rag_pipelines_tests.s3_server import KEY, SECRET, s3_client
from rag_pipelines_tests.sources.conformance import Corpus, SourceConformance, items, texts, versions


def open_source(context: OpenContext, url: str, **params: Any) -> FilesystemSource:
    return FilesystemSource(context, FilesystemParams(url=url, **params))


def reasons(source: Source) -> dict[str, str]:
    return {row.uri: row.reason for row in source.list() if isinstance(row, Excluded)}


class LocalCorpus:
    has_probe = True

    def __init__(self, context: OpenContext) -> None:
        self.context = context

    def put(self, changes: Mapping[str, str | None]) -> None:
        root = self.context.base_dir / "docs"
        root.mkdir(exist_ok=True)
        for name, text in changes.items():
            file = root / name
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, "utf-8")

    def open(self) -> Source:
        return open_source(self.context, "docs", exclude=["**/*.tmp"])

    def open_broken(self) -> Source:
        return open_source(self.context, "nowhere")


class FsspecCorpus:
    """Through the file system's own interface."""

    def __init__(self, context: OpenContext, fs: Any, url: str, has_probe: bool, **params: Any) -> None:
        self.context = context
        self.fs = fs
        self.url = url
        self.root = url.partition("://")[2]
        self.params = params
        self.has_probe = has_probe

    def put(self, changes: Mapping[str, str | None]) -> None:
        self.fs.makedirs(self.root, exist_ok=True)
        if self.url.startswith("s3://"):
            self.fs.pipe_file(f"{self.root}/", b"")
        for name, text in changes.items():
            if text is None:
                self.fs.rm_file(f"{self.root}/{name}")
            else:
                self.fs.pipe_file(f"{self.root}/{name}", text.encode())

    def open(self) -> Source:
        return open_source(self.context, self.url, exclude=["**/*.tmp"], **self.params)

    def open_broken(self) -> Source:
        return open_source(self.context, f"{self.url}-nowhere", **self.params)


class TestLocal(SourceConformance):
    @pytest.fixture
    def corpus(self, context: OpenContext) -> Corpus:
        return LocalCorpus(context)


class TestMemory(SourceConformance):
    @pytest.fixture
    def corpus(self, context: OpenContext) -> Corpus:
        import fsspec

        return FsspecCorpus(
            context, fsspec.filesystem("memory"), f"memory://{uuid.uuid4()}/docs", has_probe=False
        )


def s3_params(endpoint: str) -> dict[str, Any]:
    return {
        "storage_options": {"endpoint_url": endpoint},
        "storage_options_env": {"key": "KB_KEY", "secret": "KB_SECRET"},
    }


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str, dict[str, Any]]:
    """Client, URL of a prefix in a new bucket, parameters."""
    monkeypatch.setenv("KB_KEY", KEY)
    monkeypatch.setenv("KB_SECRET", SECRET)
    client = s3_client(s3_endpoint)
    bucket = f"kb-{uuid.uuid4()}"
    client.mkdir(bucket)
    return client, f"s3://{bucket}/docs", s3_params(s3_endpoint)


class TestS3(SourceConformance):
    @pytest.fixture
    def corpus(self, context: OpenContext, s3: tuple[Any, str, dict[str, Any]]) -> Corpus:
        client, url, params = s3
        return FsspecCorpus(context, client, url, has_probe=True, **params)


def test_s3_versions_are_etags_and_links_are_full_urls(
    context: OpenContext, s3: tuple[Any, str, dict[str, Any]]
) -> None:
    client, url, params = s3
    client.pipe_file(f"{url}/x/a.md", b"alpha")
    source = open_source(context, url, **params)
    (item,) = items(source)
    assert item.version == "etag:2c1743a391305fbf367df8e4f069f9f9-5"
    assert item.modified_at is not None
    assert item.modified_at.utcoffset() == UTC.utcoffset(None)
    (raw,) = source.fetch([item])
    assert isinstance(raw, RawDocument)
    assert (raw.link, raw.name, raw.version) == (f"{url}/x/a.md", "a.md", item.version)
    assert not (context.work_dir / "hashes.sqlite").exists()


def test_s3_missing_bucket_and_secret_are_named(
    context: OpenContext, s3: tuple[Any, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url, params = s3
    with pytest.raises(SourceError, match="no-such-bucket"):
        list(open_source(context, "s3://no-such-bucket-here/docs", **params).list())
    with pytest.raises(SourceError, match=r"marker|empty object"):
        list(open_source(context, url, **params).list())
    monkeypatch.delenv("KB_SECRET")
    with pytest.raises(SourceError, match="KB_SECRET"):
        list(open_source(context, url, **params).list())


def test_s3_fetches_many_in_order(context: OpenContext, s3: tuple[Any, str, dict[str, Any]]) -> None:
    client, url, params = s3
    client.pipe({f"{url}/{n:03}.md": f"text {n}".encode() for n in range(60)})
    source = open_source(context, url, **params)
    wanted = items(source)[::-1]
    assert list(texts(source, wanted).values()) == [f"text {n}" for n in range(59, -1, -1)]


def test_a_file_url_with_escapes_and_a_relative_path_mean_the_same(context: OpenContext) -> None:
    root = context.base_dir / "my docs"
    root.mkdir()
    (root / "a.md").write_text("alpha")
    by_url = open_source(context, root.as_uri())
    assert "%20" in root.as_uri()
    assert list(by_url.list()) == list(open_source(context, "my docs").list()) != []
    (raw,) = by_url.fetch(items(by_url))
    assert isinstance(raw, RawDocument)
    assert raw.link == (root / "a.md").as_uri()


def test_version_is_the_content_hash_and_modified_at_is_utc(context: OpenContext) -> None:
    file = context.base_dir / "a.md"
    file.write_text("alpha")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    (item,) = items(open_source(context, "."))
    assert item.version == "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
    assert item.modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_copy_that_keeps_size_and_time_is_noticed(context: OpenContext) -> None:
    file = context.base_dir / "a.md"
    file.write_text("alpha")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    by_hash = open_source(context, ".")
    by_stat = open_source(context, ".", version="stat")
    before, stat_before = versions(by_hash), versions(by_stat)
    file.write_text("ALPHA")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    assert versions(by_hash) != before
    assert versions(by_stat) != stat_before
    assert all(version.startswith("stat:5-") for version in stat_before.values())


def test_unchanged_files_are_not_read_again(context: OpenContext, monkeypatch: pytest.MonkeyPatch) -> None:
    from rag_pipelines.sources.local_tree import LocalTree

    for name in ("a.md", "b.md"):
        (context.base_dir / name).write_text(name)
    read: list[str] = []
    digest = LocalTree.digest

    def counted(self: LocalTree, path: str) -> str:
        read.append(path)
        return digest(self, path)

    monkeypatch.setattr(LocalTree, "digest", counted)
    monkeypatch.setattr(hash_cache_module, "_SETTLED_NS", 0)
    source = open_source(context, ".")
    first = versions(source)
    assert read == ["a.md", "b.md"]
    assert versions(source) == versions(open_source(context, ".")) == first
    assert read == ["a.md", "b.md"]
    (context.base_dir / "b.md").write_text("B.md")
    assert versions(source)["b.md"] != first["b.md"]
    assert read == ["a.md", "b.md", "b.md"]


def test_a_damaged_hash_cache_is_rebuilt(context: OpenContext) -> None:
    (context.base_dir / "a.md").write_text("alpha")
    source = open_source(context, ".")
    expected = versions(source)
    (context.work_dir / "hashes.sqlite").write_bytes(b"\x00garbage" * 1000)
    assert versions(source) == expected


def test_the_hash_cache_forgets_a_file_written_just_before_it_was_hashed(tmp_path: Path) -> None:
    second = 1_000_000_000
    cache = HashCache(tmp_path / "h.sqlite")
    cache.put("fresh", "s1", changed_ns=100 * second, digest="d1", started_ns=101 * second)
    cache.put("old", "s2", changed_ns=100 * second, digest="d2", started_ns=103 * second)
    cache.finish()
    cache.close()
    again = HashCache(tmp_path / "h.sqlite")
    assert again.get("fresh", "s1") is None
    assert again.get("old", "s2") == "d2"
    assert again.get("old", "s3") is None
    again.close()


def test_the_hash_cache_does_not_grow_for_ever(tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "h.sqlite")
    for number in range(1500):
        cache.put(f"gone{number}", "s", 0, "d", 10**12)
    cache.get("kept", "s")
    cache.finish()
    assert cache.get("gone1", "s") is None
    cache.close()


def test_links_and_devices_are_left_out_with_reasons(context: OpenContext) -> None:
    root = context.base_dir / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "a.md").write_text("alpha")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("x")
    (root / ".env.md").write_text("SECRET=1")
    secret = context.base_dir / "secret.md"
    secret.write_text("secret")
    (root / "inside.md").symlink_to("a.md")
    (root / "outside.md").symlink_to(secret)
    (root / "outside_folder").symlink_to(context.base_dir)
    (root / "dangling.md").symlink_to("nothing.md")
    (root / "sub" / "up").symlink_to(root)
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe.md")
    source = open_source(context, "docs", include=["**/*.md"])
    assert [item.uri for item in items(source)] == ["a.md"]
    found = reasons(source)
    assert "follow_symlinks" in found["inside.md"]
    assert "out of the root" in found["outside.md"]
    assert "out of the root" in found["outside_folder"]
    assert "to nothing" in found["dangling.md"]
    assert "to nothing" in found["loop"]
    assert "follow_symlinks" in found["sub/up"]
    assert "not a regular file" in found["pipe.md"]
    assert "version control" in found[".git"]
    assert "hidden" in found[".env.md"]
    assert ".git/config" not in found

    followed = open_source(context, "docs", include=["**/*.md"], follow_symlinks=True)
    assert [item.uri for item in items(followed)] == ["a.md", "inside.md"]
    assert texts(followed, items(followed))["inside.md"] == "alpha"
    found = reasons(followed)
    assert "out of the root" in found["outside.md"]
    assert "contains it" in found["sub/up"]


def test_fetch_does_not_leave_the_root(context: OpenContext) -> None:
    root = context.base_dir / "docs"
    root.mkdir()
    (context.base_dir / "secret.md").write_text("secret")
    (root / "a.md").write_text("alpha")
    source = open_source(context, "docs")
    (item,) = items(source)
    (root / "a.md").unlink()
    (root / "a.md").symlink_to("../secret.md")
    for uri in ("a.md", "../secret.md", "/etc/hostname"):
        (result,) = source.fetch([SourceItem(uri, item.version)])
        assert isinstance(result, FetchFailure)
    os.unlink(root / "a.md")
    os.mkfifo(root / "a.md")
    (result,) = source.fetch([item])
    assert isinstance(result, FetchFailure)


def test_a_name_that_is_not_utf8_is_left_out(context: OpenContext) -> None:
    try:
        Path(os.fsdecode(os.fsencode(context.base_dir) + b"/caf\xe9.md")).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert reasons(open_source(context, ".")) == {"caf\\xe9.md": "its name is not valid UTF-8; rename it"}


@contextmanager
def without_privileges(*folders: Path) -> Iterator[None]:
    """Root reads everything, so step down to nobody; the folders become nobody's, their parents passable."""
    if os.geteuid() != 0:
        yield
        return
    passable: list[tuple[Path, int]] = []
    for folder in folders:
        os.chown(folder, 65534, 65534)
        for parent in folder.parents:
            mode = parent.stat().st_mode
            if not mode & 0o001:
                passable.append((parent, mode))
                parent.chmod(mode | 0o001)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for parent, mode in passable:
            parent.chmod(mode)


def test_an_unreadable_folder_raises_instead_of_looking_empty(context: OpenContext) -> None:
    (context.base_dir / "a.md").write_text("alpha")
    closed = context.base_dir / "closed"
    closed.mkdir()
    (closed / "b.md").write_text("beta")
    context.work_dir.mkdir()
    with without_privileges(context.base_dir, context.work_dir, closed):
        closed.chmod(0)
        source = open_source(context, ".")
        with pytest.raises(SourceError, match=r"closed.*right to read"):
            list(source.list())
        with pytest.raises(SourceError, match="closed"):
            source.probe()
        closed.chmod(0o755)


def test_an_unreadable_file_is_listed_and_fails_alone(context: OpenContext) -> None:
    (context.base_dir / "a.md").write_text("alpha")
    closed = context.base_dir / "closed.md"
    closed.write_text("beta")
    context.work_dir.mkdir()
    with without_privileges(context.base_dir, context.work_dir, closed):
        closed.chmod(0)
        source = open_source(context, ".")
        listed = items(source)
        assert [item.uri for item in listed] == ["a.md", "closed.md"]
        ok, failed = source.fetch(listed)
        assert isinstance(ok, RawDocument)
        assert isinstance(failed, FetchFailure)
        assert "right to read" in str(failed.error)
        closed.chmod(0o644)
        now = items(source)
        assert now[1].version != listed[1].version
        assert texts(source, now)["closed.md"] == "beta"


def test_a_root_that_goes_away_while_it_is_listed_raises(context: OpenContext) -> None:
    root = context.base_dir / "docs"
    (root / "x").mkdir(parents=True)
    (root / "a.md").write_text("alpha")
    (root / "x" / "b.md").write_text("beta")
    listing = iter(open_source(context, "docs").list())
    assert next(listing).uri == "a.md"
    root.rename(context.base_dir / "moved")
    with pytest.raises(SourceError, match="docs"):
        list(listing)


def test_a_file_as_root_is_refused_with_the_remedy(context: OpenContext) -> None:
    (context.base_dir / "a.md").write_text("alpha")
    with pytest.raises(SourceError, match=r"not a folder.*include"):
        list(open_source(context, "a.md").list())


def test_an_archive_is_a_tree(context: OpenContext) -> None:
    def pack(text: str) -> None:
        with zipfile.ZipFile(context.base_dir / "kb.zip", "w") as archive:
            archive.writestr("a.md", "alpha")
            archive.writestr("x/b.md", text)

    pack("beta")
    source = open_source(context, "zip://::kb.zip")
    before, probe = versions(source), source.probe()
    assert set(before) == {"a.md", "x/b.md"}
    assert texts(source, items(source)) == {"a.md": "alpha", "x/b.md": "beta"}
    pack("BETA")
    after = versions(source)
    assert after["a.md"] == before["a.md"]
    assert after["x/b.md"] != before["x/b.md"]
    assert source.probe() != probe
    assert source._tree.link("x/b.md") == "zip://x/b.md::kb.zip"


class Flaky:
    """Makes an operation of a file system fail some times."""

    def __init__(self, call: Any, times: int, error: Exception) -> None:
        self.call, self.left, self.error = call, times, error
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return self.call(*args, **kwargs)


@pytest.fixture
def flaky_memory(monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    import fsspec
    import tenacity.nap

    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    fs = fsspec.filesystem("memory")
    url = f"memory://{uuid.uuid4()}"
    fs.pipe_file(f"{url}/a.md", b"alpha")
    fs.pipe_file(f"{url}/b.md", b"beta")
    return url, type(fs)


def test_passing_failures_are_retried(
    context: OpenContext, flaky_memory: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = flaky_memory
    monkeypatch.setattr(kind, "ls", Flaky(kind().ls, 3, ConnectionResetError("reset")))
    source = open_source(context, url)
    listed = items(source)
    assert [item.uri for item in listed] == ["a.md", "b.md"]
    monkeypatch.setattr(kind, "cat_file", Flaky(kind().cat_file, 3, TimeoutError("slow")))
    assert texts(source, listed) == {"a.md": "alpha", "b.md": "beta"}


def test_a_store_that_stays_away_raises_transient(
    context: OpenContext, flaky_memory: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = flaky_memory
    broken = Flaky(None, 1000, ConnectionResetError("reset"))
    monkeypatch.setattr(kind, "ls", broken)
    with pytest.raises(SourceError, match=r"reset.*tries again") as raised:
        list(open_source(context, url).list())
    assert raised.value.transient
    assert broken.calls == 4


def test_a_permanent_failure_is_not_retried(
    context: OpenContext, flaky_memory: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = flaky_memory
    refused = Flaky(None, 1000, PermissionError("AccessDenied"))
    monkeypatch.setattr(kind, "ls", refused)
    with pytest.raises(SourceError, match=r"AccessDenied.*right to read") as raised:
        list(open_source(context, url).list())
    assert not raised.value.transient
    assert refused.calls == 1


def test_a_folder_that_fails_halfway_raises(
    context: OpenContext, flaky_memory: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = flaky_memory
    kind().pipe_file(f"{url}/deep/c.md", b"gamma")
    ls = kind().ls

    def partial(self: Any, path: str, **kwargs: Any) -> Any:
        if path.endswith("deep"):
            raise PermissionError("AccessDenied")
        return ls(path, **kwargs)

    monkeypatch.setattr(kind, "ls", partial)
    with pytest.raises(SourceError, match="AccessDenied"):
        list(open_source(context, url).list())


def test_fetching_from_a_store_that_went_away_gives_up(
    context: OpenContext, flaky_memory: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = flaky_memory
    source = open_source(context, url)
    listed = items(source) * 5
    monkeypatch.setattr(kind, "cat_file", Flaky(None, 10_000, ConnectionResetError("reset")))
    fetched = source.fetch(listed)
    assert isinstance(next(fetched), FetchFailure)
    assert isinstance(next(fetched), FetchFailure)
    with pytest.raises(SourceError, match="reset"):
        next(fetched)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"url": ""}, "empty"),
        ({"url": "sftp://joe:secret@host/x"}, "password"),
        ({"url": "x", "storage_options": {"secret": "abc"}}, "storage_options_env"),
        ({"url": "x", "storage_options": {"client_kwargs": {"aws_secret_access_key": "abc"}}}, "secret"),
        ({"url": "x", "storage_options_env": {"key": "not a name"}}, "pattern"),
        ({"url": "x", "include": []}, "at least 1"),
        ({"url": "x", "include": ["/etc/*"]}, "relative to the root"),
        ({"url": "x", "includes": ["*"]}, "Extra inputs"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FilesystemParams(**params)


def test_a_missing_package_is_named(context: OpenContext) -> None:
    with pytest.raises(SourceError, match="install"):
        list(open_source(context, "gdrive://x").list())
