"""The text of inline Markdown where a scan is sure to agree with the CommonMark parser, which takes longer.

Only constructs that cannot interact are known here: code spans, links and images without brackets inside,
emphasis whose marks can mean nothing else, escapes, plain tags. Everything else is left to the parser.
"""

from __future__ import annotations

import re

_SIDE = r"\s!-/:-@\[-`{-~"
_TAG = r"<(?:/[A-Za-z][A-Za-z0-9-]*\s*|[A-Za-z][A-Za-z0-9-]*(?:\s+[A-Za-z_:][\w.:-]*=\"[^\"<>`]*\")*\s*/?)>"


def _emphasis(name: str, mark: str, size: int, intraword: str, outro: str) -> str:
    """A pair of marks that can open and close, with no other of their kind in between."""
    marks = mark * size
    return (
        rf"(?:(?<![^{_SIDE}]){intraword})(?<!{mark}){marks}(?=[^\s{mark}])"
        rf"(?P<{name}>[^*_~\\<&!]+)(?<=[^\s{mark}]){marks}(?!{mark})(?:(?![^{_SIDE}]){outro})"
    )


_SIMPLE = re.compile(
    "|".join(
        (
            r"(?P<plain>[^\\`*_!\[\]<&~]+|(?<=[^\W_])_+(?=[^\W_])|!(?!\[)|&(?![#\w])|(?<!~)~(?!~))",
            r"(?<!`)`(?P<code>[^`\s](?:[^`]*[^`\s])?)`(?!`)",
            r"!\[(?P<image>[^\\`*_!\[\]<&~]*)\]\([^\s()<>\\&`]*\)",
            r"\[(?P<link>[^\\\[\]<&!~]*)\]\([^\s()<>\\&`]*\)",
            r"\\(?P<escaped>[!-/:-@\[-`{-~])",
            rf"(?P<tag>{_TAG})",
            _emphasis("strong", r"\*", 2, r"|(?=\*\*[^\W_])", r"|(?<=[^\W_]\*\*)"),
            _emphasis("em", r"\*", 1, r"|(?=\*[^\W_])", r"|(?<=[^\W_]\*)"),
            _emphasis("under", "_", 1, "", ""),
        )
    )
)


def simple_text(content: str) -> str | None:
    """What a reader sees of the text; None where the parser has to decide."""
    if "}`" in content:
        return None
    parts: list[str] = []
    position = 0
    while position < len(content):
        found = _SIMPLE.match(content, position)
        if found is None or found.lastgroup is None:
            return None
        position = found.end()
        part = found[found.lastgroup]
        match found.lastgroup:
            case "plain" | "code" | "image" | "escaped":
                parts.append(part)
            case "tag":
                if part[:3].lower() == "<br":
                    parts.append("\n")
            case _:
                inner = simple_text(part)
                if inner is None:
                    return None
                parts.append(inner)
    return "".join(parts)
