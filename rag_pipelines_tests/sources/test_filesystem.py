from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import pytest

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import Source
from rag_pipelines.core.types import RawDocument
from rag_pipelines.sources import OpenContext
from rag_pipelines_tests.s3_server import KEY, SECRET, s3_client
from rag_pipelines_tests.sources.conformance import Corpus, SourceConformance, items, texts
from rag_pipelines_tests.sources.openers import open_filesystem


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
        return open_filesystem(self.context, "docs", exclude=["**/*.tmp"])

    def open_broken(self) -> Source:
        return open_filesystem(self.context, "nowhere")


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
        return open_filesystem(self.context, self.url, exclude=["**/*.tmp"], **self.params)

    def open_broken(self) -> Source:
        return open_filesystem(self.context, f"{self.url}-nowhere", **self.params)


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


@pytest.fixture(scope="session")
def client(s3_endpoint: str) -> Any:
    return s3_client(s3_endpoint)


@pytest.fixture
def s3(client: Any, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str, dict[str, Any]]:
    """Client, URL of a prefix in a new bucket, parameters."""
    monkeypatch.setenv("KB_KEY", KEY)
    monkeypatch.setenv("KB_SECRET", SECRET)
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
    source = open_filesystem(context, url, **params)
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
        list(open_filesystem(context, "s3://no-such-bucket-here/docs", **params).list())
    with pytest.raises(SourceError, match=r"marker|empty object"):
        list(open_filesystem(context, url, **params).list())
    monkeypatch.delenv("KB_SECRET")
    with pytest.raises(SourceError, match="KB_SECRET"):
        list(open_filesystem(context, url, **params).list())


def test_s3_fetches_many_in_order(context: OpenContext, s3: tuple[Any, str, dict[str, Any]]) -> None:
    client, url, params = s3
    client.pipe({f"{url}/{n:03}.md": f"text {n}".encode() for n in range(24)})
    source = open_filesystem(context, url, **params)
    wanted = items(source)[::-1]
    assert list(texts(source, wanted).values()) == [f"text {n}" for n in range(23, -1, -1)]
