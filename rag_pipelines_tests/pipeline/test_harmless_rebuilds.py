"""Twenty rebuilds and edits that change nothing for the worse, one after the other: no check may refuse one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from rag_pipelines.catalog import versions
from rag_pipelines.pipeline.publish import close_candidate
from rag_pipelines.pipeline.reindex import reindex
from rag_pipelines.pipeline.rollback import rollback, unpin
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.vacuum import vacuum
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.pipeline.staged import INDEX, Published, make_live, staged_checks
from rag_pipelines_tests.project import Project, scratch_folder

pytestmark = pytest.mark.slow


@dataclass
class Site:
    """A project of real pages in two sources, and how it is configured at the moment."""

    project: Project
    workspace: Workspace
    spare: dict[str, str]
    settings: dict[str, dict[str, Any]] = field(default_factory=lambda: {"docs": {}, "guides": {}, INDEX: {}})

    def configure(self, name: str, **values: Any) -> Site:
        """Change the YAML of a source or of the index; returns itself."""
        self.settings[name] |= values
        if name == INDEX:
            self.project.index(INDEX, publish="manual", **self.settings[INDEX])
        else:
            self.project.source(name, **self.settings[name])
        with self.project.workspace() as fresh:
            self.workspace.configuration = fresh.configuration
        return self

    def names(self, source: str = "docs") -> list[str]:
        """Pages, in the order of names."""
        folder = self.project.root / source
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.md"))

    def edit(
        self, count: int, change: Callable[[str], str] = lambda text: f"{text}\n\nReviewed today.\n"
    ) -> Site:
        """Change the text of so many pages; returns itself."""
        for name in self.names()[:count]:
            self.project.write(name, change((self.project.root / "docs" / name).read_text()))
        return self

    def move(self) -> None:
        """Ten pages move into a folder."""
        (self.project.root / "docs/moved").mkdir()
        for name in self.names()[20:30]:
            (self.project.root / "docs" / name).rename(self.project.root / "docs/moved" / name)

    def touch(self) -> None:
        """Every file gets another time, and three another end of line."""
        for name in self.names():
            os.utime(self.project.root / "docs" / name, (1_700_000_000, 1_700_000_000))
        for name in self.names()[34:37]:
            self.project.write(name, (self.project.root / "docs" / name).read_bytes() + b"\n\n")

    def copy(self) -> None:
        """Five pages are published a second time under another name, two of them with a new front matter."""
        for at, name in enumerate(self.names()[10:15]):
            text = (self.project.root / "docs" / name).read_text()
            self.project.write(f"next/{name}", f"---\nweight: {at}\n---\n{text}" if at < 2 else text)

    def backport(self) -> None:
        """Edits after which two pages say the same again."""
        for name in self.names()[10:13]:
            text = (self.project.root / "docs" / name).read_text()
            self.project.write(name, f"{text}\n\nValid from release nine on.\n")
            self.project.write(f"next/{name}", f"{text}\n\nValid from release nine on.\n")

    def new_source(self) -> None:
        """A third source with pages of its own."""
        self.settings["news"] = {}
        self.configure("news")
        for name, text in self.spare.items():
            self.project.write(name, text, "news")


REBUILDS: dict[str, Callable[[Site], Any]] = {
    "edits": lambda site: site.edit(8),
    "additions": lambda site: [site.project.write(f"new-{name}", text) for name, text in site.spare.items()],
    "deletions": lambda site: site.project.remove(*site.names()[-6:]),
    "a rewritten page": lambda site: site.edit(1, lambda _: site.spare[min(site.spare)][::-1]),
    "moved files": Site.move,
    "touched files": Site.touch,
    "smaller chunks": lambda site: site.configure("guides", chunking={"max_tokens": 120}),
    "larger chunks": lambda site: site.configure("guides", chunking={"max_tokens": 240}),
    "windows of sentences": lambda site: site.configure("guides", chunking={"strategy": "sentences"}),
    "windows of tokens": lambda site: site.configure(
        "guides", chunking={"strategy": "tokens", "overlap_tokens": 40}
    ),
    "parents": lambda site: site.configure(
        "guides", chunking={"strategy": "hierarchical", "max_tokens": 100}
    ),
    "context headers": lambda site: site.configure("guides", chunking={"context_header": True}),
    "another b of BM25": lambda site: site.configure(INDEX, sparse={"b": 0.75}),
    "a filter field more": lambda site: site.configure(INDEX, filter_fields=["product"]),
    "metadata of a source": lambda site: site.configure("docs", metadata={"product": "console"}),
    "no stemming": lambda site: site.configure(INDEX, sparse={"analyzer": "none"}),
    "copies of pages": Site.copy,
    "a backported edit": Site.backport,
    "copies left out": lambda site: site.configure("docs", dedup={"policy": "collapse"}),
    "other shards": lambda site: site.configure("docs", shards=5).edit(2),
    "fewer versions": lambda site: vacuum(site.configure(INDEX, retain_versions=1).edit(2).workspace, INDEX),
    "everything again": lambda site: reindex(site.edit(1).workspace, "docs", force=True),
    "a source more": Site.new_source,
    "back to the first settings": lambda site: site.configure(
        INDEX, sparse={"b": 0.4}, filter_fields=[]
    ).configure("docs", metadata={}, dedup={"policy": "mark"}),
}


@pytest.fixture
def site(published: Published) -> Iterator[Site]:
    """Published once."""
    with scratch_folder() as folder:
        project = published.project.copied(folder / "site")
        with project.workspace() as workspace:
            workspace._embedders = {INDEX: published.embedder}
            yield Site(project, workspace, published.spare)


def test_harmless_rebuilds_are_not_refused(site: Site) -> None:
    refused: dict[str, dict[str, str]] = {}
    judged = []
    for name, rebuild in REBUILDS.items():
        rebuild(site)
        sync(site.workspace, tuple(site.workspace.configuration.sources))
        if close_candidate(site.workspace, INDEX, "") is None:
            continue
        checks = staged_checks(site.project, site.workspace)
        judged.append(name)
        wrong = {check.name: check.reason for check in checks.values() if check.holds}
        if wrong:
            refused[name] = wrong
        make_live(site.workspace)
    assert refused == {}
    assert len(judged) >= 20, judged


def test_what_was_staged_before_a_rollback_is_judged_against_the_live_version(site: Site) -> None:
    site.edit(3)
    sync(site.workspace, ("docs", "guides"))
    make_live(site.workspace)
    rollback(site.workspace, INDEX, 1)
    unpin(site.workspace, INDEX)
    site.project.write("new.md", "# Doors\n\nThe doors of hall 9 open at seven.\n")
    sync(site.workspace, ("docs", "guides"))
    live = versions.pointer(site.workspace.catalog, INDEX)
    assert live is not None
    assert live.version == 1
    checks = staged_checks(site.project, site.workspace)
    assert checks["chunks_cover"].metadata["looked_at"] == 4  # the three of version 2, and the new one
    assert {name: check.reason for name, check in checks.items() if check.holds} == {}
