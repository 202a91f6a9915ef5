"""Jupyter notebooks: prose, code, and what the code printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rag_pipelines.core.types import ElementKind
from rag_pipelines.parsing.builder import DocumentBuilder, clean
from rag_pipelines.parsing.noise import without_blobs

_MAX_OUTPUT = 4_000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_REPR = re.compile(r"\s*<[^<>\n]*(?:\bat 0x[0-9a-f]+|with \d+ Axes)[^<>\n]*>\s*")


def is_notebook(value: Any) -> bool:
    """Whether the JSON value is a notebook of version 3 or 4."""
    return isinstance(value, dict) and "nbformat" in value and ("cells" in value or "worksheets" in value)


def add_notebook(builder: DocumentBuilder, notebook: dict[str, Any]) -> None:
    """Markdown cells as Markdown; code cells and their text outputs as code.

    Pictures, HTML and widgets are left out, and of a long output all but its beginning.
    """
    from rag_pipelines.parsing.markdown import add_markdown

    for cell in _cells(notebook):
        text = _joined(cell.get("source", cell.get("input")))
        kind = cell.get("cell_type")
        if kind == "markdown":
            add_markdown(builder, clean(text))
        elif kind == "heading":
            level = cell.get("level")
            builder.add(ElementKind.HEADING, text, level=level if isinstance(level, int) else 1)
        else:
            builder.add(ElementKind.CODE, without_blobs(text))
        for output in _outputs(cell):
            builder.add(ElementKind.CODE, output)


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sheets = [notebook, *_dicts(notebook.get("worksheets"))]
    for sheet in sheets:
        yield from _dicts(sheet.get("cells"))


def _outputs(cell: dict[str, Any]) -> Iterator[str]:
    for output in _dicts(cell.get("outputs")):
        bundle = output.get("data")
        data = bundle if isinstance(bundle, dict) else output
        if any(str(key).startswith("image/") or key in {"png", "jpeg", "svg"} for key in data):
            continue
        text = _joined(data.get("text/markdown", data.get("text/plain", data.get("text"))))
        if output.get("output_type") in {"error", "pyerr"}:
            text = f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
        text = without_blobs(_ANSI.sub("", text))
        if _REPR.fullmatch(text) is None:
            yield text if len(text) <= _MAX_OUTPUT else f"{text[:_MAX_OUTPUT]} …"


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _joined(value: Any) -> str:
    """Text, or a list of its lines."""
    return "".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
