"""The FastAPI application: search, indexes, health."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Request

from rag_pipelines import __version__
from rag_pipelines.catalog import versions
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration, suggest
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.core.types import Principal
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.service.following import Follower
from rag_pipelines.service.problems import BodyLimit, described, install, problem
from rag_pipelines.service.schemas import (
    IndexBody,
    IndexList,
    SearchAnswer,
    SearchBody,
)
from rag_pipelines.service.upkeep import add_upkeep

logger = logging.getLogger(__name__)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: described("Unknown filter field, or a body that cannot be read"),
    404: described("No such index or version"),
    413: described("Request too large"),
    422: described("A field of the request is invalid"),
    503: described("Nothing published yet, or the engine cannot be reached"),
}
IndexName = Annotated[str, Path(description="Name of the index", examples=["knowledge"])]


def create_app(environment: Environment, configuration: Configuration, port: int | None = None) -> FastAPI:
    """The application for one configuration; it opens indexes at start and follows their pointers.

    `port` is what it says that it listens on, where that is not the configured one.
    """
    service = configuration.service
    principal = Principal(
        subject=service.principal.subject,
        tenant=service.principal.tenant,
        groups=service.principal.groups,
        clearance=service.principal.clearance,
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        searchers = Searchers(environment, configuration)
        app.state.searchers = searchers
        follower = app.state.follower = Follower(searchers, service.poll_seconds)
        follower.start()
        logger.warning(
            "no authentication: serving %s:%s as subject=%s tenant=%s groups=%s clearance=%s",
            service.host,
            port or service.port,
            principal.subject,
            principal.tenant,
            ",".join(principal.groups),
            principal.clearance.value,
        )
        try:
            yield
        finally:
            follower.stop()
            searchers.close()

    app = FastAPI(
        title="rag-pipelines query service",
        version=__version__,
        description="Reads exactly one published index version, under access control, with citations.",
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, limit=service.max_request_bytes)
    install(app)

    @app.post(
        "/v1/indexes/{index}/search",
        responses=PROBLEMS,
        response_model_exclude_unset=True,
        summary="Search an index",
    )
    def search(index: IndexName, body: SearchBody, request: Request) -> SearchAnswer:
        """The best passages for a query that the principal may read, each with its citation."""
        if len(body.query) > service.max_query_chars:
            raise HTTPException(422, f"query: is longer than {service.max_query_chars} characters")
        if body.k > service.max_k:
            raise HTTPException(422, f"k: must be at most {service.max_k}")
        if index not in configuration.indexes:
            hint = suggest(index, list(configuration.indexes))
            raise HTTPException(404, f"there is no index {index!r}{hint}")
        searchers: Searchers = request.app.state.searchers
        searcher = searchers.get(index)
        result = searcher.search(body.query, body.k, principal, body.filters, body.version)
        return SearchAnswer.model_validate(result.as_json())

    @app.get("/v1/indexes", summary="List indexes")
    def indexes(request: Request) -> IndexList:
        """Every configured index and its live version."""
        catalog = request.app.state.searchers.catalog
        found = []
        for name, config in configuration.indexes.items():
            live = versions.pointer(catalog, name)
            rows = {row["number"]: row for row in versions.versions_of(catalog, name)}
            row = rows.get(live.version) if live else None
            found.append(
                IndexBody(
                    index=name,
                    description=config.description,
                    version=live.version if live else None,
                    published_at=row["published_at"] if row else None,
                    documents=row["stats"].get("documents") if row else None,
                    chunks=row["stats"].get("chunks") if row else None,
                )
            )
        return IndexList(indexes=found)

    add_upkeep(app, configuration, principal)

    @app.get("/healthz", summary="Is the process alive")
    def healthz() -> dict[str, str]:
        """Alive; says nothing about indexes."""
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", summary="Can it answer", responses={503: described("Not yet, and why")})
    def readyz(request: Request) -> Any:
        """Ready once every index has a published version that opens and its model is loaded."""
        state = request.app.state
        waiting = list(state.follower.faults.values())
        for name in configuration.indexes:
            try:
                state.searchers.get(name).warm()
            except RagPipelinesError as error:
                waiting.append(str(error))
        if waiting:
            return problem(503, "; ".join(dict.fromkeys(waiting)), "/readyz")
        return {"status": "ready"}

    return app
