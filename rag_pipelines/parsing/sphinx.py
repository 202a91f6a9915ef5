"""What docutils finds when a text uses directives and roles of Sphinx or its extensions."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import Directive, directives, roles, states

_NATIVE = frozenset(
    (
        *("table", "list-table", "csv-table", "image", "figure", "replace", "unicode", "date", "math", "raw"),
        *("include", "meta", "class", "role", "default-role", "topic", "sidebar", "rubric", "parsed-literal"),
    )
)
_CODE = frozenset(
    (
        *(
            "code",
            "code-block",
            "sourcecode",
            "highlight-block",
            "prompt",
            "doctest",
            "testcode",
            "testoutput",
        ),
        *(
            "testsetup",
            "productionlist",
            "graphviz",
            "mermaid",
            "uml",
            "console",
            "ipython",
            "jupyter-execute",
        ),
    )
)
_SILENT = frozenset(
    (
        *(
            "toctree",
            "contents",
            "index",
            "highlight",
            "currentmodule",
            "module",
            "tabularcolumns",
            "sectnum",
        ),
        *(
            "sectionauthor",
            "codeauthor",
            "literalinclude",
            "automodule",
            "autoclass",
            "autofunction",
            "header",
        ),
        *("footer", "target-notes", "title", "restructuredtext-test-directive", "default-domain", "todolist"),
    )
)
_TARGET = re.compile(r"\s*<[^<>]*>\Z", re.S)


class _AnyOption(dict[str, Callable[[str], Any]]):
    """Accepts every option."""

    def __missing__(self, key: str) -> Callable[[str], Any]:
        return lambda value: value


class _Tolerant(Directive):
    """Any directive: code keeps its lines, the rest gives its argument and its content as text."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _AnyOption(name=lambda value: value)

    def run(self) -> list[nodes.Node]:
        if self.name in _CODE:
            text = "\n".join(self.content)
            return [nodes.literal_block(text, text)] if text else []
        result: list[nodes.Node] = []
        if self.arguments:
            inline, _ = self.state.inline_text(self.arguments[0], self.lineno)
            result.append(nodes.paragraph(self.arguments[0], "", *inline))
        caption = self.options.get("caption")
        if caption:
            result.append(nodes.paragraph(caption, caption))
        if self.content:
            block = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, block, match_titles=False)
            result.extend(block.children)
        return result


class _Silent(_Tolerant):
    """Directives that only steer the build."""

    def run(self) -> list[nodes.Node]:
        return []


@contextlib.contextmanager
def tolerant_lookup() -> Iterator[None]:
    """Replace docutils' global lookups for as long as one text is parsed."""
    find_directive, find_role = directives.directive, roles.role

    def directive(name: str, language: Any, document: Any) -> tuple[Any, list[Any]]:
        plain = name.lower().rpartition(":")[2]
        if plain in _NATIVE:
            found: tuple[Any, list[Any]] = find_directive(plain, language, document)
            return found
        return (_Silent if plain in _SILENT else _Tolerant), []

    def role(name: str, language: Any, line: int, reporter: Any) -> tuple[Any, list[Any]]:
        found, _ = find_role(name, language, line, reporter)
        return found or _plain_role, []

    with mock.patch.object(directives, "directive", directive), mock.patch.object(roles, "role", role):
        yield


def _plain_role(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: states.Inliner,
    options: Any = None,
    content: Any = None,
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """The text a reader would see: without the target, and the last part of a `~module.name`."""
    shown = _TARGET.sub("", nodes.unescape(text)) or nodes.unescape(text)
    if shown.startswith("~"):
        shown = shown.rpartition(".")[2].lstrip("~")
    return [nodes.inline(rawtext, shown.lstrip("!"))], []
