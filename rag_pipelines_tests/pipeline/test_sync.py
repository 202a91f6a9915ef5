"""The main job: what a sync does, and what the next one does not do again."""

from __future__ import annotations

import pytest

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog import reports, versions
from rag_pipelines.core.errors import NotPublished, SourceError
from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP
from rag_pipelines_tests.project import STAFF, Project


def test_first_sync_publishes_version_one_and_finds_the_answer(project: Project) -> None:
    report = project.sync()

    assert report["version"] == 1
    assert report["published"] is True
    counts = report["sources"]["docs"]
    assert (counts["listed"], counts["added"], counts["unchanged"]) == (3, 3, 0)
    assert counts["chunks_added"] == counts["embedded"] == len(project.visible())
    assert project.uris("how many holidays may I take over into next year")[0] == "leave.md"
    assert project.uris("ERR_4217")[0] == "pump.md"


def test_second_sync_recomputes_nothing_and_makes_no_version(project: Project) -> None:
    project.sync()
    before = project.visible()

    counts = project.sync()["sources"]["docs"]

    assert counts["unchanged"] == 3
    assert sum(counts[name] for name in ("added", "changed", "chunks_added", "embedded", "deleted")) == 0
    assert project.live() == 1
    assert project.visible() == before


def test_edit_embeds_only_the_new_text_and_old_version_keeps_the_old(project: Project) -> None:
    project.sync()
    project.write("leave.md", LEAVE.replace("Seven days", "Nine days"))

    report = project.sync()

    counts = report["sources"]["docs"]
    assert (report["version"], counts["changed"], counts["unchanged"]) == (2, 1, 2)
    assert counts["embedded"] == counts["chunks_added"] == counts["chunks_removed"]
    assert "Nine days" in project.search("carry over leave", k=1).passages[0].text
    assert "Seven days" in project.search("carry over leave", k=1, version=1).passages[0].text


def test_touched_file_with_equal_bytes_goes_no_further(project: Project) -> None:
    project.sync()
    path = project.write("leave.md", LEAVE)
    path.touch()

    counts = project.sync()["sources"]["docs"]

    assert counts["embedded"] == counts["chunks_added"] == 0
    assert project.live() == 1


def test_deleted_file_leaves_the_next_version_and_stays_in_the_old(project: Project) -> None:
    project.sync()
    (project.root / "docs/pump.md").unlink()

    report = project.sync()

    assert report["sources"]["docs"]["deleted"] == 1
    assert "pump.md" not in project.uris("ERR_4217")
    assert project.uris("ERR_4217", version=1)[0] == "pump.md"
    assert {payload["uri"] for payload in project.visible(2).values()} == {"leave.md", "travel.md"}


def test_rename_embeds_nothing(project: Project) -> None:
    project.sync()
    (project.root / "docs/pump.md").rename(project.root / "docs/pump-p880.md")

    counts = project.sync()["sources"]["docs"]

    assert (counts["moved"], counts["added"], counts["deleted"], counts["embedded"]) == (1, 0, 0, 0)
    assert project.uris("ERR_4217")[0] == "pump-p880.md"


def test_two_files_with_equal_bytes_are_two_documents(project: Project) -> None:
    project.write("copy.md", PUMP)
    project.sync()
    (passage,) = project.search("ERR_4217", k=1).passages
    assert {passage.citation.uri, *(place.uri for place in passage.locations)} == {"pump.md", "copy.md"}

    (project.root / "docs/copy.md").unlink()
    project.sync()

    assert "pump.md" in project.uris("ERR_4217")
    assert "copy.md" not in project.uris("ERR_4217")


def test_broken_file_is_quarantined_while_the_rest_goes_through(project: Project) -> None:
    project.write("broken.md", b"\x00\x01\x02\x03" * 500)

    counts = project.sync()["sources"]["docs"]

    assert counts["listed"] == 4
    assert counts["quarantined"] == 1
    with project.workspace() as workspace:
        (item,) = reports.quarantined(workspace.catalog)
        assert (item["uri"], item["stage"]) == ("broken.md", "parse")
        indexed = reports.index_totals(workspace.catalog, "knowledge")["documents"]
        assert counts["listed"] == indexed + counts["quarantined"] + counts["excluded"]

    project.write("broken.md", "# Mended\n\nNow it is text about sprockets.\n")
    assert project.sync()["sources"]["docs"]["quarantined"] == 0
    assert project.uris("sprockets")[0] == "broken.md"


def test_document_that_breaks_keeps_its_last_good_text(project: Project) -> None:
    project.sync()
    project.write("leave.md", b"\x00\x01\x02\x03" * 500)

    assert project.sync()["sources"]["docs"]["quarantined"] == 1
    assert project.uris("carry over leave")[0] == "leave.md"

    project.write("leave.md", LEAVE)
    assert project.sync()["sources"]["docs"]["quarantined"] == 0


