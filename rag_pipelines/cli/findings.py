"""What `doctor` found."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `level` is ok, warning or failed."""

    name: str
    level: str
    detail: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """For scripts."""
        return asdict(self)
