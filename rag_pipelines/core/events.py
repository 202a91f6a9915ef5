"""What is worth remembering of what somebody did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit log.

    `action` is a verb of a fixed list, such as `search` or `publish`; `actor` is who did it, as `user:ana` or
    `operator`, and `credential` what they showed; `target` names what it was done to, `request` the request that
    it was part of. `details` are JSON values.
    """

    action: str
    actor: str
    target: str
    tenant: str | None = None
    credential: str | None = None
    request: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
