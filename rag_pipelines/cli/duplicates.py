"""The command that shows near-duplicates, and says of a document why it is one or is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from rag_pipelines.catalog import duplicate_reports, reports
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import failures, moment, print_json, print_table, say
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.pipeline.deduplicate import OFF
from rag_pipelines.pipeline.explain import Explanation, explain_duplicate, find_document
from rag_pipelines.pipeline.workspace import Workspace, open_workspace

COUNTS = ("compared", "duplicates", "collapsed", "marked", "off")
EXAMPLE = (
    "Example: `rag-pipelines duplicates mirror:hr/leave.md` says which document stands for that one, and why."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        help="Documents that say the same as others; with DOC, why it is collapsed, marked or neither.",
        epilog=EXAMPLE,
    )(duplicates)


def duplicates(
    document: Annotated[
        str | None, typer.Argument(metavar="[DOC]", help="A uri, source:uri, or the doc_id of a citation.")
    ] = None,
    index: Index = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Only clusters with a document of this source.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many clusters or documents to list.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """Near-duplicates of an index, or of one document."""
    with failures(as_json), open_workspace() as workspace:
        config = workspace.configuration.index_named(index)
        if source is not None:
            workspace.configuration.source_named(source)
        if document is not None:
            row = find_document(workspace, document, source)
            explained = explain_duplicate(workspace, config.index, row, limit)
            if as_json:
                print_json(explained.as_json())
            else:
                _print_explanation(explained)
            return
        found = _overview(workspace, config, source, limit)
        if as_json:
            print_json(found)
        else:
            _print_overview(found)


def _overview(workspace: Workspace, config: IndexConfig, source: str | None, limit: int) -> dict[str, Any]:
    catalog, index = workspace.catalog, config.index
    totals = duplicate_reports.totals_by_source(catalog, index)
    names = [source] if source is not None else sorted({*workspace.configuration.sources_of(index), *totals})
    sizes = duplicate_reports.cluster_sizes(catalog, index, source)
    return {
        "index": index,
        "threshold": config.dedup.threshold,
        "sources": [_source_totals(workspace, name, totals.get(name, {})) for name in names],
        "clusters": sum(clusters for _, clusters in sizes),
        "largest": duplicate_reports.largest_clusters(catalog, index, limit, source),
        "histogram": [
            {"documents": documents, "clusters": clusters}
            for documents, clusters in duplicate_reports.size_histogram(sizes)
        ],
    }


def _source_totals(workspace: Workspace, name: str, counts: Mapping[str, int]) -> dict[str, Any]:
    config = workspace.configuration.sources.get(name)
    policy = config.dedup.policy if config is not None else None
    left_out = reports.source_totals(workspace.catalog, name)["parsed"] if policy == OFF else 0
    return {
        "source": name,
        "policy": policy,
        **{count: counts.get(count, 0) for count in COUNTS},
        "off": max(left_out - counts.get("compared", 0), 0),
    }


def _print_overview(found: Mapping[str, Any]) -> None:
    index = found["index"]
    if not any(row["compared"] or row["off"] for row in found["sources"]):
        say(f"nothing of {index} is compared yet; run `rag-pipelines sync`")
        return
    columns = ("source", "policy", *COUNTS)
    rows = [[row[column] for column in columns] for row in found["sources"]]
    print_table(f"Duplicates in {index}", columns, rows, "")
    print_table(
        "Largest clusters",
        ("representative", "source", "documents", "indexed", "sources", "least similarity"),
        [
            (
                row["uri"],
                row["source"],
                row["documents"],
                row["indexed"],
                row["sources"],
                _similarity(row["least_similarity"]),
            )
            for row in found["largest"]
        ],
        f"no two documents are as similar as {found['threshold']:g}",
    )
    histogram = found["histogram"]
    if histogram:
        bars = duplicate_reports.bars([row["clusters"] for row in histogram])
        print_table(
            f"Sizes of the {found['clusters']} clusters" if found["clusters"] > 1 else "Size of the cluster",
            ("documents", "clusters", ""),
            [(row["documents"], row["clusters"], bar) for row, bar in zip(histogram, bars, strict=True)],
            "",
        )


def _print_explanation(explained: Explanation) -> None:
    for sentence in explained.sentences:
        say(sentence)
    if not explained.cluster:
        return
    left_out = explained.documents - len(explained.cluster)
    print_table(
        f"Cluster of {explained.documents} documents"
        + (f", {left_out} of them not listed (see --limit)" if left_out else ""),
        ("uri", "source", "policy", "similarity", "to", "revised", "rights"),
        [
            (
                row["uri"],
                row["source"],
                row["policy"],
                _similarity(row["similarity"]),
                _place(row["representative"], row["source"]),
                moment(row["revised_at"]),
                _rights(row),
            )
            for row in explained.cluster
        ],
        "",
    )
    for row in explained.cluster:
        if row["doc_id"] != explained.document["doc_id"]:
            for reason in row["apart"]:
                say(f"{row['uri']} of {row['source']} {reason}.")


def _place(document: Mapping[str, Any] | None, beside: str) -> str:
    if document is None:
        return "itself"
    return document["uri"] if document["source"] == beside else f"{document['source']}:{document['uri']}"


def _rights(row: Mapping[str, Any]) -> str:
    acl: Sequence[str] = row["acl"]
    return f"{row['tenant']}, {row['classification']}, {' '.join(acl) or 'nobody'}"


def _similarity(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
