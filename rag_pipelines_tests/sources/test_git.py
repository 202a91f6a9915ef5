from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure, Source
from rag_pipelines.core.types import RawDocument
from rag_pipelines.sources import OpenContext
from rag_pipelines.sources.git import GitParams
from rag_pipelines.sources.git_links import permalink
from rag_pipelines_tests.shared_data import shared_data
from rag_pipelines_tests.sources.conformance import Corpus, SourceConformance, items, reasons, texts, versions
from rag_pipelines_tests.sources.git_repo import GitRepo
from rag_pipelines_tests.sources.openers import open_git


def modified(source: Source) -> dict[str, int | None]:
    return {
        item.uri: None if item.modified_at is None else int(item.modified_at.timestamp())
        for item in items(source)
    }


class GitCorpus:
    has_probe = True

    def __init__(self, context: OpenContext) -> None:
        self.context = context
        self.repo = GitRepo(context.base_dir / "repo")

    def put(self, changes: Mapping[str, str | None]) -> None:
        self.repo.commit({name: None if text is None else text.encode() for name, text in changes.items()})

    def open(self) -> Source:
        return open_git(self.context, "repo", exclude=["**/*.tmp"])

    def open_broken(self) -> Source:
        return open_git(self.context, "nowhere")


class TestGit(SourceConformance):
    @pytest.fixture
    def corpus(self, context: OpenContext) -> Corpus:
        return GitCorpus(context)


def test_versions_are_blob_ids_and_links_name_the_commit(context: OpenContext, repo: GitRepo) -> None:
    commit = repo.commit({"docs/a b.md": b"alpha"})
    source = open_git(context, "repo")
    (item,) = items(source)
    assert item.version == repo.git("rev-parse", "HEAD:docs/a b.md")
    assert item.metadata == {}
    (raw,) = source.fetch([item])
    assert isinstance(raw, RawDocument)
    assert (raw.link, raw.name, raw.version) == (f"{repo.path}@{commit}:docs/a b.md", "a b.md", item.version)
    assert source.probe() == commit


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://github.com/acme/kb.git", "https://github.com/acme/kb/blob/c0ffee/a%20b/%23c.md"),
        ("git@github.com:acme/kb.git", "https://github.com/acme/kb/blob/c0ffee/a%20b/%23c.md"),
        (
            "ssh://git@gitlab.acme.example:2222/g/s/kb",
            "https://gitlab.acme.example/g/s/kb/-/blob/c0ffee/a%20b/%23c.md",
        ),
        ("https://codeberg.org/acme/kb", "https://codeberg.org/acme/kb/src/commit/c0ffee/a%20b/%23c.md"),
        ("https://bitbucket.org/acme/kb", "https://bitbucket.org/acme/kb/src/c0ffee/a%20b/%23c.md"),
        ("https://git.acme.example/kb.git", "https://git.acme.example/kb.git@c0ffee:a b/#c.md"),
        ("/srv/github/kb.git", "/srv/github/kb.git@c0ffee:a b/#c.md"),
    ],
)
def test_permalinks(url: str, link: str) -> None:
    assert permalink(url, "c0ffee", "a b/#c.md") == link


def test_a_permalink_template(context: OpenContext, repo: GitRepo) -> None:
    commit = repo.commit({"a b.md": b"alpha"})
    source = open_git(context, "repo", permalink="https://wiki.example/{path}?at={commit}")
    (raw,) = source.fetch(items(source))
    assert isinstance(raw, RawDocument)
    assert raw.link == f"https://wiki.example/a%20b.md?at={commit}"


def test_branch_tag_and_default(context: OpenContext, repo: GitRepo) -> None:
    repo.commit({"a.md": b"one"})
    repo.git("tag", "-a", "v1", "-m", "first")
    tagged = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-q", "-b", "next")
    repo.commit({"b.md": b"two"})
    repo.git("checkout", "-q", "main")
    repo.commit({"c.md": b"three"})
    assert set(versions(open_git(context, "repo"))) == {"a.md", "c.md"}
    assert set(versions(open_git(context, "repo", branch="next"))) == {"a.md", "b.md"}
    by_tag = open_git(context, "repo", tag="v1")
    assert set(versions(by_tag)) == {"a.md"}
    assert by_tag.probe() == tagged
    with pytest.raises(SourceError, match=r"no branch 'nxt'; it has main, next"):
        list(open_git(context, "repo", branch="nxt").list())
    with pytest.raises(SourceError, match=r"no tag 'v2'; it has v1"):
        open_git(context, "repo", tag="v2").probe()


def test_modification_times_are_when_the_change_reached_the_branch(
    context: OpenContext, repo: GitRepo
) -> None:
    repo.commit({"a.md": b"1", "b.md": b"1"})
    first = repo.clock
    repo.commit({"b.md": b"2"})
    second = repo.clock
    source = open_git(context, "repo")
    assert modified(source) == {"a.md": first, "b.md": second}
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"side.md": b"s"})
    repo.git("checkout", "-q", "main")
    repo.commit({"a.md": b"2"})
    third = repo.clock
    repo.clock += 600
    repo.git("merge", "-q", "--no-ff", "side", "-m", "merge")
    expected = {"a.md": third, "b.md": second, "side.md": repo.clock}
    assert modified(source) == expected
    shutil.rmtree(context.work_dir)
    assert modified(source) == expected
    assert items(source)[0].modified_at == datetime.fromtimestamp(third, tz=UTC)


