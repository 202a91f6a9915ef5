"""Every error this package raises on purpose.

Messages say what happened, to what, and what to do next.
"""

from __future__ import annotations


class RagPipelinesError(Exception):
    """Base of all errors that a user can act on.

    `bare` is the message without what another program said, which may quote what it was sent. Services log and show
    that alone, since what they send are other people's questions and rights.
    """

    _bare: str | None = None

    @property
    def bare(self) -> str:
        """The message itself, where all of it is our own."""
        return self._bare or str(self)


class ConfigError(RagPipelinesError):
    """A configuration file or environment variable is wrong."""


class SourceError(RagPipelinesError):
    """A source could not be probed, listed or fetched.

    `transient` is true where the same call may succeed later (timeout, 5xx, lock); the pipeline
    retries those with backoff and quarantines or raises the others.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class ParseError(RagPipelinesError):
    """One document could not be turned into text; costs that document only."""


class ChunkError(RagPipelinesError):
    """One document could not be cut into chunks; costs that document only."""


class EmbeddingError(RagPipelinesError):
    """An embedding provider failed; `transient` after its own retries were used up. `model` is its name."""

    def __init__(
        self, message: str, *, transient: bool = False, model: str | None = None, bare: str | None = None
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.model = model
        self._bare = bare


class EngineError(RagPipelinesError):
    """The vector engine refused or could not be reached; `transient` where waiting may help."""

    def __init__(self, message: str, *, transient: bool = False, bare: str | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self._bare = bare


class BlobError(RagPipelinesError):
    """A stored artifact is missing or does not hash to its name."""


class CatalogError(RagPipelinesError):
    """The catalog cannot be opened, or its schema is newer than this program."""


class GateFailed(RagPipelinesError):
    """A candidate version did not pass its release gate and stays unpublished."""


class AccessDenied(RagPipelinesError):
    """The principal may not do or see this."""


class ApprovalRequired(RagPipelinesError):
    """A change is held until a person approves it."""


class NotPublished(RagPipelinesError):
    """The index has no published version yet, or not the one asked for."""


class NotFound(RagPipelinesError):
    """There is no such version or document, or not for this principal."""
