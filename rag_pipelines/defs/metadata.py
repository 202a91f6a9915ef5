"""What the UI shows on a materialisation: counts, samples and durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from rag_pipelines.catalog import reports
from rag_pipelines.catalog.store import Row
from rag_pipelines.pipeline.workspace import Workspace


def count_metadata(counts: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """Every count by its name, and the duration."""
    return {**{name: int(value) for name, value in counts.items()}, "seconds": round(seconds, 3)}


def show_shards(context: dg.AssetExecutionContext, rows: Mapping[tuple[str, int], int]) -> None:
    """Give each partition of the run its own row count; everything else describes the run."""
    for key in context.partition_keys:
        source, _, shard = key.rpartition("/")
        context.add_asset_metadata(
            {"dagster/row_count": rows.get((source, int(shard)), 0)}, partition_key=key
        )


def table(rows: Sequence[Row], columns: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table; an empty one says so."""
    if not rows:
        return dg.MetadataValue.md("_none_")
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = (str(row.get(column) if row.get(column) is not None else "") for column in columns)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return dg.MetadataValue.md("\n".join(lines))


def source_metadata(workspace: Workspace, source: str) -> dict[str, Any]:
    """The source as it stands: totals, exclusions and quarantine with their reasons."""
    totals = reports.source_totals(workspace.catalog, source)
    return {
        "dagster/row_count": totals["documents"],
        "total_bytes": totals["bytes"],
        "exclusions": table(reports.excluded(workspace.catalog, source)[:20], ("uri", "reason")),
    }


def parsed_metadata(workspace: Workspace, sources: Sequence[str]) -> dict[str, Any]:
    """Parsed documents of the sources: media types, samples, and what was refused and why."""
    found: dict[str, Any] = {}
    refused: list[Row] = []
    types: dict[str, int] = {}
    samples: list[Row] = []
    documents = 0
    for source in sources:
        totals = reports.source_totals(workspace.catalog, source)
        documents += totals["parsed"]
        for name, count in totals["media_types"].items():
            types[name] = types.get(name, 0) + count
        refused += reports.quarantined(workspace.catalog, source)
        samples += reports.sample_documents(workspace.catalog, source)
    found["documents"] = documents
    found["quarantined"] = len(refused)
    found["media_types"] = table(
        [{"media type": name, "documents": count} for name, count in sorted(types.items())],
        ("media type", "documents"),
    )
    found["quarantine"] = table(refused[:20], ("source", "uri", "stage", "reason"))
    found["samples"] = table(samples[:10], ("uri", "title", "media_type", "language", "revised_at"))
    return found


def version_metadata(rows: Sequence[Row]) -> dict[str, Any]:
    """The newest versions of an index."""
    shown = [
        {
            "version": row["number"],
            "status": row["status"],
            "documents": row["stats"].get("documents", ""),
            "chunks": row["stats"].get("chunks", ""),
            "created": row["created_at"],
            "published": row["published_at"] or "",
        }
        for row in rows[:10]
    ]
    return {"versions": table(shown, ("version", "status", "documents", "chunks", "created", "published"))}
