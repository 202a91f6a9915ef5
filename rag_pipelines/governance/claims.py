"""What the claims of a genuine token say of its holder, as configured for its issuer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipelines.config.auth import ClaimPath, IssuerConfig
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.governance.groups import MOST_GROUPS
from rag_pipelines.governance.identity import Identity, NotEntitled, is_name
from rag_pipelines.governance.scopes import SCOPES


def identity_from(claims: Mapping[str, Any], config: IssuerConfig) -> Identity:
    """Raises NotEntitled for a tenant that the issuer does not speak for, and for what cannot be understood."""
    subject = _subject(claims, config)
    principal = Principal(
        subject=subject,
        tenant=_tenant(claims, config),
        groups=_groups(claims, config),
        clearance=_clearance(claims, config),
    )
    return Identity(principal, _scopes(claims, config), f"token:{config.issuer}#{subject}")


def claim(claims: Mapping[str, Any], path: ClaimPath) -> Any:
    """The value at a path; None where there is none."""
    found: Any = claims
    for name in (path,) if isinstance(path, str) else path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _subject(claims: Mapping[str, Any], config: IssuerConfig) -> str:
    value = claim(claims, config.claims.subject)
    if (
        not isinstance(value, str)
        or not is_name(value)
        or not is_name(subject := config.subject_prefix + value)
    ):
        raise NotEntitled(f"the token's claim {_named(config.claims.subject)} is no name of its holder")
    return subject


def _tenant(claims: Mapping[str, Any], config: IssuerConfig) -> str:
    if config.tenant is not None:
        return config.tenant
    value = claim(claims, config.claims.tenant)
    tenant = config.tenants.get(value) if isinstance(value, str) else None
    if tenant is None:
        raise NotEntitled(
            f"the token's claim {_named(config.claims.tenant)} names no tenant that this service knows"
        )
    return tenant


def _groups(claims: Mapping[str, Any], config: IssuerConfig) -> tuple[str, ...]:
    value = claim(claims, config.claims.groups)
    if value is None:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or len(names) > MOST_GROUPS or not all(is_name(name) for name in names):
        raise NotEntitled(
            f"the token's claim {_named(config.claims.groups)} is no list of at most {MOST_GROUPS} names"
        )
    return tuple(sorted(set(names)))


def _clearance(claims: Mapping[str, Any], config: IssuerConfig) -> Classification:
    """Never above `max_clearance`; a value that is not understood is no reason to guess."""
    value = claim(claims, config.claims.clearance)
    found = config.default_clearance
    if value is not None:
        tiers = config.clearances or {tier.value: tier for tier in Classification}
        if not isinstance(value, str) or value not in tiers:
            raise NotEntitled(
                f"the token's claim {_named(config.claims.clearance)} is none of {', '.join(tiers)}"
            )
        found = tiers[value]
    return min(found, config.max_clearance, key=lambda tier: tier.rank)


def _scopes(claims: Mapping[str, Any], config: IssuerConfig) -> frozenset[str]:
    """Those of this service among what the token may be used for elsewhere."""
    value = claim(claims, config.claims.scopes)
    if value is None:
        return frozenset(config.default_scopes) & frozenset(SCOPES)
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    prefix = config.scope_prefix
    given = {word.removeprefix(prefix) for word in words if isinstance(word, str) and word.startswith(prefix)}
    return frozenset(given) & frozenset(SCOPES)


def _named(path: ClaimPath) -> str:
    return repr(path if isinstance(path, str) else ".".join(path))
