"""What the UI shows on a materialisation: counts, samples and durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from rag_pipelines.catalog import duplicate_reports, reports, versions
from rag_pipelines.catalog.duplicates import count_duplicates
from rag_pipelines.catalog.injections import by_reason, suspects
from rag_pipelines.catalog.latencies import latency_summary
from rag_pipelines.catalog.marks import shard_versions
from rag_pipelines.catalog.observations import live_by_shard
from rag_pipelines.catalog.planning import standing_collection
from rag_pipelines.catalog.store import Catalog, Row, reading
from rag_pipelines.core.ids import partition_key
from rag_pipelines.pipeline.workspace import Workspace

SHOWN = 200
"""Rows of a table kept with one event; the whole list is what the command shows."""


LARGEST, SAMPLES = 20, 10
"""Clusters and pairs of duplicates that one event shows."""


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
    """The source as it stands: totals, exclusions with their reasons, shards, and how fast changes arrive."""
    catalog = workspace.catalog
    totals = reports.source_totals(catalog, source)
    live = live_by_shard(catalog, source)
    shards = [
        {"partition": partition_key(source, shard), "documents": live.get(shard, 0), "data version": version}
        for shard, version in sorted(shard_versions(catalog, source).items())
    ]
    return {
        "dagster/row_count": totals["documents"],
        "total_bytes": totals["bytes"],
        "exclusions": table(reports.excluded(catalog, source)[:20], ("uri", "reason")),
        "shards": table(shards, ("partition", "documents", "data version")),
    } | latency_metadata(catalog, [source])


def latency_metadata(catalog: Catalog, sources: Sequence[str]) -> dict[str, Any]:
    """How long changes took to arrive, in seconds: the slowest of the sources as numbers, each in a table."""
    rows: list[Row] = []
    slowest: dict[str, float] = {}
    for source in sources:
        for figure, values in latency_summary(catalog, source).items():
            rows.append({"source": source, "figure": figure.replace("_", " "), **values})
            for name in ("p50", "p95"):
                shown = f"{figure}_{name}_seconds"
                slowest[shown] = max(slowest.get(shown, 0.0), float(values[name]))
    if not rows:
        return {}
    return {**slowest, "freshness_figures": table(rows, ("source", "figure", "p50", "p95", "count"))}


def published_metadata(workspace: Workspace, index: str) -> dict[str, Any]:
    """The live version, whether it is pinned, and how long changes of the index's sources took to arrive."""
    live = versions.pointer(workspace.catalog, index)
    config = workspace.configuration.index_named(index)
    covered = [name for name in workspace.configuration.sources if config.covers(name)]
    found: dict[str, Any] = {"live_version": live.version if live else 0}
    if live is not None and live.pinned is not None:
        found["pinned_version"] = live.pinned
    return found | latency_metadata(workspace.catalog, covered)


def approval_metadata(waiting: Sequence[Row]) -> dict[str, Any]:
    """What waits for a person's decision, and the command that gives it."""
    if not waiting:
        return {"held": 0}
    records = [
        dg.TableRecord({"request": str(row["id"]), "uri": uri, "since": str(row["requested_at"])})
        for row in waiting
        for uri in row["documents"]
    ]
    return {
        "held": sum(row["count"] for row in waiting),
        "held_documents": dg.MetadataValue.table(records[:SHOWN]),
        "to_approve": dg.MetadataValue.md(
            "Look at the list. If the documents are really gone, run "
            + " ".join(f"`rag-pipelines approve {row['id']}`" for row in waiting)
            + " and sync again. If they are not, repair the source: its next complete listing withdraws the request."
        ),
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


def staged_metadata(catalog: Catalog, index: str) -> dict[str, Any]:
    """Totals of the index, and which of its passages may hold instructions for a machine."""
    with reading(catalog.engine) as tx:
        standing = standing_collection(tx, index)
    rows = suspects(catalog, standing["collection"]) if standing is not None else []
    reasons = [{"reason": name, "passages": count} for name, count in by_reason(rows).items()]
    samples = [{**row, "reasons": ", ".join(row["reasons"])} for row in rows[:SAMPLES]]
    return {
        **reports.index_totals(catalog, index),
        "suspect_passages": len(rows),
        "suspect_reasons": table(reasons, ("reason", "passages")),
        "suspect_samples": table(samples, ("source", "uri", "start", "end", "score", "reasons")),
    }


def duplicates_metadata(catalog: Catalog, index: str) -> dict[str, Any]:
    """The clusters of an index: how many, the largest of them, their sizes, and pairs to judge the threshold by."""
    sizes = duplicate_reports.cluster_sizes(catalog, index)
    histogram = duplicate_reports.size_histogram(sizes)
    bars = duplicate_reports.bars([clusters for _, clusters in histogram])
    drawn = [
        {"documents": documents, "clusters": clusters, "": bar}
        for (documents, clusters), bar in zip(histogram, bars, strict=True)
    ]
    largest = [
        {"representative": row["uri"], **row, "least similarity": _rounded(row["least_similarity"])}
        for row in duplicate_reports.largest_clusters(catalog, index, LARGEST)
    ]
    samples = [
        {
            "document": f"{row['source']}: {row['uri']}",
            "representative": f"{row['representative_source']}: {row['representative']}",
            "similarity": _rounded(row["similarity"]),
            "policy": row["policy"],
        }
        for row in duplicate_reports.sample_pairs(catalog, index, SAMPLES)
    ]
    columns = ("representative", "source", "documents", "indexed", "sources", "least similarity")
    return {
        "clusters": sum(clusters for _, clusters in sizes),
        **count_duplicates(catalog, index),
        "cluster_sizes": table(drawn, ("documents", "clusters", "")),
        "largest_clusters": table(largest, columns),
        "samples": table(samples, ("document", "representative", "similarity", "policy")),
    }


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


def _rounded(similarity: float | None) -> str:
    return "" if similarity is None else f"{similarity:.3f}"
