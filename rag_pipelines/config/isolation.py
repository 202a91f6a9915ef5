"""One collection for all tenants of an index, or one for each: then it is an index of its own for each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from rag_pipelines.config.base import NAME, Name
from rag_pipelines.core.errors import ConfigError

if TYPE_CHECKING:
    from rag_pipelines.config.models import IndexConfig

SEPARATOR = "__"


def _check_tenant(value: str) -> str:
    if value == "*":
        raise ValueError("must be a name, not *")
    return value


def _by_name(value: object) -> object:
    """`[acme, globex]` as the mapping of each to itself; one that cannot be part of a name needs the mapping."""
    if not isinstance(value, (list, tuple)):
        return value
    unfit = [name for name in value if not (isinstance(name, str) and re.match(NAME, name.strip()))]
    if unfit:
        raise ValueError(
            f"{unfit[0]!r} cannot be part of an index's name; write a mapping of names to tenants, "
            "such as {acme: Acme Corp}"
        )
    return {name.strip(): name for name in value}


Tenant = Annotated[str, Field(min_length=1), BeforeValidator(_check_tenant)]
Tenants = Annotated[
    dict[Name, Tenant],
    BeforeValidator(_by_name, json_schema_input_type=list[Name] | dict[Name, Tenant]),
]


def check_isolation(isolation: str, tenant: str | None, tenants: Mapping[str, str], index: str) -> None:
    """Raises ValueError where the fields of an index contradict each other."""
    if (isolation == "collection") != bool(tenants):
        raise ValueError("isolation: collection and tenants go together: each of them gets a collection")
    if tenants and tenant is not None:
        raise ValueError("has either tenant (an index of one) or tenants (an index for each of several)")
    if len(set(tenants.values())) < len(tenants):
        raise ValueError("names a tenant twice")
    longest = max((len(name) for name in tenants), default=0)
    if not re.match(NAME, f"{index}{SEPARATOR}{'x' * longest}"):
        raise ValueError(f"the name of the index and of a tenant are too long together for {NAME}")


def each_alone(
    indexes: Mapping[str, IndexConfig],
) -> tuple[dict[str, IndexConfig], dict[str, dict[str, str]]]:
    """The indexes, with one for each tenant in the place of those that keep tenants apart, and these as families:
    name -> tenant -> name of the tenant's index. Raises ConfigError where such a name is taken.
    """
    found: dict[str, IndexConfig] = {name: index for name, index in indexes.items() if not index.tenants}
    families: dict[str, dict[str, str]] = {}
    for family, index in indexes.items():
        for name, tenant in index.tenants.items():
            own = f"{family}{SEPARATOR}{name}"
            if own in indexes:
                raise ConfigError(
                    f"index {family!r} keeps tenant {tenant!r} in an index {own!r}, and configs/indexes has one "
                    "of that name; rename one of the two"
                )
            families.setdefault(family, {})[tenant] = own
            alone = {"index": own, "tenant": tenant, "tenants": {}, "isolation": "payload"}
            found[own] = index.model_copy(update=alone)
    return found, families