def test_changed_rights_apply_at_once_to_every_version_without_a_new_one(project: Project) -> None:
    project.sync()
    project.write("travel.md", "# Travel\n\nNew rules: book trains only.\n")
    project.sync()
    assert project.uris("leave days", principal=STAFF)

    project.source("docs", acl=["group:board"])
    report = project.sync()

    assert report["sources"]["docs"]["access_changed"] == 3
    assert report["sources"]["docs"]["embedded"] == 0
    assert project.live() == 2
    assert project.uris("leave days", principal=STAFF) == []
    assert project.uris("leave days", principal=STAFF, version=1) == []
    assert project.uris("leave days")


def test_listing_that_fails_deletes_nothing_and_is_remembered(project: Project) -> None:
    project.sync()
    (project.root / "docs").rename(project.root / "elsewhere")

    with pytest.raises(SourceError):
        project.sync()

    with project.workspace() as workspace:
        row = document_rows.source_row(workspace.catalog, "docs")
        assert row is not None
        assert row["error"]
    assert len(project.uris("leave", k=3)) == 3
    (project.root / "elsewhere").rename(project.root / "docs")
    assert project.sync()["sources"]["docs"]["unchanged"] == 3


def test_chunk_size_of_one_source_redoes_that_source_only(project: Project) -> None:
    project.source("more")
    project.write("long.md", "# Long\n\n" + " ".join(f"Sentence {n} about gears." for n in range(60)), "more")
    project.sync()

    project.source("more", chunking={"max_tokens": 64})
    report = project.sync()

    assert report["sources"]["docs"]["chunks_added"] == 0
    assert report["sources"]["more"]["chunks_added"] > 2
    assert report["version"] == 2


def test_another_vector_space_gets_a_new_collection_and_old_versions_stay_readable(project: Project) -> None:
    project.source("more")
    project.write("gears.md", "# Gears\n\nThe gear ratio is 3.2.\n", "more")
    project.sync()
    before = set(project.visible())
    project.index("knowledge", sparse={"analyzer": "none"})

    report = project.sync("docs")

    assert report["version"] == 2
    assert report["sources"]["docs"]["embedded"] == 0
    assert set(project.visible()) == before
    assert set(project.visible(1)) == before
    with project.workspace() as workspace:
        collections = {row["collection"] for row in versions.versions_of(workspace.catalog, "knowledge")}
        assert len(collections) == 2


def test_manual_publish_holds_the_version_back(project: Project) -> None:
    from rag_pipelines.pipeline.publish import publish

    project.index("knowledge", publish="manual")
    report = project.sync()
    assert (report["version"], report["published"]) == (1, False)
    with pytest.raises(NotPublished, match="rag-pipelines publish"):
        project.search("leave")

    with project.workspace() as workspace:
        assert publish(workspace, "knowledge").moved
        assert not publish(workspace, "knowledge").moved
    assert project.uris("leave days")


def test_every_citation_slices_the_stored_text_in_every_version(project: Project) -> None:
    project.sync()
    project.write("leave.md", "# Leave\n\nA new first paragraph moves every offset.\n\n" + LEAVE)
    project.sync()

    for version in (1, 2):
        for passage in project.search("days of leave and trains", k=10, version=version).passages:
            with project.workspace() as workspace:
                cited = passage.citation
                stored = point_rows.parsed_at(workspace.catalog, cited.doc_id, "knowledge", version)
                assert stored == cited.parsed_hash
                text = workspace.blobs.get_parsed(cited.parsed_hash).text
            assert text[cited.start : cited.end] == passage.text
            assert cited.doc_id == document_id("docs", cited.uri)


def test_nothing_published_says_what_to_do(project: Project) -> None:
    with pytest.raises(NotPublished, match="rag-pipelines sync"):
        project.search("leave")


def test_empty_source_publishes_nothing(project: Project) -> None:
    for name in ("leave.md", "travel.md", "pump.md"):
        (project.root / "docs" / name).unlink()
    report = project.sync()
    assert report["version"] is None
    assert report["sources"]["docs"]["listed"] == 0


def test_another_number_of_shards_leaves_no_document_behind(project: Project) -> None:
    project.sync()
    project.source("docs", shards=1)
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    project.write("pump.md", PUMP.replace("blocked", "stuck"))

    counts = project.sync()["sources"]["docs"]

    assert counts["changed"] == 2
    texts = " ".join(payload["text"] for payload in project.visible().values())
    assert "Nine days" in texts
    assert "stuck" in texts
    project.source("docs", shards=7)
    project.write("pump.md", PUMP)
    assert project.sync()["sources"]["docs"]["changed"] == 1
    assert "blocked" in project.search("ERR_4217", k=1).passages[0].text
