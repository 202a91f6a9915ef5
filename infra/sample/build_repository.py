"""Build the sample's git repository from the pages under `engineering/`.

    python infra/sample/build_repository.py [TARGET]

TARGET is a bare repository, by default `.rag/sample/engineering.git` below the repository root. The commits have
fixed authors and dates and are fed to `git fast-import` as one stream, so their ids are the same on every machine
and do not depend on the user's git settings. The history is built beside the target and moved into place; a target
that already holds the newest commit is left untouched. Prints the id of the newest commit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

PAGES = Path(__file__).resolve().parent / "engineering"
DEFAULT_TARGET = Path(__file__).resolve().parents[2] / ".rag" / "sample" / "engineering.git"


def build(target: Path, pages: Path = PAGES) -> str:
    """Make `target` hold the history that `pages/commits.json` describes; returns the head's commit id.

    Raises RuntimeError where git is missing or refuses, and FileExistsError where `target` is something else.
    """
    plan = json.loads((pages / "commits.json").read_text(encoding="utf-8"))
    branch = str(plan["branch"])
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        fresh = Path(folder) / "fresh.git"
        _git("init", "--quiet", "--bare", "--object-format=sha1", "--template=", str(fresh))
        _git("symbolic-ref", "HEAD", f"refs/heads/{branch}", repository=fresh)
        _git("fast-import", "--quiet", repository=fresh, stream=b"".join(_stream(plan, pages)))
        head = _git("rev-parse", branch, repository=fresh)
        if _current_head(target, branch) == head:
            return head
        if target.exists():
            os.rename(target, Path(folder) / "old.git")
        os.rename(fresh, target)
    return head


def _stream(plan: dict[str, Any], pages: Path) -> Iterator[bytes]:
    """The history in the format of `git fast-import`."""
    for commit in plan["commits"]:
        moment = datetime.fromisoformat(commit["date"])
        who = f"{commit['author']} {int(moment.timestamp())} {moment:%z}"
        yield f"commit refs/heads/{plan['branch']}\nauthor {who}\ncommitter {who}\n".encode()
        yield _data(f"{commit['message']}\n".encode())
        for old, new in sorted(commit.get("rename", {}).items()):
            yield f"R {old} {new}\n".encode()
        for path in sorted(commit.get("delete", ())):
            yield f"D {path}\n".encode()
        if "folder" in commit:
            folder = pages / commit["folder"]
            for page in sorted(path for path in folder.rglob("*") if path.is_file()):
                yield f"M 100644 inline {page.relative_to(folder).as_posix()}\n".encode()
                yield _data(page.read_bytes().replace(b"\r\n", b"\n"))
        yield b"\n"


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _current_head(target: Path, branch: str) -> str | None:
    """The commit of the branch in an existing target; None where there is none yet."""
    if not target.exists():
        return None
    if not (target / "HEAD").is_file() or not (target / "objects").is_dir():
        raise FileExistsError(
            f"{target} exists and is not a bare git repository; move it away or name another"
        )
    try:
        return _git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", repository=target)
    except RuntimeError:
        return None


def _git(*arguments: str, repository: Path | None = None, stream: bytes = b"") -> str:
    """Run git without the settings of the user, the system or a surrounding repository."""
    program = shutil.which("git")
    if program is None:
        raise RuntimeError("the program git was not found; install it and run this again")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    place = ["--git-dir", str(repository)] if repository else []
    done = subprocess.run(
        [program, *place, *arguments], input=stream, capture_output=True, env=environment, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode().strip()


def main() -> int:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Build the sample's git repository.")
    parser.add_argument("target", nargs="?", type=Path, default=DEFAULT_TARGET)
    try:
        print(build(parser.parse_args().target))
    except (RuntimeError, OSError) as error:
        print(f"build_repository: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
