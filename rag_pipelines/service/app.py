"""The FastAPI application: composes what the other modules hold."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI

from rag_pipelines import __version__
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.events import Event
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.service import health, indexes, pages, pages_owner, upkeep
from rag_pipelines.service.following import Follower
from rag_pipelines.service.parts import Parts
from rag_pipelines.service.problems import BodyLimit, everywhere, install
from rag_pipelines.service.request_ids import RequestIds

logger = logging.getLogger(__name__)
ROUTERS = (indexes.router, upkeep.router, health.router, pages.router, pages_owner.router)


def create_app(environment: Environment, configuration: Configuration, port: int | None = None) -> FastAPI:
    """The application for one configuration; it opens indexes at start and follows their pointers.

    `port` is what it says that it listens on, where that is not the configured one.
    """
    service = configuration.service

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with contextlib.ExitStack() as closing:
            app.state.parts = _open(environment, configuration, closing)
            logger.warning(
                "no authentication: serving %s:%s as subject=%s tenant=%s groups=%s clearance=%s",
                service.host,
                port or service.port,
                service.principal.subject,
                service.principal.tenant,
                ",".join(service.principal.groups),
                service.principal.clearance.value,
            )
            yield

    app = FastAPI(
        title="rag-pipelines query service",
        version=__version__,
        description="Reads exactly one published index version, under access control, with citations.",
        lifespan=lifespan,
        responses=everywhere(),
    )
    app.add_middleware(BodyLimit, limit=service.max_request_bytes)
    app.add_middleware(RequestIds)  # the last one added is the first to see a request
    pages.install(app, service)
    install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _open(environment: Environment, configuration: Configuration, closing: contextlib.ExitStack) -> Parts:
    """In the order in which they need one another; closed in the opposite one."""
    searchers = closing.enter_context(Searchers(environment, configuration))
    follower = Follower(searchers, configuration.service.poll_seconds)
    follower.start()
    closing.callback(follower.stop)
    return Parts(environment, configuration, searchers, follower, _forget)


def _forget(event: Event) -> None:
    """Where no audit log is kept."""
