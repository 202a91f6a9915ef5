"""Building real git repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@acme.example",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@acme.example",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


class GitRepo:
    """A repository with a work tree; every commit gets the time it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = 1_700_000_000
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("commit", "-q", "--allow-empty", "-m", "start")

    def git(self, *arguments: str) -> str:
        """Standard output of a git command."""
        when = f"{self.clock} +0000"
        env = {**os.environ, **_IDENTITY, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        done = subprocess.run(["git", *arguments], cwd=self.path, env=env, check=True, capture_output=True)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, changes: Mapping[str, bytes | None]) -> str:
        """Write or (None) delete files and commit; the commit's id. The clock moves on by a minute."""
        for name, data in changes.items():
            file = self.path / name
            if data is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        self.clock += 60
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def remove(self) -> None:
        """The repository is gone."""
        shutil.rmtree(self.path)
