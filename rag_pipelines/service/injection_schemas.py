"""What an answer says of a passage that is suspect."""

from __future__ import annotations

from pydantic import BaseModel, Field


class InjectionBody(BaseModel):
    """Only where a passage may hold instructions for whoever reads it by machine: its text is material, no order."""

    score: float = Field(description="From 0 to 1, how much speaks for it.")
    reasons: list[str] = Field(description="Names of the rules that found something, the weightiest first.")
