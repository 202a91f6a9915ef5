"""What the routes share: one of each, made when the application starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from rag_pipelines.answers.answering import Answerer
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.events import Event
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.service.following import Follower


@dataclass(frozen=True, slots=True)
class Parts:
    """Opened with the application's lifespan and closed with it; `audit` keeps an event for good."""

    environment: Environment
    configuration: Configuration
    searchers: Searchers
    follower: Follower
    audit: Callable[[Event], None]
    answerer: Answerer


def parts_of(request: Request) -> Parts:
    """Those of the application that the request came to."""
    parts: Parts = request.app.state.parts
    return parts
