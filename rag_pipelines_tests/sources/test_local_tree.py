from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure
from rag_pipelines.core.types import RawDocument, SourceItem
from rag_pipelines.sources import OpenContext
from rag_pipelines.sources import hash_cache as hash_cache_module
from rag_pipelines.sources.hash_cache import HashCache
from rag_pipelines_tests.sources.conformance import items, reasons, texts, versions
from rag_pipelines_tests.sources.openers import open_filesystem


def test_a_file_url_with_escapes_and_a_relative_path_mean_the_same(context: OpenContext) -> None:
    root = context.base_dir / "my docs"
    root.mkdir()
    (root / "a.md").write_text("alpha")
    by_url = open_filesystem(context, root.as_uri())
    assert "%20" in root.as_uri()
    assert list(by_url.list()) == list(open_filesystem(context, "my docs").list()) != []
    (raw,) = by_url.fetch(items(by_url))
    assert isinstance(raw, RawDocument)
    assert raw.link == (root / "a.md").as_uri()


def test_version_is_the_content_hash_and_modified_at_is_utc(context: OpenContext) -> None:
    file = context.base_dir / "a.md"
    file.write_text("alpha")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    (item,) = items(open_filesystem(context, "."))
    assert item.version == "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
    assert item.modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_copy_that_keeps_size_and_time_is_noticed(context: OpenContext) -> None:
    file = context.base_dir / "a.md"
    file.write_text("alpha")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    by_hash = open_filesystem(context, ".")
    by_stat = open_filesystem(context, ".", version="stat")
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
    source = open_filesystem(context, ".")
    first = versions(source)
    assert read == ["a.md", "b.md"]
    assert versions(source) == versions(open_filesystem(context, ".")) == first
    assert read == ["a.md", "b.md"]
    (context.base_dir / "b.md").write_text("B.md")
    assert versions(source)["b.md"] != first["b.md"]
    assert read == ["a.md", "b.md", "b.md"]


def test_a_damaged_hash_cache_is_rebuilt(context: OpenContext) -> None:
    (context.base_dir / "a.md").write_text("alpha")
    source = open_filesystem(context, ".")
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
    source = open_filesystem(context, "docs", include=["**/*.md"])
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

    followed = open_filesystem(context, "docs", include=["**/*.md"], follow_symlinks=True)
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
    source = open_filesystem(context, "docs")
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
    assert reasons(open_filesystem(context, ".")) == {"caf\\xe9.md": "its name is not valid UTF-8; rename it"}


@pytest.fixture
def nobody() -> Iterator[OpenContext]:
    """A context in which permissions count: root reads everything, so the test runs as nobody."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        context = OpenContext("docs", root / "work", root / "base")
        context.base_dir.mkdir()
        context.work_dir.mkdir()
        if os.geteuid() != 0:
            yield context
            return
        for path in (root, context.base_dir, context.work_dir):
            os.chown(path, 65534, 65534)
        os.seteuid(65534)
        try:
            yield context
        finally:
            os.seteuid(0)


def test_an_unreadable_folder_raises_instead_of_looking_empty(nobody: OpenContext) -> None:
    (nobody.base_dir / "a.md").write_text("alpha")
    closed = nobody.base_dir / "closed"
    closed.mkdir()
    (closed / "b.md").write_text("beta")
    closed.chmod(0)
    source = open_filesystem(nobody, ".")
    with pytest.raises(SourceError, match=r"closed.*right to read"):
        list(source.list())
    with pytest.raises(SourceError, match="closed"):
        source.probe()
    closed.chmod(0o755)
    assert set(versions(source)) == {"a.md", "closed/b.md"}


def test_an_unreadable_file_is_listed_and_fails_alone(nobody: OpenContext) -> None:
    (nobody.base_dir / "a.md").write_text("alpha")
    closed = nobody.base_dir / "closed.md"
    closed.write_text("beta")
    closed.chmod(0)
    source = open_filesystem(nobody, ".")
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


def test_a_work_folder_that_cannot_be_written_is_named(nobody: OpenContext) -> None:
    (nobody.base_dir / "a.md").write_text("alpha")
    nobody.work_dir.chmod(0o500)
    with pytest.raises(SourceError, match=r"hash cache .*work.*writable"):
        list(open_filesystem(nobody, ".").list())


def test_a_root_that_goes_away_while_it_is_listed_raises(context: OpenContext) -> None:
    root = context.base_dir / "docs"
    (root / "x").mkdir(parents=True)
    (root / "a.md").write_text("alpha")
    (root / "x" / "b.md").write_text("beta")
    listing = iter(open_filesystem(context, "docs").list())
    assert next(listing).uri == "a.md"
    root.rename(context.base_dir / "moved")
    with pytest.raises(SourceError, match="docs"):
        list(listing)


def test_a_file_as_root_is_refused_with_the_remedy(context: OpenContext) -> None:
    (context.base_dir / "a.md").write_text("alpha")
    with pytest.raises(SourceError, match=r"not a folder.*include"):
        list(open_filesystem(context, "a.md").list())
