"""Folders whose entries survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path, root: Path) -> None:
    """With its parents; each new one is flushed into its parent, or a power cut could lose the whole branch."""
    if folder.is_dir():
        return
    if folder != root:
        make_folder(folder.parent, root)
    folder.mkdir(parents=True, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Names in it survive a power cut from now on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def list_names(folder: Path) -> list[str]:
    """Sorted; none where the folder is not there (yet, or any more) or is a file."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
