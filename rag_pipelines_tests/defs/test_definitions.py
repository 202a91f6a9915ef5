"""What Dagster shows and launches: assets, partitions, jobs, schedules, sensors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.defs.partitions import RANGE_END, RANGE_START, shards_by_source
from rag_pipelines_tests.defs.conftest import definitions
from rag_pipelines_tests.project import Project

ROOT = Path(__file__).resolve().parents[2]
INDEX = ["duplicates", "chunks", "embeddings", "staged", "published"]


def test_definitions_load_with_every_asset_described_owned_and_grouped(project: Project) -> None:
    defs = definitions(project)
    dg.Definitions.validate_loadable(defs)
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}

    assert set(specs) == {
        "sources/docs", "sources/board", "documents", "parsed_documents",
        *(f"knowledge/{step}" for step in (*INDEX, "vacuumed", "reconciled")),
    }  # fmt: skip
    assert all(spec.description and spec.kinds for spec in specs.values())
    assert {name: spec.group_name for name, spec in specs.items() if name.startswith("knowledge")} == {
        **{f"knowledge/{step}": "index_knowledge" for step in INDEX},
        "knowledge/vacuumed": "maintenance",
        "knowledge/reconciled": "maintenance",
    }
    docs, board = specs["sources/docs"], specs["sources/board"]
    assert (docs.group_name, docs.description, docs.kinds) == ("sources", "The handbook", {"filesystem"})
    assert (list(docs.owners), list(board.owners)) == (["docs@acme.example"], ["team:Board Office@intranet"])
    assert docs.freshness_policy is not None
    assert board.freshness_policy is None
    assert specs["knowledge/published"].kinds == {"qdrant"}
    sources = {"sources/board", "sources/docs"}
    assert {dep.asset_key.to_user_string() for dep in specs["documents"].deps} == sources
    assert {dep.asset_key.to_user_string() for dep in specs["parsed_documents"].deps} == {
        "documents", *sources,
    }  # fmt: skip


def test_partitions_are_the_shards_in_source_order(project: Project) -> None:
    keys = ["board/00", "board/01", "board/02", "docs/00", "docs/01"]

    graph = definitions(project).resolve_asset_graph()

    for name in (["documents"], ["parsed_documents"], ["knowledge", "chunks"], ["knowledge", "staged"]):
        partitions = graph.get(dg.AssetKey(name)).partitions_def
        assert partitions is not None
        assert list(partitions.get_partition_keys()) == keys
    assert graph.get(dg.AssetKey(["sources", "docs"])).partitions_def is None
    assert shards_by_source(keys) == {"board": [0, 1, 2], "docs": [0, 1]}
    with pytest.raises(dg.Failure, match="no partition"):
        shards_by_source([])


def test_a_job_per_source_and_one_for_all_each_over_its_range(project: Project) -> None:
    defs = definitions(project)

    for job, first, last in (
        ("sync_docs", "docs/00", "docs/01"),
        ("sync_board", "board/00", "board/02"),
        ("sync_all", "board/00", "docs/01"),
    ):
        tags = defs.resolve_job_def(job).tags
        assert (tags[RANGE_START], tags[RANGE_END], tags["rag/sync"]) == (first, last, "catalog")
    selected = {node.name for node in defs.resolve_job_def("sync_docs").nodes}
    assert "sources__docs" in selected
    assert "sources__board" not in selected


def test_index_over_some_sources_runs_in_their_jobs_only(project: Project) -> None:
    project.index("papers", sources=["board"])
    defs = definitions(project)

    jobs = {
        job: {node.name for node in defs.resolve_job_def(job).nodes} for job in ("sync_docs", "sync_board")
    }
    assert "papers__staged" in jobs["sync_board"]
    assert "papers__staged" not in jobs["sync_docs"]
    assert "knowledge__staged" in jobs["sync_docs"]


def test_schedule_of_the_yaml_is_on_and_one_that_means_nothing_is_an_error(project: Project) -> None:
    found = [item for item in definitions(project).schedules or [] if isinstance(item, dg.ScheduleDefinition)]
    assert [(item.name, item.job_name, item.cron_schedule) for item in found] == [
        ("docs_schedule", "sync_docs", "*/15 * * * *"),
        ("vacuum_schedule", "vacuum", "0 3 * * *"),
        ("reconcile_schedule", "reconcile", "30 3 * * *"),
    ]
    assert {item.default_status for item in found} == {dg.DefaultScheduleStatus.RUNNING}

    project.source("docs", schedule="99 * * * *")
    with pytest.raises(ConfigError, match=r"'docs'.*'99 \* \* \* \*'"):
        definitions(project)


def test_no_source_yet_is_no_error(project: Project) -> None:
    for path in (project.root / "configs/sources").iterdir():
        path.unlink()
    assert list(definitions(project).resolve_all_asset_specs()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        ["-m", "dagster_dg_cli.cli", "check", "defs"],
    ],
    ids=["workspace", "dg"],
)
def test_code_location_of_the_repository_is_valid(command: list[str], tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    env |= {
        "RAG_HOME": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path),
        "DG_CLI_CONFIG": str(tmp_path / "dg.toml"),
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
