"""A project whose pages have something of everything: passages, a long document, refusals, broken promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from rag_pipelines.catalog.documents import update_source
from rag_pipelines_tests.project import Project

FILLER = "This paragraph says nothing of holidays and is there so that the document is longer than a window."
LEAVE = (
    "# Leave policy\n\n"
    + "\n\n".join(f"## Section {number}\n\n{FILLER}" for number in range(30))
    + "\n\n## Paid leave\n\nEveryone has thirty days of paid leave a year 🌴 & `<b>more</b>` with age.\n\n"
    "## End\n\nDone.\n"
)
BROKEN = b"%PDF-1.4 broken"


def pages_project(root: Path) -> Project:
    """Synced once."""
    made = Project(root)
    made.index("knowledge", filter_fields=["product", {"field": "year", "type": "integer"}])
    made.source("docs", owner="docs@acme.example", description="The handbook", freshness={"fail_after": "6h"})
    made.source("late", freshness={"warn_after": "1h", "fail_after": "6h"})
    made.source("board", acl=["group:board"])
    made.source("foreign", tenant="globex", acl=["*"])
    made.write("leave.md", LEAVE)
    made.write("travel.md", "# Travel\n\nLeave early and book trains before flights.\n")
    made.write("broken.pdf", BROKEN)
    made.write("note.md", "# Note\n\nLeave a note.\n", "late")
    made.write("plan.md", "# Plan\n\nLeave the secret plan alone.\n", "board")
    made.write("secret.pdf", BROKEN, "board")
    made.write("paper.md", "# Paper\n\nLeave the foreign paper alone.\n", "foreign")
    made.sync()
    two_hours_ago = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    with made.workspace() as workspace, workspace.catalog.begin() as tx:
        update_source(tx, "late", synced_at=two_hours_ago)
    return made
