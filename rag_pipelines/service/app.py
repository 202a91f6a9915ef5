"""The FastAPI application: composes what the other modules hold."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from rag_pipelines import __version__
from rag_pipelines.answers.answering import Answerer
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.remembered import Memories
from rag_pipelines.service import (
    answers,
    documents,
    feedback,
    health,
    indexes,
    pages,
    pages_owner,
    scraping,
    upkeep,
)
from rag_pipelines.service.admission import Admission, make_room
from rag_pipelines.service.caching import ResultCache
from rag_pipelines.service.following import Follower
from rag_pipelines.service.gate import Gate
from rag_pipelines.service.guarding import app_options, guard
from rag_pipelines.service.hosts import Hosts, known_hosts
from rag_pipelines.service.identity import announce, open_authentication
from rag_pipelines.service.limits import Limits
from rag_pipelines.service.memory import opened_memory
from rag_pipelines.service.metrics import Metrics
from rag_pipelines.service.observing import Observed, Observing
from rag_pipelines.service.parts import Parts
from rag_pipelines.service.problems import BodyLimit, everywhere, install
from rag_pipelines.service.request_ids import RequestIds
from rag_pipelines.service.tracing import open_tracing
from rag_pipelines.service.variants import open_variants

ROUTERS = (
    indexes.router,
    answers.router,
    documents.router,
    feedback.router,
    upkeep.router,
    health.router,
    scraping.router,
    pages.router,
    pages_owner.router,
)


def create_app(environment: Environment, configuration: Configuration, port: int | None = None) -> FastAPI:
    """The application for one configuration; it opens indexes at start and follows their pointers.

    `port` is what it says that it listens on, where that is not the configured one.
    """
    service = configuration.service
    metrics = Metrics(service.telemetry)
    observing = Observing(metrics)
    limits = service.limits
    names = known_hosts(service)
    gate = Gate(limits.concurrency, limits.waiting, limits.wait_seconds)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with contextlib.ExitStack() as closing:
            make_room(gate)
            try:
                app.state.parts = _open(environment, configuration, metrics, gate, closing)
                observing.tracer = open_tracing(service.telemetry, closing)
                scraping.expose(app.state.parts, closing)
            except RagPipelinesError as error:
                app.state.fault = error
                raise
            announce(service, port or service.port)
            try:
                yield
            finally:
                await app.state.parts.answerer.close()

    app = FastAPI(
        title="rag-pipelines query service",
        version=__version__,
        description="Reads exactly one published index version, under access control, with citations.",
        lifespan=lifespan,
        # FastAPI's own telemetry, where this version has it, records paths and the messages of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        **app_options(service.auth),
        responses=everywhere(named=names is not None),
    )
    app.state.gate = gate
    app.state.fault = None
    app.add_middleware(Admission, gate=gate, config=limits, refused=metrics.refused)
    app.add_middleware(BodyLimit, limit=service.max_request_bytes, seconds=limits.body_seconds)
    if names is not None:
        app.add_middleware(Hosts, names=names, probed=service.principal is None)
    app.add_middleware(Observed, observing=observing)
    app.add_middleware(RequestIds)  # the last one added is the first to see a request
    pages.install(app, service)
    install(app)
    for router in ROUTERS:
        app.include_router(router)
    guard(app, ROUTERS, service)
    return app


def _open(
    environment: Environment,
    configuration: Configuration,
    metrics: Metrics,
    gate: Gate,
    closing: contextlib.ExitStack,
) -> Parts:
    """In the order in which they need one another; closed in the opposite one."""
    service = configuration.service
    memories = Memories.of(service.cache, metrics.looked_up)
    searchers = closing.enter_context(Searchers(environment, configuration, memories))
    memory = closing.enter_context(opened_memory(searchers.catalog, configuration.policy))
    follower = Follower(searchers, service.poll_seconds)
    follower.start()
    closing.callback(follower.stop)
    authentication = open_authentication(service, searchers.catalog, configuration.root)
    closing.callback(authentication.close)
    variants = open_variants(environment, configuration, searchers, closing)
    return Parts(
        environment=environment,
        configuration=configuration,
        searchers=searchers,
        follower=follower,
        audit=memory.audit,
        metrics=metrics,
        variants=variants,
        memory=memory,
        gate=gate,
        limits=Limits(service.limits, refused=metrics.refused),
        answerer=Answerer(service.answers, configuration.root),
        authentication=authentication,
        cache=ResultCache(service.cache, searchers),
    )
