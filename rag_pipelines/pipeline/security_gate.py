"""Whether the candidate keeps to itself what nobody, or not everybody, may see."""

from __future__ import annotations

from typing import Any

from rag_pipelines.catalog.rights import removed_points, sample_rights
from rag_pipelines.core.checks import Check
from rag_pipelines.core.filters import All, HasId
from rag_pipelines.core.types import Principal
from rag_pipelines.governance.access import access_condition
from rag_pipelines.pipeline.candidates import Candidate
from rag_pipelines.pipeline.payload import ACCESS_FIELDS, access_digest
from rag_pipelines.pipeline.workspace import Workspace

SAMPLE = 1000
STRANGER = Principal(subject="nobody", tenant="\u2205")
"""Of a tenant that no configuration can have: tenants are compared whole, and this one is never given out."""


def security_check(workspace: Workspace, candidate: Candidate) -> Check:
    """Rights of sampled passages are those that were applied, a stranger sees nothing, what was taken out is gone.

    The rules themselves are proven by tests; this is about the data that the rules are asked on.
    """
    index, reader, shown = candidate.index, candidate.reader, candidate.shown
    wanted = sample_rights(workspace.catalog, index, candidate.collection, candidate.number, SAMPLE)
    wrong: list[str] = []
    seen: set[str] = set()
    for point in reader.scroll(All((shown, HasId(tuple(wanted))))) if wanted else ():
        seen.add(point.point_id)
        key, where = wanted[point.point_id]
        if (
            key is not None
            and access_digest({name: point.payload.get(name) for name in ACCESS_FIELDS}) != key
        ):
            wrong.append(where)
    lost = sorted({where for point_id, (_, where) in wanted.items() if point_id not in seen})
    to_stranger = reader.count(All((shown, access_condition(STRANGER))))
    taken_out = removed_points(workspace.catalog, candidate.collection, candidate.number, SAMPLE)
    remaining = reader.count(All((shown, HasId(tuple(taken_out))))) if taken_out else 0
    problems = [
        sentence
        for found, sentence in (
            (wrong, f"passages of {_some(wrong)} have other rights in the engine than the catalog applied"),
            (to_stranger, f"{to_stranger} passages are visible to a stranger"),
            (remaining, f"{remaining} passages that this version takes out are still visible"),
        )
        if found
    ]
    metadata: dict[str, Any] = {
        "passages_compared": len(wanted),
        "other_rights": len(wrong),
        "visible_to_a_stranger": to_stranger,
        "taken_out_and_visible": remaining,
        "not_in_the_engine": len(lost),
    }
    reason = f"security: {'; '.join(problems)}; run `rag-pipelines reconcile`" if problems else ""
    return Check("security", not problems, reason, metadata=metadata)


def _some(places: list[str]) -> str:
    distinct = sorted(set(places))
    more = f" and {len(distinct) - 3} more documents" if len(distinct) > 3 else ""
    return ", ".join(distinct[:3]) + more
