"""What stands around a place in a document: the headings in force, the page, the context header."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rag_pipelines.chunking.atoms import HEADINGS
from rag_pipelines.chunking.headings import level_of
from rag_pipelines.core.types import Element

LONGEST_HEADING = 200

Path = tuple[str, ...]


class Outline:
    """Looks up headings and page by character position.

    A heading is in force from its first character up to the next one of its level or above. Headings over
    200 characters are shortened: each chunk of the section carries them.
    """

    def __init__(self, text: str, elements: Sequence[Element]) -> None:
        self._starts: list[int] = []
        self._paths: list[Path] = [()]
        self._ends = [element.end for element in elements]
        self._pages = [element.page for element in elements]
        path: list[tuple[int, str]] = []
        for element in elements:
            if element.kind in HEADINGS:
                level = level_of(element)
                while path and path[-1][0] >= level:
                    path.pop()
                path.append((level, shortened(text[element.start : element.end])))
                self._starts.append(element.start)
                self._paths.append(tuple(heading for _, heading in path))

    def path(self, position: int) -> Path:
        """Headings in force, outermost first, a title among them."""
        return self._paths[bisect_right(self._starts, position)]

    def page(self, position: int) -> int | None:
        """Page of the element at the position or next after it."""
        index = bisect_right(self._ends, position)
        return self._pages[index] if index < len(self._pages) else None


def shortened(heading: str) -> str:
    """On one line, and not over 200 characters."""
    line = " ".join(heading[: 4 * LONGEST_HEADING].split())
    return line if len(line) <= LONGEST_HEADING else line[: LONGEST_HEADING - 1] + "…"


def header(title: str | None, path: Path) -> str:
    """`title > h1 > h2`; a title that is also the first heading stands once."""
    own = shortened(title) if title else ""
    repeated = bool(path) and path[0].casefold() == own.casefold()
    return " > ".join(path if repeated or not own else (own, *path))
