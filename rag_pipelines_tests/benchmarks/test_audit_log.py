"""The benchmark of the audit log writes and verifies what it says, when small."""

from __future__ import annotations

from pathlib import Path

from rag_pipelines.catalog import audit
from rag_pipelines.catalog.audit import AuditLog
from rag_pipelines.catalog.store import open_catalog
from rag_pipelines_tests.benchmarks.audit_log import run


def test_every_search_that_is_timed_is_in_the_log(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    walked, written = run([url], 50, 8, [1, 2])
    assert [(one.database, one.lines) for one in walked] == [("sqlite", 50)]
    assert [(one.mode, one.threads, one.searches) for one in written] == [
        ("strict", 1, 2),
        ("strict", 2, 8),
        ("fast", 1, 2),
        ("fast", 2, 8),
        ("strict beside a sync", 2, 2),
    ]
    catalog = open_catalog(url)
    assert audit.verify_log(catalog, AuditLog()).lines == 50 + (2 + 8) * 2 + 2 + 5
    catalog.close()
