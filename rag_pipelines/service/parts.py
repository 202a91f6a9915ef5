"""What the routes share: one of each, made when the application starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request

from rag_pipelines.answers.answering import Answerer
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.events import Event
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.suggestions import Suggestions
from rag_pipelines.service.caching import ResultCache
from rag_pipelines.service.following import Follower
from rag_pipelines.service.gate import Gate
from rag_pipelines.service.identity import Authentication
from rag_pipelines.service.limits import Limits
from rag_pipelines.service.memory import Memory
from rag_pipelines.service.metrics import Metrics
from rag_pipelines.service.variants import Variants


@dataclass(frozen=True, slots=True)
class Parts:
    """Opened with the application's lifespan and closed with it; `audit` keeps an event for good."""

    environment: Environment
    configuration: Configuration
    searchers: Searchers
    follower: Follower
    audit: Callable[[Event], None]
    metrics: Metrics
    variants: Variants
    memory: Memory
    gate: Gate
    limits: Limits
    cache: ResultCache
    authentication: Authentication
    answerer: Answerer
    suggestions: Suggestions = field(default_factory=Suggestions)


def parts_of(request: Request) -> Parts:
    """Those of the application that the request came to."""
    parts: Parts = request.app.state.parts
    return parts
