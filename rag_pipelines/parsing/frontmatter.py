"""The YAML or TOML block in front of a page."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_YAML = re.compile(r"\A\s*---[ \t]*\n(.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_TOML = re.compile(r"\A\s*\+\+\+[ \t]*\n(.*?\n)??\+\+\+[ \t]*(?:\n|\Z)", re.S)
_MAX_CHARS = 65_536
_ANCHOR = re.compile(r"(?:^|[\s\[,:-])&\w", re.M)


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The block's keys and the rest of the page.

    A block that is not valid, too long, or uses YAML anchors (which expand without bound) stays text.
    """
    found = _YAML.match(text) or _TOML.match(text)
    if found is None:
        return {}, text
    values = _load(found[1] or "", is_toml=found[0].lstrip().startswith("+++"))
    if values is None:
        return {}, text
    return {str(key): value for key, value in values.items()}, text[found.end() :]


def _load(block: str, *, is_toml: bool) -> dict[Any, Any] | None:
    if len(block) > _MAX_CHARS or (not is_toml and _ANCHOR.search(block)):
        return None
    try:
        values = tomllib.loads(block) if is_toml else load_yaml(block)
    except (ValueError, RecursionError):
        return None
    return {} if values is None else values if isinstance(values, dict) else None


def load_yaml(text: str) -> Any:
    """The values of a YAML text; raises ValueError where it is not valid."""
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
