from __future__ import annotations

import base64
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rag_pipelines.core.errors import SourceError
from rag_pipelines.sources import OpenContext
from rag_pipelines_tests.sources.conformance import items, texts, versions
from rag_pipelines_tests.sources.git_repo import GitRepo
from rag_pipelines_tests.sources.openers import open_git


def test_a_repository_without_commits_is_empty(context: OpenContext) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(context.base_dir / "bare.git")], check=True)
    source = open_git(context, "bare.git")
    assert list(source.list()) == []
    assert source.probe() == "empty"


@pytest.mark.parametrize("damage", ["objects", "config", "half", "lock", "one blob", "torn blob"])
def test_a_damaged_clone_is_cloned_anew(context: OpenContext, repo: GitRepo, damage: str) -> None:
    text = os.urandom(50_000).hex()
    repo.commit({"a.md": text.encode(), "b.md": b"beta"})
    listed = items(open_git(context, "repo"))
    blob = listed[0].version
    (clone,) = context.work_dir.glob("repository-*.git")
    stored = clone / "objects" / blob[:2] / blob[2:]
    expected = {"a.md": text, "b.md": "beta"}
    if damage == "one blob":
        stored.unlink()
    elif damage == "torn blob":
        content = stored.read_bytes()
        stored.chmod(0o644)
        stored.write_bytes(content[:-1000] + bytes(1000))
    else:
        repo.commit({"b.md": b"BETA"})
        expected["b.md"] = "BETA"
    if damage == "objects":
        shutil.rmtree(clone / "objects")
    elif damage == "config":
        (clone / "HEAD").unlink()
    elif damage == "half":
        (context.work_dir / "cloning-left-behind").mkdir()
        shutil.rmtree(clone / "refs")
    elif damage == "lock":
        (clone / "refs" / "rag" / "head.lock").touch()
    source = open_git(context, "repo")
    assert texts(source, listed) == expected
    assert texts(source, items(source)) == expected
    assert not list(context.work_dir.glob("cloning-*"))


def test_a_clone_damaged_between_listing_and_fetching_is_replaced(
    context: OpenContext, repo: GitRepo
) -> None:
    repo.commit({"a.md": b"alpha", "b.md": b"beta"})
    source = open_git(context, "repo")
    listed = items(source)
    (clone,) = context.work_dir.glob("repository-*.git")
    shutil.rmtree(clone / "objects")
    assert texts(source, listed) == {"a.md": "alpha", "b.md": "beta"}


def test_a_clone_that_was_killed_is_not_taken_for_a_whole_one(context: OpenContext, repo: GitRepo) -> None:
    repo.commit({"a.md": b"alpha"})
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from rag_pipelines.sources import OpenContext, git_clone\n"
        "from rag_pipelines.sources.git import GitParams, GitSource\n"
        "fetch = git_clone.Clone._fetch\n"
        "def killed(self, folder):\n"
        "    fetch(self, folder)\n"
        "    os.kill(os.getpid(), 9)\n"
        "git_clone.Clone._fetch = killed\n"
        "work, base = map(Path, sys.argv[1:])\n"
        "list(GitSource(OpenContext('docs', work, base), GitParams(url='repo')).list())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(context.work_dir), str(context.base_dir)], check=False
    )
    assert done.returncode == -9
    assert len(list(context.work_dir.glob("cloning-*"))) == 1
    assert set(versions(open_git(context, "repo"))) == {"a.md"}
    assert not list(context.work_dir.glob("cloning-*"))


def test_other_urls_leave_one_clone(context: OpenContext, repo: GitRepo) -> None:
    repo.commit({"a.md": b"alpha"})
    GitRepo(context.base_dir / "other").commit({"b.md": b"beta"})
    assert set(versions(open_git(context, "repo"))) == {"a.md"}
    assert set(versions(open_git(context, "other"))) == {"b.md"}
    assert len(list(context.work_dir.glob("repository-*.git"))) == 1


def test_file_urls_and_bundles(context: OpenContext, repo: GitRepo) -> None:
    repo.commit({"a.md": b"alpha"})
    bundle = context.base_dir / "kb.bundle"
    repo.git("bundle", "create", "-q", str(bundle), "main", "HEAD")
    repo.git("bundle", "create", "-q", str(context.base_dir / "headless.bundle"), "main")
    for url in (repo.path.as_uri(), "kb.bundle", bundle.as_uri()):
        source = open_git(context, url)
        assert texts(source, items(source)) == {"a.md": "alpha"}
    with pytest.raises(SourceError, match=r"no default branch; set `branch` to one of main"):
        list(open_git(context, "headless.bundle").list())
    assert set(versions(open_git(context, "headless.bundle", branch="main"))) == {"a.md"}


@contextmanager
def http_server(handler: Any) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Files(http.server.SimpleHTTPRequestHandler):
    expected: str | None = None

    def do_GET(self) -> None:
        if self.expected is not None and self.headers.get("Authorization") != self.expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="kb"')
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


def test_over_http_with_a_token_and_never_asking_for_a_password(
    context: OpenContext, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({"a.md": b"alpha"})
    repo.git("clone", "-q", "--bare", str(repo.path), str(context.base_dir / "public.git"))
    repo.git("--git-dir", str(context.base_dir / "public.git"), "update-server-info")
    monkeypatch.setenv("KB_TOKEN", "s3cret")

    class Guarded(Files):
        expected = "Basic " + base64.b64encode(b"git:s3cret").decode()

    with http_server(functools.partial(Guarded, directory=str(context.base_dir))) as url:
        source = open_git(context, f"{url}/public.git", token_env="KB_TOKEN")
        assert texts(source, items(source)) == {"a.md": "alpha"}
        with pytest.raises(SourceError, match="token_env") as raised:
            open_git(context, f"{url}/public.git").probe()
        assert not raised.value.transient
        with pytest.raises(SourceError, match="NO_SUCH_TOKEN"):
            open_git(context, f"{url}/public.git", token_env="NO_SUCH_TOKEN").probe()
    (clone,) = context.work_dir.glob("repository-*.git")
    assert "s3cret" not in (clone / "config").read_text()


def test_a_server_that_does_not_answer_is_transient(
    context: OpenContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with http_server(Files) as url:
        pass
    with pytest.raises(SourceError, match="tries again") as raised:
        open_git(context, f"{url}/kb.git").probe()
    assert raised.value.transient


def test_a_git_that_hangs_is_stopped(context: OpenContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    released = threading.Event()

    class Silent(Files):
        def do_GET(self) -> None:
            released.wait(60)

    with http_server(Silent) as url:
        try:
            with pytest.raises(SourceError, match=r"longer than 0\.2 s") as raised:
                open_git(context, f"{url}/kb.git", timeout_seconds=0.2).probe()
        finally:
            released.set()
    assert raised.value.transient


def test_a_surrounding_git_hook_does_not_mislead(
    context: OpenContext, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({"a.md": b"alpha"})
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere/objects")
    assert set(versions(open_git(context, "repo"))) == {"a.md"}


def test_a_missing_git_is_named(context: OpenContext, repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(context.base_dir))
    with pytest.raises(SourceError, match="install git"):
        open_git(context, "repo").probe()
