"""Near-duplicates from the source to the answer: collapsed, marked, promoted, and never hidden from anyone."""

from __future__ import annotations

from typing import Any

import pytest

from rag_pipelines.catalog import duplicates as rows
from rag_pipelines.catalog.documents import document_row
from rag_pipelines.chunking import chunk_documents
from rag_pipelines.core.errors import ChunkError
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines_tests.project import Parts, Project

RULES = (
    "# Travel\n\nTravel costs are refunded within thirty days after the receipts have reached the accounting office. "
    "Tickets of the first class need the consent of the head of the department before they are bought. "
    "Hotels are booked through the agency named in the annex, and every night costs at most one hundred and forty "
    "euros unless a fair takes place in the city. Private cars may be used where no train arrives before nine.\n"
)
NEARLY = RULES.replace("thirty days", "forty days")
OTHER = "# Parking\n\nThe gate of the car park opens at six in the morning and closes at ten at night for all staff.\n"

STAFF = Principal("ana", "acme", ("staff",))
BOARD = Principal("bo", "acme", ("board",), Classification.CONFIDENTIAL)


@pytest.fixture
def copies(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> Project:
    """Two sources, `docs` the source of truth and `mirror` with a copy of it that is collapsed."""
    project = Project(tmp_path_factory.mktemp("copies"), parts=parts)
    settle(project)
    project.write("travel.md", RULES)
    project.write("parking.md", OTHER)
    project.write("copy.md", RULES, "mirror")
    return project


def settle(project: Project, **mirror: Any) -> None:
    """Write the sources' YAML."""
    project.source("docs", dedup={"policy": "collapse", "authority": 1})
    project.source("mirror", **{"dedup": {"policy": "collapse"}, **mirror})


def indexed(project: Project) -> set[str]:
    """The documents that the live version holds."""
    return {point["uri"] for point in project.visible().values()}


def standing(project: Project, uri: str, source: str = "docs") -> dict[str, Any]:
    """What the catalog knows of a document's duplicates."""
    with project.workspace() as workspace:
        doc_id = document_id(source, uri)
        cluster = rows.cluster_of(workspace.catalog, "knowledge", doc_id)
    by_id = {row["doc_id"]: row for row in cluster}
    own = by_id[doc_id]
    return {
        "representative": by_id[own["representative"]]["uri"],
        "similarity": own["similarity"],
        "cluster": sorted(row["uri"] for row in cluster),
    }


def test_a_copy_is_collapsed_into_the_source_of_truth(copies: Project) -> None:
    report = copies.sync()

    assert indexed(copies) == {"travel.md", "parking.md"}
    assert report["sources"]["mirror"]["duplicates"] == 1
    assert standing(copies, "copy.md", "mirror") == {
        "representative": "travel.md",
        "similarity": 1.0,
        "cluster": ["copy.md", "travel.md"],
    }


def test_marked_copies_stay_in_the_index(copies: Project) -> None:
    settle(copies, dedup={"policy": "mark"})
    report = copies.sync()

    assert indexed(copies) == {"travel.md", "parking.md", "copy.md"}
    assert report["sources"]["mirror"]["duplicates"] == 1


def test_a_source_that_is_off_takes_no_part(copies: Project) -> None:
    settle(copies, dedup={"policy": "off"})
    report = copies.sync()

    assert indexed(copies) == {"travel.md", "parking.md", "copy.md"}
    assert report["sources"]["mirror"]["duplicates"] == 0


def test_a_changed_policy_needs_no_vector_again(copies: Project) -> None:
    settle(copies, dedup={"policy": "mark"})
    copies.sync()
    settle(copies)
    copies.sync()
    assert indexed(copies) == {"travel.md", "parking.md"}
    settle(copies, dedup={"policy": "off"})
    report = copies.sync()

    assert indexed(copies) == {"travel.md", "parking.md", "copy.md"}
    assert sum(counts["embedded"] for counts in report["sources"].values()) == 0


def test_near_copies_collapse_from_the_threshold_on(copies: Project) -> None:
    copies.write("copy.md", NEARLY, "mirror")
    copies.sync()
    found = standing(copies, "copy.md", "mirror")
    assert 0.8 < found["similarity"] < 1
    assert "copy.md" not in indexed(copies)

    copies.index("knowledge", dedup={"threshold": 0.99})
    copies.sync()

    assert "copy.md" in indexed(copies)
    assert standing(copies, "copy.md", "mirror")["cluster"] == ["copy.md"]


@pytest.mark.parametrize("sync_of", [("docs",), ("docs", "mirror"), ("mirror", "docs")])
def test_deleting_the_representative_promotes_the_copy_of_the_other_source(
    copies: Project, sync_of: tuple[str, ...]
) -> None:
    copies.sync()
    copies.remove("travel.md")
    copies.sync(*sync_of)

    assert indexed(copies) == {"parking.md", "copy.md"}
    assert standing(copies, "copy.md", "mirror")["representative"] == "copy.md"


def test_editing_the_representative_away_promotes_the_copy(copies: Project) -> None:
    copies.sync()
    copies.write("travel.md", OTHER.replace("car park", "bicycle shed of the main building"))
    copies.sync("docs")

    assert indexed(copies) == {"parking.md", "travel.md", "copy.md"}


def test_a_copy_that_more_people_may_read_stays(copies: Project) -> None:
    settle(copies, acl=["group:staff", "group:board"])
    copies.sync()

    assert indexed(copies) == {"travel.md", "parking.md", "copy.md"}
    assert [p.citation.uri for p in copies.search("travel costs", principal=BOARD).passages] == ["copy.md"]


def test_a_right_taken_from_the_representative_gives_its_copy_back(copies: Project) -> None:
    copies.sync()
    copies.source("docs", acl=["group:board"], dedup={"policy": "collapse", "authority": 1})
    copies.sync("docs")

    assert indexed(copies) == {"travel.md", "parking.md", "copy.md"}
    assert [p.citation.uri for p in copies.search("travel costs", principal=STAFF).passages] == ["copy.md"]


@pytest.mark.parametrize("settings", [{"dedup": {"within": ["release"]}}, {"filter_fields": ["release"]}])
def test_documents_stay_apart_by_metadata(copies: Project, settings: dict[str, Any]) -> None:
    for release in ("3.4", "3.5"):
        copies.write(f"v{release}/travel.md", RULES)
        copies.write(f"v{release}/z.md", RULES)
    docs = {"policy": "collapse", "authority": 1}
    copies.source("docs", dedup=docs, uri_metadata=r"^v(?P<release>[^/]+)/")
    copies.index("knowledge", **settings)
    copies.sync()

    kept = indexed(copies) - {"parking.md", "travel.md", "copy.md"}
    assert sorted(uri.split("/")[0] for uri in kept) == ["v3.4", "v3.5"]
    answer = copies.search("travel costs", k=9).passages
    places = [uri for p in answer for uri in (p.citation.uri, *(place.uri for place in p.locations))]
    found = sorted(uri for uri in places if uri.startswith("v"))
    assert found == ["v3.4/travel.md", "v3.4/z.md", "v3.5/travel.md", "v3.5/z.md"]


def test_a_document_that_cannot_be_cut_stands_for_nobody(
    copies: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(documents: Any, *rest: Any) -> Any:
        documents = list(documents)
        if any(doc_id == document_id("docs", "travel.md") for doc_id, _ in documents):
            raise ChunkError("too twisted")
        return chunk_documents(documents, *rest)

    monkeypatch.setattr("rag_pipelines.pipeline.chunk.chunk_documents", refusing)
    copies.sync()
    assert indexed(copies) == {"parking.md", "copy.md"}


def test_an_unpublished_promotion_is_completed_by_publish(copies: Project) -> None:
    copies.index("knowledge", publish="manual")
    copies.sync()
    with copies.workspace() as workspace:
        publish(workspace, "knowledge")
    copies.remove("travel.md")
    copies.sync("docs")
    with copies.workspace() as workspace:
        publish(workspace, "knowledge")

    assert indexed(copies) == {"parking.md", "copy.md"}


def test_a_lost_text_stops_no_sync_and_is_compared_again(
    copies: Project, caplog: pytest.LogCaptureFixture
) -> None:
    copies.sync()
    with copies.workspace() as workspace:
        found = document_row(workspace.catalog, document_id("docs", "travel.md"))
        assert found is not None
        workspace.blobs.delete(found["parsed_hash"])
    copies.write("nearly.md", RULES.replace("before nine", "before ten"), "mirror")
    copies.sync()
    assert standing(copies, "nearly.md", "mirror")["representative"] == "travel.md"

    copies.index("knowledge", dedup={"threshold": 0.79})
    copies.sync()
    assert "1 parsed texts are not in the blob store" in caplog.text
    assert indexed(copies) == {"travel.md", "parking.md", "nearly.md"}, "nothing needs the lost text"
    with copies.workspace() as workspace:
        reconcile(workspace, "knowledge")
    copies.sync()
    assert standing(copies, "nearly.md", "mirror")["representative"] == "travel.md"


def test_empty_documents_are_no_duplicates(copies: Project) -> None:
    copies.write("blank.md", " \n")
    copies.write("blank.md", "\n", "mirror")
    report = copies.sync()
    assert report["sources"]["mirror"]["duplicates"] == 1
