from __future__ import annotations

import re

import pytest

from rag_pipelines.sources.globs import Selection, check_globs, translate


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("**/*.md", "a.md", True),
        ("**/*.md", "x/y/a.md", True),
        ("**/*.md", "x/a.mdx", False),
        ("*.md", "a.md", True),
        ("*.md", "x/a.md", False),
        ("docs/**", "docs/a", True),
        ("docs/**", "docs/x/y/a", True),
        ("docs/**", "docs", False),
        ("docs/", "docs/x/a", True),
        ("docs/**/a.md", "docs/a.md", True),
        ("docs/**/a.md", "docs/x/y/a.md", True),
        ("docs/**/a.md", "docsx/a.md", False),
        ("a?.md", "ab.md", True),
        ("a?.md", "a/.md", False),
        ("[a-c].md", "b.md", True),
        ("[!a-c].md", "b.md", False),
        ("[!a-c].md", "d.md", True),
        ("[[]x].md", "[x].md", True),
        ("*.{md,txt}", "a.txt", True),
        ("{docs,wiki}/**/*.{md,txt}", "wiki/x/a.md", True),
        ("*.{md,txt}", "a.rst", False),
        ("a+b(1).md", "a+b(1).md", True),
        ("A.md", "a.md", False),
        ("*", "line\nbreak", True),
        ("**", "x/y", True),
    ],
)
def test_matching(pattern: str, path: str, matches: bool) -> None:
    assert (re.fullmatch(translate(pattern), path) is not None) == matches


@pytest.mark.parametrize("pattern", ["", "/a", "a//b", "../a", "./a", "a**b", "[a", "[z-a]", "{a,b}" * 9])
def test_a_pattern_that_cannot_work_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        check_globs((pattern,))


def test_reasons() -> None:
    selection = Selection(["**/*.md", ".github/*.md"], ["drafts/**"])
    assert selection.reason("a/b.md") is None
    assert selection.reason(".github/c.md") is None
    assert selection.reason("a.txt") == "no include pattern matches"
    assert selection.reason("drafts/.x/a.md") == "exclude pattern 'drafts/**' matches"
    assert "hidden" in str(selection.reason("x/.secret/a.md"))
    assert "hidden" in str(selection.reason(".env.md"))
    for junk in (".git/a.md", "x/.git/a.md", "x/~$a.md", "x/.DS_Store", "__pycache__/a.md"):
        assert "version control" in str(selection.reason(junk))


def test_a_pattern_with_many_stars_is_quick() -> None:
    pattern = "**/" * 6 + "*a*a*a*/x"
    assert re.fullmatch(translate(pattern), "a/" * 30 + "aaaa/y") is None
