"""GET /metrics, or a port of its own for it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from prometheus_client import start_http_server
from prometheus_client.exposition import choose_encoder

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.service.asking import Asker, Guarded, needs
from rag_pipelines.service.catalog_metrics import CatalogFigures
from rag_pipelines.service.parts import Parts, parts_of
from rag_pipelines.service.problems import described

router = APIRouter(route_class=Guarded)
Scraping = Annotated[Asker, Depends(needs("metrics"))]


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "In the text format of Prometheus", "content": {"text/plain": {}}},
        404: described("Metrics are off, or on a port of their own"),
    },
)
def metrics(request: Request, asker: Scraping) -> Response:
    """Counters and times since this process started, freshness and versions as the catalog has them."""
    del asker
    found = parts_of(request).metrics
    if not found.config.metrics or found.config.metrics_port is not None:
        raise HTTPException(404, "metrics are not here: see `telemetry` in service.yaml")
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(found.registry), headers={"Content-Type": media_type})


def expose(parts: Parts, closing: ExitStack) -> None:
    """Add what the catalog has, and open the port where one is configured. Raises ConfigError where it is taken."""
    config = parts.metrics.config
    if not config.metrics:
        return
    parts.metrics.registry.register(CatalogFigures(parts, config.freshness_seconds))
    if config.metrics_port is not None:
        try:
            server, thread = start_http_server(
                config.metrics_port, config.metrics_host, parts.metrics.registry
            )
        except OSError as error:
            raise ConfigError(
                f"service.yaml: telemetry.metrics_port: {config.metrics_host} port {config.metrics_port} cannot be "
                f"listened on ({error.strerror}); stop what listens there, or write another port or metrics_host"
            ) from error
        closing.callback(thread.join)
        closing.callback(server.server_close)
        closing.callback(server.shutdown)
