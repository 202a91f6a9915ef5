"""What a release gate found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One gate's finding about one candidate version.

    `reason` is one sentence where something is wrong, empty where nothing is. A failed check of severity
    `warning` is shown and holds nothing back. `metadata` is what JSON can say: figures, samples, limits.
    """

    name: str
    passed: bool
    reason: str = ""
    severity: Literal["error", "warning"] = "error"
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the version may not be published because of it."""
        return not self.passed and self.severity == "error"
