"""Answers over HTTP say where else a passage stands, as far as the configured principal may read it."""

from __future__ import annotations

from pathlib import Path

from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import SETTINGS, running

RULES = (
    "Travel costs are refunded within thirty days after the receipts have reached the accounting office. "
    "Tickets of the first class need the consent of the head of the department before they are bought.\n"
)


def test_an_answer_lists_readable_copies(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.configure("service", SETTINGS)
    project.source("docs", dedup={"policy": "collapse", "authority": 1})
    project.source("mirror", dedup={"policy": "collapse"})
    project.source("board", acl=["group:board"])
    for source in ("docs", "mirror", "board"):
        project.write("travel.md", f"# Travel\n\n{RULES}", source)
    project.sync()

    with running(project) as client:
        path = "/v1/indexes/knowledge/search"
        (passage,) = client.post(path, json={"query": "travel", "filters": {"source": "docs"}}).json()[
            "passages"
        ]
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
    places = {place["source"]: place for place in passage["locations"]}
    assert passage["source"] == "docs"
    assert set(places) == {"mirror"}
    mirror = places["mirror"]
    assert mirror == {
        "source": "mirror",
        "uri": "travel.md",
        "title": "Travel",
        "link": mirror["link"],
        "doc_id": mirror["doc_id"],
        "start": None,
        "end": None,
        "similarity": 1.0,
    }
    assert set(schemas["LocationBody"]["required"]) == set(mirror)
