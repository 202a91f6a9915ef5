"""Where the sample lies and what its documents say."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "infra" / "sample"
BROKEN = "finance/q3-board-figures.pdf"


def script(name: str) -> ModuleType:
    """One of the sample's scripts as a module; they are no package."""
    spec = importlib.util.spec_from_file_location(f"sample_{name}", SAMPLE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def records() -> list[dict[str, Any]]:
    """The tickets of the second tenant."""
    lines = (SAMPLE / "support" / "tickets.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def files(folder: str) -> list[str]:
    """The files of a folder of the sample, relative to it."""
    root = SAMPLE / folder
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def build_repository(target: Path) -> str:
    """Run the script as its users do; returns what it printed, the head's commit id."""
    command = [sys.executable, str(SAMPLE / "build_repository.py"), str(target)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def git(repository: Path, *arguments: str) -> str:
    """What git says about a bare repository."""
    command = ["git", "--git-dir", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


def head_pages() -> dict[str, str]:
    """The pages at the head of the engineering history, replayed without git."""
    pages: dict[str, str] = {}
    root = SAMPLE / "engineering"
    for commit in json.loads((root / "commits.json").read_text(encoding="utf-8"))["commits"]:
        for old, new in commit.get("rename", {}).items():
            pages[new] = pages.pop(old)
        for gone in commit.get("delete", ()):
            del pages[gone]
        if "folder" in commit:
            for name in files(f"engineering/{commit['folder']}"):
                pages[name] = (root / commit["folder"] / name).read_text(encoding="utf-8")
    return pages


@cache
def corpus() -> dict[str, str]:
    """Readable document -> its text with single spaces; rendered documents are represented by their drafts."""
    texts = {f"engineering/{name}": text for name, text in head_pages().items()}
    texts |= {f"support/{record['uri']}": f"{record['title']}\n{record['text']}" for record in records()}
    for folder in ("handbook", "board"):
        for name in files(folder):
            draft = SAMPLE / "drafts" / f"{name}.md"
            path = draft if draft.exists() else SAMPLE / folder / name
            if name != BROKEN:
                texts[f"{folder}/{name}"] = path.read_text(encoding="utf-8").replace("=\n", "")
    return {name: re.sub(r"\s+", " ", text.replace("**", "")) for name, text in texts.items()}
