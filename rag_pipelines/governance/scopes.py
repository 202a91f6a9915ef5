"""What a caller of the query service may do, apart from what they may see."""

from __future__ import annotations

SCOPES: dict[str, str] = {
    "search": "search, suggestions, documents and their text",
    "answer": "answers",
    "feedback": "say whether an answer was useful",
    "status": "sources, versions, quarantine and approvals",
    "reindex": "ask for a source to be done again",
    "metrics": "figures of the service itself, over all callers",
}
"""Scope -> what it allows."""
