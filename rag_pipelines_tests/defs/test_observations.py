"""Data versions of shards, and what reacts to them: changed shards once, and nothing else."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from rag_pipelines.core.ids import document_id, shard_of
from rag_pipelines.defs import assets
from rag_pipelines.pipeline.parse import parse
from rag_pipelines_tests.defs.conftest import (
    Automation,
    Failing,
    definitions,
    execute,
    materialize,
    updates,
)
from rag_pipelines_tests.project import Project

PAGES = {"docs/01": "new.md", "docs/02": "board.md", "docs/03": "leave.md", "docs/05": "gym.md"}
FOLLOWING = [
    "parsed_documents", "knowledge/duplicates", "knowledge/chunks", "knowledge/embeddings", "knowledge/staged",
]  # fmt: skip


@pytest.fixture
def wide(tmp_path: Path, instance: dg.DagsterInstance) -> Project:
    """Source `docs` of six shards with a page in four of them, beside `board`, both synced once."""
    made = Project(tmp_path)
    made.source("docs", shards=6)
    made.source("board", shards=2)
    for partition, page in PAGES.items():
        assert shard_of(document_id("docs", page), 6) == int(partition[-2:])
        made.write(page, f"# {page}\n\nThe page {page}.\n")
    made.write("paper.md", "# Paper\n\nA paper of the board.\n", "board")
    assert execute(made, "sync_all", instance).success
    return made


def unsynced(project: Project, instance: dg.DagsterInstance, name: str) -> list[str]:
    """The partitions that the UI marks as not in step with what they stand on."""
    graph = definitions(project).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    key = dg.AssetKey(name.split("/"))
    partitions = graph.get(key).partitions_def
    assert partitions is not None
    return [one for one in partitions.get_partition_keys() if resolver.get_status(key, one).name != "FRESH"]


def test_data_version_of_a_shard_changes_with_its_documents_only(
    wide: Project, instance: dg.DagsterInstance
) -> None:
    before = updates(instance, "documents")
    assert sorted(str(partition) for partition, _ in before) == [
        "board/00", "board/01", "docs/00", "docs/01", "docs/02", "docs/03", "docs/04", "docs/05",
    ]  # fmt: skip
    assert all(version for _, version in before)

    assert execute(wide, "sync_docs", instance).success
    assert updates(instance, "documents") == before

    wide.write(PAGES["docs/01"], "# New\n\nChanged.\n")
    (wide.root / "docs" / PAGES["docs/05"]).unlink()
    assert execute(wide, "sync_docs", instance).success
    changed = updates(instance, "documents")[len(before) :]
    assert sorted(str(partition) for partition, _ in changed) == ["docs/01", "docs/05"]
    assert not set(changed) & set(before)

    wide.write(PAGES["docs/02"], "# Board\n\nChanged in a run that Dagster heard nothing of.\n")
    wide.sync("docs")
    assert materialize(wide, instance, "sources/docs").success
    assert [partition for partition, _ in updates(instance, "documents")[len(before) + 2 :]] == ["docs/02"]


def test_automation_takes_up_changed_shards_and_publishes_them(
    wide: Project, instance: dg.DagsterInstance
) -> None:
    automation = Automation(wide, instance)
    assert automation.tick() == {}
    wide.write(PAGES["docs/01"], "# New\n\nPenguins live in the south.\n")
    wide.write(PAGES["docs/05"], "# Gym\n\nWalruses live in the north.\n")

    assert materialize(wide, instance, "sources/docs").success
    assert unsynced(wide, instance, "parsed_documents") == ["docs/01", "docs/05"]
    asked = automation.tick()
    assert asked == {name: ["docs/01", "docs/05"] for name in FOLLOWING}

    automation.run(asked)
    assert unsynced(wide, instance, "parsed_documents") == []
    asked = automation.tick()
    assert asked == {"knowledge/published": [""]}
    automation.run(asked)
    assert automation.tick() == {}
    assert wide.uris("penguins walruses", k=2) in (["new.md", "gym.md"], ["gym.md", "new.md"])


def test_automation_has_nothing_to_do_after_a_sync(wide: Project, instance: dg.DagsterInstance) -> None:
    automation = Automation(wide, instance)
    automation.tick()
    for job in ("sync_docs", "sync_all"):
        wide.write(PAGES["docs/03"], f"# Leave\n\nFiled with {job}.\n")
        wide.write("second.md", f"# Second\n\nA second paper with {job}.\n", "board")

        assert execute(wide, job, instance).success

        assert automation.tick() == {}
        assert unsynced(wide, instance, "parsed_documents") == []
        assert unsynced(wide, instance, "knowledge/staged") == []


def test_automation_takes_up_what_a_failed_sync_left(
    wide: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    automation = Automation(wide, instance)
    automation.tick()
    wide.write(PAGES["docs/03"], "# Leave\n\nThirty-one days.\n")
    monkeypatch.setattr(assets, "parse", Failing(parse, 1, transient=False))

    assert not execute(wide, "sync_docs", instance).success

    assert automation.tick() == {name: ["docs/03"] for name in FOLLOWING}
    assert automation.tick() == {}


def test_some_shards_of_a_source_make_no_half_version(wide: Project, instance: dg.DagsterInstance) -> None:
    """A page moves from one shard to another, and only the shard that it left is staged by itself."""
    text = "# Kitchen\n\nThe kitchen is on the second floor.\n"
    wide.write(PAGES["docs/01"], text)
    assert execute(wide, "sync_docs", instance).success
    (wide.root / "docs" / PAGES["docs/01"]).rename(wide.root / "docs/desk.md")  # shard 4
    assert materialize(wide, instance, "sources/docs").success
    assert materialize(wide, instance, "parsed_documents", partition="docs/01").success
    assert materialize(wide, instance, "parsed_documents", partition="docs/04").success

    assert materialize(wide, instance, *FOLLOWING[1:], partition="docs/01").success
    assert materialize(wide, instance, "knowledge/published").success

    assert wide.uris("kitchen", k=1) == ["desk.md"]
