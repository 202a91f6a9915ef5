"""Documents that are changed at random and compared with one another, beside one comparison of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import duplicates, marks
from rag_pipelines.catalog.dedup_tables import members
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import reading, rows_of
from rag_pipelines.catalog.tables import documents
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import Configuration, load_configuration
from rag_pipelines.core.types import Access, ParsedDocument, Principal
from rag_pipelines.dedup import jaccard, shingle
from rag_pipelines.governance.access import may_read
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.catalog.rows import listed, parsed
from rag_pipelines_tests.project import Project

INDEX = "knowledge"
SOURCES = ("docs", "mirror")
SHARDS = 2
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A document as it is in its source."""

    text: str
    rights: Access
    revised_at: str | None = None
    release: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the YAML says."""

    policies: tuple[str, str] = ("collapse", "collapse")
    authorities: tuple[int, int] = (0, 0)
    threshold: float = 0.6
    within: tuple[str, ...] = ()


class Corpus:
    """Pages of two sources in a catalog; `indexed` is what later stages would hold, given what was touched."""

    def __init__(self, root: Path, database_url: str) -> None:
        """Empty; `database_url` may name a new database."""
        self.project = Project(root, variables={"RAG_DATABASE_URL": database_url})
        self.pages: dict[Key, Page] = {}
        self.indexed: set[str] = set()
        self._seen: dict[str, int] = {}
        self.settings = Settings()
        self.workspace = Workspace(read_environment(self.project.environ), self._configuration())
        with self.workspace.catalog.begin() as tx:
            for source in SOURCES:
                register_source(tx, source, SHARDS)

    def close(self) -> None:
        """Close the database."""
        self.workspace.close()

    def configure(self, settings: Settings) -> None:
        """Edit the YAML."""
        self.settings = settings
        self.workspace.configuration = self._configuration()

    def _configuration(self) -> Configuration:
        own = self.settings
        for source, policy, authority in zip(SOURCES, own.policies, own.authorities, strict=True):
            self.project.source(source, shards=SHARDS, dedup={"policy": policy, "authority": authority})
        dedup = {"ngram": 2, "permutations": 64, "bands": 32, "rows": 2, "threshold": own.threshold}
        self.project.index(INDEX, dedup={**dedup, "within": list(own.within)})
        return load_configuration(self.project.root / "configs")

    def put(self, key: Key, page: Page) -> None:
        """A document came or changed."""
        self.pages[key] = page
        name = self.workspace.blobs.put_parsed(ParsedDocument(page.text, (), "text/plain", "plain"))
        row = listed(
            key[1],
            source=key[0],
            shard=int(key[1][0], 16) % SHARDS,
            tenant=page.rights.tenant,
            classification=page.rights.classification.value,
            acl=list(page.rights.acl),
            metadata={"release": page.release},
        )
        made = {**parsed(row), "parsed_hash": name, "revised_at": page.revised_at}
        with self.workspace.catalog.begin() as tx:
            document_rows.save_listed(tx, [{**row, "touched": marks.next_tick(tx, key[0])}])
            document_rows.save_parsed(tx, [made])

    def take(self, key: Key) -> None:
        """A document is gone."""
        page = self.pages.pop(key)
        row = listed(key[1], source=key[0], tenant=page.rights.tenant)
        with self.workspace.catalog.begin() as tx:
            document_rows.mark_gone(tx, [row["doc_id"]], marks.next_tick(tx, key[0]))

    def compare(self, source: str, shards: Sequence[int] = range(SHARDS)) -> None:
        """One pass, and what the stages after it would make of the documents that were touched."""
        deduplicate(self.workspace, INDEX, source, shards, "run")
        for name in SOURCES:
            self._follow(name)

    def compare_all(self) -> None:
        """As a sync of every source does."""
        for source in SOURCES:
            self.compare(source)

    def _follow(self, source: str) -> None:
        table = documents
        with reading(self.workspace.catalog.engine) as tx:
            later = table.c.touched > self._seen.get(source, 0)
            rows = rows_of(tx.execute(sa.select(table).where(table.c.source == source, later)))
            collapsed = duplicates.collapsed_texts(tx, INDEX, [row["doc_id"] for row in rows])
            self._seen[source] = marks.current_tick(tx, source)
        for row in rows:
            self.indexed.discard(row["doc_id"])
            if row["live"] and row["doc_id"] not in collapsed:
                self.indexed.add(row["doc_id"])

    def members(self) -> list[dict[str, Any]]:
        """Clusters and representatives as the catalog has them."""
        with reading(self.workspace.catalog.engine) as tx:
            rows = rows_of(tx.execute(sa.select(members).order_by(members.c.doc_id)))
        return [dict(row) for row in rows]

    def check(self, fresh: Corpus, principals: Sequence[Principal]) -> None:
        """After everything was compared: as one comparison of all finds it, and hidden from nobody.

        `fresh` is an empty corpus.
        """
        fresh.configure(self.settings)
        for key, page in sorted(self.pages.items()):
            fresh.put(key, page)
        fresh.compare_all()
        assert self.members() == fresh.members()
        assert self.indexed == fresh.indexed
        for principal in principals:
            self._hides_nothing(principal)

    def _hides_nothing(self, principal: Principal) -> None:
        may = {key: page for key, page in self.pages.items() if may_read(principal, page.rights)}
        shown = [
            shingle(page.text, 2)
            for (source, uri), page in may.items()
            if listed(uri, source=source)["doc_id"] in self.indexed
        ]
        for page in may.values():
            own = shingle(page.text, 2)
            assert not own.size or any(jaccard(own, other) >= self.settings.threshold for other in shown)
