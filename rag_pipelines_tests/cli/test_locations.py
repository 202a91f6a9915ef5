"""The terminal says where else a passage stands."""

from __future__ import annotations

from rag_pipelines_tests.cli.conftest import PAGES, Commands

LONG = "\n".join(
    f"Rule {n} of the workshop: put tool {n} back onto shelf {n * n} in the evening." for n in range(6)
)


def test_search_says_where_else_a_passage_stands(fresh: Commands) -> None:
    project = fresh.project
    project.source("docs", dedup={"policy": "collapse", "authority": 1})
    project.source("mirror", dedup={"policy": "collapse"})
    project.write("copy.md", PAGES["leave.md"], "mirror")
    project.write("rules.md", LONG)
    project.write("rules.md", LONG.replace("Rule 5", "Law 5"), "mirror")
    project.sync()

    lines = fresh.run("search", "paid leave", "-k", "1").stdout.splitlines()
    assert "   also in: mirror/copy.md" in lines
    (passage,) = fresh.json("search", "paid leave", "-k", "1")["passages"]
    assert [place["uri"] for place in passage["locations"]] == ["copy.md"]
    (line,) = [
        line
        for line in fresh.run("search", "tools onto the shelf", "-k", "1").stdout.splitlines()
        if "also" in line
    ]
    assert line.startswith("   also in: mirror/rules.md (")
    assert line.endswith("% alike)")
    nowhere = fresh.run("search", "inlet valve", "-k", "1").stdout
    assert "also in" not in nowhere