def test_a_shallow_clone_has_the_files_and_no_times(context: OpenContext, repo: GitRepo) -> None:
    repo.commit({"a.md": b"1"})
    repo.commit({"b.md": b"1"})
    source = open_git(context, "repo", depth=1)
    assert modified(source) == {"a.md": None, "b.md": None}
    (clone,) = context.work_dir.glob("repository-*.git")
    assert (
        subprocess.check_output(["git", f"--git-dir={clone}", "rev-list", "--count", "refs/rag/head"])
        == b"1\n"
    )
    repo.commit({"a.md": b"2"})
    assert texts(source, items(source)) == {"a.md": "2", "b.md": "1"}


def test_links_submodules_and_hidden_files_are_left_out_with_reasons(
    context: OpenContext, repo: GitRepo
) -> None:
    repo.commit({"a.md": b"alpha", ".github/x.md": b"hidden", "b.txt": b"text"})
    (repo.path / "link.md").symlink_to("a.md")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.git('rev-parse', 'HEAD')},module")
    repo.git("add", "link.md")
    repo.git("commit", "-q", "-m", "odd entries")
    source = open_git(context, "repo", include=["**/*.md"])
    assert set(versions(source)) == {"a.md"}
    found = reasons(source)
    assert set(found) == {"link.md", "module", ".github/x.md", "b.txt"}
    assert "symbolic link" in found["link.md"]
    assert "submodule" in found["module"]
    assert "hidden" in found[".github/x.md"]
    assert found["b.txt"] == "no include pattern matches"


def test_names_with_newlines_and_names_that_are_not_utf8(context: OpenContext, repo: GitRepo) -> None:
    repo.commit({'line\nbreak\t"x".md': b"alpha", "-dash.md": b"beta", "caf\udce9.md": b"latin"})
    source = open_git(context, "repo")
    assert texts(source, items(source)) == {'line\nbreak\t"x".md': "alpha", "-dash.md": "beta"}
    assert reasons(source) == {"caf\\xe9.md": "its name is not valid UTF-8; rename it"}


def test_bytes_are_those_of_the_blob(context: OpenContext, repo: GitRepo) -> None:
    data = bytes(range(256)) * 300 + b"\r\n"
    repo.commit({"a.bin": data, "empty.md": b""})
    source = open_git(context, "repo")
    fetched = [raw.data for raw in source.fetch(items(source)) if isinstance(raw, RawDocument)]
    assert fetched == [data, b""]


def test_an_lfs_pointer_fails_with_its_reason(context: OpenContext, repo: GitRepo) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    repo.commit({"a.md": b"alpha", "big.pdf": pointer})
    source = open_git(context, "repo")
    ok, failed = source.fetch(items(source))
    assert isinstance(ok, RawDocument)
    assert isinstance(failed, FetchFailure)
    assert "Git LFS pointer" in str(failed.error)


def test_fetch_reads_the_commit_that_was_listed(context: OpenContext, repo: GitRepo) -> None:
    commit = repo.commit({"a.md": b"one"})
    source = open_git(context, "repo")
    listed = items(source)
    repo.commit({"a.md": b"two"})
    (raw,) = source.fetch(listed)
    assert isinstance(raw, RawDocument)
    assert (raw.data, raw.version) == (b"one", listed[0].version)
    assert commit in str(raw.link)


def test_a_force_pushed_branch_is_followed(context: OpenContext, repo: GitRepo) -> None:
    repo.commit({"a.md": b"one"})
    first = repo.clock
    repo.commit({"wrong.md": b"secret", "a.md": b"wrong"})
    source = open_git(context, "repo")
    assert modified(source) == {"a.md": repo.clock, "wrong.md": repo.clock}
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.commit({"right.md": b"two"})
    assert modified(source) == {"a.md": first, "right.md": repo.clock}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"url": "--upload-pack=touch /tmp/x"}, "not the URL"),
        ({"url": "ext::sh -c id"}, "must be a path or a URL"),
        ({"url": "ftp://host/kb.git"}, "must be a path or a URL"),
        ({"url": "https://joe:secret@host/kb.git"}, "password"),
        ({"url": "x", "branch": "a", "tag": "b"}, "exclude each other"),
        ({"url": "x", "branch": "--force"}, "not a name that git allows"),
        ({"url": "x", "branch": "a..b"}, "not a name that git allows"),
        ({"url": "x", "branch": "a:b"}, "not a name that git allows"),
        ({"url": "x", "permalink": "https://x/{path}"}, "needs"),
        ({"url": "x", "token_env": "T"}, "https"),
        ({"url": "x", "depth": 0}, "greater than or equal"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GitParams(**params)


@pytest.mark.parametrize("branch", ["main", "release/1.2", "feature-ünïcode", "a_b"])
def test_usual_branch_names_pass(branch: str) -> None:
    assert GitParams(url="x", branch=branch).branch == branch


def test_the_history_of_a_real_repository(context: OpenContext) -> None:
    bundle = shared_data("streams", "python-devguide.bundle")
    source = open_git(context, str(bundle), include=["**/*.md", "**/*.rst"])
    listed = items(source)
    (clone,) = context.work_dir.glob("repository-*.git")
    log = ["log", "-1", "--first-parent", "-m", "--format=%ct", "refs/rag/head", "--", listed[0].uri]
    out = subprocess.check_output(["git", f"--git-dir={clone}", *log])
    assert listed[0].modified_at == datetime.fromtimestamp(int(out), tz=UTC)
    assert all(item.modified_at is not None for item in listed)
    assert len(texts(source, listed)) == len(listed) > 50
