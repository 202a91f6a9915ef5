from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipelines_tests.sample.sample_files import SAMPLE, build_repository, git, head_pages

HEAD = "a4ea29f1ae411a3719da94e6045de2f22f184e4f"


def test_two_builds_give_the_known_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_repository(tmp_path / "a.git")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "hidden"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    second = build_repository(tmp_path / "deeper" / "b.git")
    monkeypatch.undo()
    assert first == second == HEAD, "pages changed? then put the new id here"
    assert git(tmp_path / "deeper" / "b.git", "cat-file", "-t", HEAD) == "commit\n"


def test_a_second_run_touches_nothing(tmp_path: Path) -> None:
    target = tmp_path / "r.git"
    build_repository(target)
    before = snapshot(tmp_path)
    assert build_repository(target) == HEAD
    assert snapshot(tmp_path) == before


def test_an_outdated_repository_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "r.git"
    build_repository(target)
    git(target, "update-ref", "refs/heads/main", "main~1")
    assert build_repository(target) == HEAD
    assert git(target, "rev-parse", "main").strip() == HEAD
    assert os.listdir(tmp_path) == ["r.git"]


def test_something_else_at_the_target_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    command = [sys.executable, str(SAMPLE / "build_repository.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not a bare git repository" in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_history_shows_an_edit_a_rename_and_a_deletion(tmp_path: Path) -> None:
    target = tmp_path / "r.git"
    build_repository(target)
    git(target, "fsck", "--strict")
    changes = git(target, "log", "--reverse", "--format=%an", "--name-status", "-M", "main").splitlines()
    assert [line for line in changes if line and not line.startswith("A\t")] == [
        "Priya Wadekar",
        "Ottilie Brandt",
        "M\tdocs/api-v3.md",
        "Callum Pryor",
        "R100\tops/failover.md\trunbooks/database-failover.md",
        "Priya Wadekar",
        "M\tREADME.md",
        "D\tdocs/legacy-soap.md",
    ]


def test_the_head_holds_the_pages(tmp_path: Path) -> None:
    target = tmp_path / "r.git"
    build_repository(target)
    names = git(target, "ls-tree", "-r", "--name-only", "main").split()
    assert {name: git(target, "show", f"main:{name}") for name in names} == head_pages()


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Path -> inode and time of change of everything below a folder."""
    stats = {str(path): path.stat() for path in folder.rglob("*")}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}
