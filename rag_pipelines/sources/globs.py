"""Which paths of a tree a source reads: include and exclude globs relative to the root."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

JUNK_FOLDERS = frozenset({".git", ".hg", ".svn", ".bzr", "CVS", "__pycache__", "__MACOSX", "@eaDir"})
_JUNK_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
JUNK_REASON = "kept by version control, Python or the operating system, not a document"
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MAX_ALTERNATIVES = 256


class Selection:
    """Include and exclude globs, compiled.

    `*` and `?` stay within a name, `**` stands alone between slashes for any number of folders,
    `{a,b}` lists alternatives. Wildcards of an include pattern leave out names that begin with a dot, as a
    shell does, since `.env` and the like are not documents; those of an exclude pattern do not.
    """

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = re.compile(_any(include, hidden=False))
        self._include_hidden = re.compile(_any(include, hidden=True))
        self._exclude = [(pattern, re.compile(_any([pattern], hidden=True))) for pattern in exclude]

    def reason(self, path: str) -> str | None:
        """Why the path is left out, in words for a person; None where it is read."""
        names = path.split("/")
        if names[-1] in _JUNK_FILES or names[-1].startswith("~$") or not JUNK_FOLDERS.isdisjoint(names):
            return JUNK_REASON
        for pattern, compiled in self._exclude:
            if compiled.fullmatch(path):
                return f"exclude pattern {pattern!r} matches"
        if self._include.fullmatch(path):
            return None
        if self._include_hidden.fullmatch(path):
            return "hidden (a name in its path begins with a dot); spell that name out in an include pattern"
        return "no include pattern matches"


def translate(pattern: str, *, hidden: bool = False) -> str:
    """The glob as a regular expression for `fullmatch`; ValueError says what is wrong with it."""
    return "|".join(_translate_one(alternative, hidden) for alternative in _expand(pattern))


def check_globs(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The patterns as they are; ValueError names the one that is wrong."""
    for pattern in patterns:
        translate(pattern)
    return patterns


Globs = Annotated[tuple[str, ...], AfterValidator(check_globs)]


def _any(patterns: Sequence[str], *, hidden: bool) -> str:
    return "|".join(f"(?:{translate(pattern, hidden=hidden)})" for pattern in patterns) or r"(?!)"


def _expand(pattern: str) -> list[str]:
    done: list[str] = []
    todo = [pattern]
    while todo:
        current = todo.pop()
        match = _BRACES.search(current)
        if match is None:
            done.append(current)
        else:
            todo += [current[: match.start()] + part + current[match.end() :] for part in match[1].split(",")]
        if len(done) + len(todo) > _MAX_ALTERNATIVES:
            raise ValueError(f"pattern {pattern!r} has more than {_MAX_ALTERNATIVES} alternatives; split it")
    return done


def _translate_one(pattern: str, hidden: bool) -> str:
    if pattern.endswith("/"):
        pattern += "**"
    segments = pattern.split("/")
    if not pattern or any(segment in ("", ".", "..") for segment in segments):
        raise ValueError(
            f"pattern {pattern!r} must be a path relative to the root, without leading slash, '.' or '..'"
        )
    name = "[^/]+" if hidden else r"(?!\.)[^/]+"
    parts: list[str] = []
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        if segment == "**":
            parts.append(f"(?:{name}/)*{name}" if last else f"(?:{name}/)*")
        elif "**" in segment:
            raise ValueError(f"pattern {pattern!r}: ** must stand alone between slashes, as in **/*.md")
        else:
            parts.append(_translate_segment(segment, hidden, pattern) + ("" if last else "/"))
    return "".join(parts)


def _translate_segment(segment: str, hidden: bool, pattern: str) -> str:
    out = "" if hidden or segment[0] not in "*?[" else r"(?!\.)"
    position = 0
    while position < len(segment):
        character = segment[position]
        position += 1
        if character == "*":
            out += "[^/]*"
        elif character == "?":
            out += "[^/]"
        elif character == "[":
            end = segment.find("]", position + 2 if segment[position : position + 1] == "!" else position + 1)
            if end < 0:
                raise ValueError(f"pattern {pattern!r} has a [ without its ]; write [[] for the character")
            body = segment[position:end].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
            out += f"(?!/)[^{body[1:]}]" if body.startswith("!") else f"(?!/)[{body}]"
            position = end + 1
        else:
            out += re.escape(character)
    try:
        re.compile(out)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} cannot be read: {error}") from error
    return out
