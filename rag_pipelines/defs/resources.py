"""The workspace as a Dagster resource: opened once a run, closed with its worker processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dagster as dg

from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import EmbeddingError, EngineError, RagPipelinesError, SourceError
from rag_pipelines.core.ports import Progress
from rag_pipelines.pipeline.progress import LogProgress
from rag_pipelines.pipeline.workspace import Workspace

MAX_RETRIES = 3
FIRST_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Rag:
    """What assets get as `context.resources.rag`."""

    workspace: Workspace
    progress: Progress


def rag_resource(
    environment: Environment,
    configuration: Configuration,
    progress: Progress | None,
    waiting: Callable[[str], None] | None = None,
) -> dg.ResourceDefinition:
    """Opens the workspace and holds the catalog's sync lock, so that concurrent runs wait for one another."""

    def opened(context: dg.InitResourceContext) -> Iterator[Rag]:
        log = context.log
        with Workspace(environment, configuration) as workspace:

            def told(holder: str) -> None:
                if log is not None:
                    log.info(f"another sync is running ({holder}); waiting for it to finish")
                if waiting is not None:
                    waiting(holder)

            with workspace.catalog.exclusive("sync", told):
                yield Rag(workspace, progress or LogProgress(log))

    return dg.ResourceDefinition(opened, description="Catalog, blobs, engine, parsers and models.")


@contextlib.contextmanager
def explained(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Iterator[None]:
    """Errors of this package as Dagster understands them: transient ones are retried, others are not."""
    try:
        yield
    except RagPipelinesError as error:
        transient = isinstance(error, (SourceError, EmbeddingError, EngineError)) and error.transient
        if transient and context.retry_number < MAX_RETRIES:
            raise dg.RetryRequested(
                max_retries=MAX_RETRIES, seconds_to_wait=FIRST_WAIT_SECONDS * 2**context.retry_number
            ) from error
        raise dg.Failure(str(error), allow_retries=False) from error
