"""Access rules -> filter. Deny by default: a document without an acl is nobody's but the operator's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rag_pipelines.core.errors import AccessDenied
from rag_pipelines.core.filters import EVERYTHING, All, Condition, Match, MatchAny, Range
from rag_pipelines.core.types import EVERYONE, Access, Classification, Principal

FIELDS = {"subject", "tenant", "groups", "clearance"}


def own_entry(principal: Principal) -> str:
    """The acl entry that names the principal and nobody else."""
    return f"user:{principal.subject}"


def grants(principal: Principal, *, by_name: bool = True) -> tuple[str, ...]:
    """The acl entries that the principal holds; without `by_name` those that they share with others."""
    named = (own_entry(principal),) if by_name else ()
    return (EVERYONE, *named, *(f"group:{group}" for group in principal.groups))


def may_read(principal: Principal, access: Access) -> bool:
    """The rule itself; the filter below says the same to the engine, and a test holds them together."""
    if principal.unrestricted:
        return True
    return (
        access.tenant == principal.tenant
        and access.classification.rank <= principal.clearance.rank
        and not set(access.acl).isdisjoint(grants(principal))
    )


def access_condition(principal: Principal, *, by_name: bool = True) -> Condition:
    """What the principal may read, as a filter on points. Every read path adds it to its own.

    Without `by_name`, less what is granted to them by name: the same for everybody of the same groups.
    """
    if principal.unrestricted:
        return EVERYTHING
    return All(
        (
            Match("tenant", principal.tenant),
            Range("classification_rank", lte=principal.clearance.rank),
            MatchAny("acl", grants(principal, by_name=by_name)),
        )
    )


def principal_from_json(data: Any, where: str) -> Principal:
    """A principal from `{subject, tenant, groups, clearance}`. Raises AccessDenied naming what is wrong."""
    if not isinstance(data, dict) or not isinstance(data.get("tenant"), str) or not data["tenant"]:
        raise AccessDenied(
            f"{where}: a principal is an object with subject, tenant, groups and clearance, "
            'for example {"subject": "ana", "tenant": "acme", "groups": ["staff"], "clearance": "internal"}'
        )
    unknown = set(data) - FIELDS
    if unknown:
        known = ", ".join(sorted(FIELDS))
        raise AccessDenied(f"{where}: a principal has no field {min(map(str, unknown))!r}, only {known}")
    subject = data.get("subject", "anonymous")
    if not isinstance(subject, str) or not subject:
        raise AccessDenied(f"{where}: subject must be a name")
    groups = data.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise AccessDenied(f"{where}: groups must be a list of names")
    try:
        clearance = Classification(data.get("clearance", "internal"))
    except ValueError as error:
        tiers = ", ".join(tier.value for tier in Classification)
        raise AccessDenied(f"{where}: clearance must be one of {tiers}") from error
    return Principal(
        subject=subject,
        tenant=data["tenant"],
        groups=tuple(groups),
        clearance=clearance,
    )


def read_principal(path: Path) -> Principal:
    """The principal in a JSON file. Raises AccessDenied."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AccessDenied(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise AccessDenied(f"{path}: is not JSON ({error})") from error
    return principal_from_json(data, str(path))
