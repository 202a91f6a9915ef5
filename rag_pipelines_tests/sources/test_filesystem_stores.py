from __future__ import annotations

import time
import uuid
import zipfile
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure
from rag_pipelines.sources import OpenContext
from rag_pipelines.sources.filesystem import FilesystemParams
from rag_pipelines_tests.sources.conformance import items, texts, versions
from rag_pipelines_tests.sources.openers import open_filesystem


def test_an_archive_is_a_tree(context: OpenContext) -> None:
    def pack(text: str) -> None:
        with zipfile.ZipFile(context.base_dir / "kb.zip", "w") as archive:
            archive.writestr("a.md", "alpha")
            archive.writestr("x/b.md", text)

    pack("beta")
    source = open_filesystem(context, "zip://::kb.zip")
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

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
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
    source = open_filesystem(context, url)
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
        list(open_filesystem(context, url).list())
    assert raised.value.transient
    assert broken.calls == 4


def test_a_permanent_failure_is_not_retried(
    context: OpenContext, flaky_memory: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = flaky_memory
    refused = Flaky(None, 1000, PermissionError("AccessDenied"))
    monkeypatch.setattr(kind, "ls", refused)
    with pytest.raises(SourceError, match=r"AccessDenied.*right to read") as raised:
        list(open_filesystem(context, url).list())
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
        list(open_filesystem(context, url).list())


def test_fetching_from_a_store_that_went_away_gives_up(
    context: OpenContext, flaky_memory: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = flaky_memory
    source = open_filesystem(context, url)
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
        list(open_filesystem(context, "gdrive://x").list())
