"""What knowledge owners ask of the service: versions, how fresh each source is, and to do one again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import gates, versions
from rag_pipelines.catalog import requests as request_rows
from rag_pipelines.catalog.gates import GateState
from rag_pipelines.catalog.latencies import latency_summary
from rag_pipelines.catalog.store import Catalog, Row
from rag_pipelines.config.load import suggest
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.events import Event
from rag_pipelines.core.types import Principal
from rag_pipelines.governance.access import may_read
from rag_pipelines.retrieval.documents import Totals
from rag_pipelines.service.asking import Asker, Guarded, needs
from rag_pipelines.service.parts import Parts, parts_of
from rag_pipelines.service.problems import described
from rag_pipelines.service.standing import known_sources, totals_of
from rag_pipelines.service.tenancy import index_for
from rag_pipelines.service.upkeep_schemas import (
    Latency,
    ReindexBody,
    ReindexRequest,
    SourceBody,
    SourceList,
    VersionBody,
    VersionList,
)

SourceName = Annotated[str, Path(description="Name of the source", examples=["handbook"])]
IndexName = Annotated[str, Path(description="Name of the index", examples=["knowledge"])]


router = APIRouter(route_class=Guarded)
Watching = Annotated[Asker, Depends(needs("status"))]
Reindexing = Annotated[Asker, Depends(needs("reindex"))]


@router.get(
    "/v1/indexes/{index}/versions",
    summary="Versions of an index",
    responses={404: described("No such index")},
)
def list_versions(index: IndexName, request: Request, asker: Watching) -> VersionList:
    """Every version that was staged or published, newest first, and which one is live.

    Documents and chunks are those that the asker may read; null for a version that cannot be read.
    """
    parts = parts_of(request)
    index = index_for(parts, asker.principal, index)
    catalog = parts.searchers.catalog
    live = versions.pointer(catalog, index)
    rows = versions.versions_of(catalog, index)
    verdicts = gates.verdicts_of(catalog, index)
    totals = {
        row["number"]: totals_of(parts, index, asker.principal, row["number"])
        for row in versions.readable(rows)
    }
    return VersionList(
        index=index,
        version=live.version if live else None,
        pinned=live.pinned if live else None,
        versions=[
            _version(row, live, gates.gate_state(verdicts.get(row["number"])), totals.get(row["number"]))
            for row in rows
        ],
    )


@router.get("/v1/sources", summary="Sources and how fresh they are")
def list_sources(request: Request, asker: Watching) -> SourceList:
    """When each source was last listed and synced, its promise, and how long changes took to arrive."""
    parts = parts_of(request)
    configured = parts.configuration.sources
    found = [
        _source(parts.searchers.catalog, configured[name], asker.principal)
        for name in known_sources(parts, asker.principal)
    ]
    return SourceList(sources=found)


@router.post(
    "/v1/sources/{source}/reindex",
    status_code=202,
    summary="Do a source, or part of it, again",
    responses={404: described("No such source")},
)
def request_reindex(
    source: SourceName, request: Request, asker: Reindexing, body: ReindexBody | None = None
) -> ReindexRequest:
    """Ask for it; a Dagster sensor starts the run. Asking twice while one waits is one request."""
    parts = parts_of(request)
    name = source_of(parts, asker.principal, source).source
    body = body or ReindexBody()
    row = request_rows.request_reindex(
        parts.searchers.catalog,
        name,
        body.uri_prefix,
        body.force,
        asker.principal.subject,
        (parts.memory.log, _asked_for(asker, name, body)),
    )
    return _reindex(row)


@router.get(
    "/v1/sources/{source}/reindex/{number}",
    summary="What became of a request",
    responses={404: described("No such source or request")},
)
def show_reindex(source: SourceName, number: int, request: Request, asker: Reindexing) -> ReindexRequest:
    """Pending until the sensor has picked it up, then started, then done or failed with the reason."""
    parts = parts_of(request)
    name = source_of(parts, asker.principal, source).source
    row = request_rows.reindex_request(parts.searchers.catalog, number) if 0 < number < 2**31 else None
    if row is None or row["source"] != name:
        raise HTTPException(404, f"source {source!r} has no reindex request {number}")
    return _reindex(row)


def source_of(parts: Parts, principal: Principal, name: str) -> SourceConfig:
    """404 for a source that there is not, as for one that the principal may not know of."""
    known = known_sources(parts, principal)
    if name not in known:
        raise HTTPException(404, f"there is no source {name!r}{suggest(name, known)}")
    return parts.configuration.sources[name]


def _version(
    row: Row, live: versions.Pointer | None, gate: GateState | None, totals: Totals | None
) -> VersionBody:
    return VersionBody(
        number=row["number"],
        status=row["status"],
        live=live is not None and live.version == row["number"],
        created_at=row["created_at"],
        published_at=row["published_at"],
        parent=row["parent"],
        documents=totals.documents if totals else None,
        chunks=totals.chunks if totals else None,
        gate=gate,
    )


def _source(catalog: Catalog, config: SourceConfig, principal: Principal) -> SourceBody:
    row = document_rows.source_row(catalog, config.source)
    promise = config.freshness
    return SourceBody(
        source=config.source,
        description=config.description,
        owner=config.owner,
        listed_at=row["listed_at"] if row else None,
        synced_at=row["synced_at"] if row else None,
        problem=bool(row and row["error"]),
        warn_after_seconds=promise.warn_after.total_seconds() if promise and promise.warn_after else None,
        fail_after_seconds=promise.fail_after.total_seconds() if promise else None,
        latency={
            name: Latency.model_validate(figures)
            for name, figures in latency_summary(catalog, config.source, partial(may_read, principal)).items()
        },
    )


def _asked_for(asker: Asker, source: str, body: ReindexBody) -> Event:
    details = {"uri_prefix": body.uri_prefix, "force": body.force}
    who = asker.principal
    return Event("reindex.request", asker.actor, source, who.tenant, asker.credential, asker.request, details)


def _reindex(row: Row) -> ReindexRequest:
    return ReindexRequest.model_validate({name: row[name] for name in ReindexRequest.model_fields})
