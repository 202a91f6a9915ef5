"""What a credential proves, and the ways in which it may fail to."""

from __future__ import annotations

from dataclasses import dataclass

from rag_pipelines.core.errors import AccessDenied, RagPipelinesError
from rag_pipelines.core.types import Principal

LONGEST_NAME = 200
INVALID = "the credential is not valid"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks and what they may do; `credential` names what was shown: `key:ID` or `token:ISSUER#SUBJECT`."""

    principal: Principal
    scopes: frozenset[str]
    credential: str


class InvalidCredential(RagPipelinesError):
    """Nobody is let in with this; the message is for the caller, `reason` for the log."""

    def __init__(self, message: str = INVALID, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotEntitled(AccessDenied):
    """The credential is genuine, but says nothing by which anything may be seen."""


class Unjudged(RagPipelinesError):
    """It cannot be told now whether the credential is genuine; asking again after `retry_after` seconds may help."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def is_name(value: object) -> bool:
    """Whether a subject, tenant or group can be called this: what is stored, compared and shown is the same text."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()
