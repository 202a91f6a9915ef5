"""Who runs the pipeline's verbs, and what they did to rights, as the audit log says it."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from typing import Any

from rag_pipelines.core.types import Access


def system_user() -> str:
    """The user that the process runs as; `unknown` where the system has no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def operator(name: str | None = None) -> str:
    """The person that was named, else the system user."""
    return f"operator:{name or system_user()}"


def told_rights(changes: Iterable[tuple[str, Access | None, Access]]) -> list[dict[str, Any]]:
    """`{from, to, documents}` for each different change of (doc_id, rights before where known, rights now)."""
    alike: dict[tuple[Access | None, Access], list[str]] = {}
    for doc_id, before, after in changes:
        alike.setdefault((before, after), []).append(doc_id)
    return [
        {"from": _rights(before), "to": _rights(after), "documents": sorted(ids)}
        for (before, after), ids in alike.items()
    ]


def _rights(access: Access | None) -> dict[str, Any] | None:
    if access is None:
        return None
    return {
        "tenant": access.tenant,
        "classification": access.classification.value,
        "acl": list(access.acl),
    }
