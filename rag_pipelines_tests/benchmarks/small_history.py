"""A small git history with an edit, a comment, a move, a deletion, and texts that come back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

LONG = " ".join(
    f"The team of hall {{0}} wrote in line {line} of {{0}} that no leak was found." for line in range(10)
)
SECTIONS = "\n\n".join(f"## Part {n}\n\n{LONG.format(n)}\n\nThe lid is opened in week {n}." for n in range(9))
PAGE = "<html><head><title>Valve</title></head><body><h1>Valve</h1><p>{}</p>{}</body></html>"
STATES: list[dict[str, str]] = [
    {"pumps.md": SECTIONS, "valve.html": PAGE.format("Open it slowly.", ""), "logo.png": "no picture"},
    {"pumps.md": SECTIONS.replace("week 4.", "week 40.")},
    {"valve.html": PAGE.format("Open it slowly.", "<!-- reviewed -->"), "logo.png": "another"},
    {"logo.png": "not listed"},
    {"hall/pumps.md": SECTIONS.replace("week 4.", "week 40."), "pumps.md": ""},
    {"hall/pumps.md": SECTIONS, "again.md": SECTIONS, "valve.html": ""},
]
"""What each commit writes; an empty text deletes. The last one brings back texts that were embedded before."""


def commit_states(folder: Path) -> Path:
    """A repository with one commit a state, a day apart."""

    def git(*arguments: str, day: int = 1) -> None:
        stamp = f"2026-01-{day:02d}T12:00:00Z"
        dates = {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
        who = ("-c", "user.name=ana", "-c", "user.email=ana@acme.example", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(folder), *who, *arguments]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **dates})

    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    git("commit", "--quiet", "--allow-empty", "--message=start")
    for day, state in enumerate(STATES, start=1):
        for name, text in state.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            if text:
                path.write_text(text, encoding="utf-8")
            else:
                path.unlink()
        git("add", "--all")
        git("commit", "--quiet", f"--message=day {day}", day=day)
    return folder
