"""`auth` in `configs/service.yaml`: by what callers show who they are."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from rag_pipelines.config.base import Model, check_endpoint
from rag_pipelines.config.isolation import Tenant
from rag_pipelines.core.types import Classification

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip
ClaimPath = str | tuple[str, ...]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there; names other than localhost are not asked."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_authority(value: str) -> str:
    """Keys that are fetched without TLS could be anybody's."""
    url = urlsplit(check_endpoint(value))
    if url.scheme != "https" and not is_loopback(url.hostname or ""):
        raise ValueError("must be https://; plain http is for loopback addresses")
    if url.query or url.fragment:
        raise ValueError("has a query or fragment, which no issuer has")
    return value


Authority = Annotated[str, AfterValidator(_check_authority)]


class ClaimsConfig(Model):
    """Which claim says what; a list is the path to a nested one."""

    subject: ClaimPath = "sub"
    tenant: ClaimPath = "tenant"
    groups: ClaimPath = "groups"
    clearance: ClaimPath = "clearance"
    scopes: ClaimPath = "scope"


class IssuerConfig(Model):
    """Whose tokens are accepted, and for which tenants they may speak."""

    issuer: Authority
    audience: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    types: tuple[str, ...] = Field(default=("JWT", "at+jwt"), min_length=1)
    jwks_url: Authority | None = None
    claims: ClaimsConfig = ClaimsConfig()
    tenant: Tenant | None = None
    tenants: dict[str, Tenant] = Field(default={})
    clearances: dict[str, Classification] = Field(default={})
    default_clearance: Classification = Classification.PUBLIC
    max_clearance: Classification = Classification.RESTRICTED
    default_scopes: tuple[str, ...] = ()
    scope_prefix: str = ""
    subject_prefix: str = ""
    clock_skew_seconds: float = Field(default=30, ge=0, le=300)
    max_age_seconds: float = Field(default=86_400, gt=0)
    timeout_seconds: float = Field(default=3, gt=0, le=30)
    cache_seconds: float = Field(default=600, gt=0, le=86_400)
    refresh_seconds: float = Field(default=10, gt=0, le=600)

    @model_validator(mode="after")
    def _check_tenants(self) -> IssuerConfig:
        if (self.tenant is None) == (not self.tenants):
            raise ValueError(
                "needs tenant (every token speaks for that one) or tenants (claim value: tenant), not both"
            )
        return self

    @property
    def speaks_for(self) -> frozenset[str]:
        """The tenants that its tokens can name."""
        return frozenset({self.tenant} if self.tenant is not None else self.tenants.values())


class AuthConfig(Model):
    """Without it nobody is asked who they are, and the service listens on loopback only."""

    mode: Literal["none", "authenticated"] = "none"
    api_keys: bool = True
    issuers: tuple[IssuerConfig, ...] = ()
    groups_from: tuple[Literal["credential", "table", "file"], ...] = ("credential",)
    groups_file: str | None = None
    recheck_seconds: float = Field(default=5, ge=0, le=300)
    public_docs: bool = False

    @field_validator("groups_file")
    @classmethod
    def _check_file(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "file" not in info.data.get("groups_from", ("file",)):
            raise ValueError("is not read, since groups_from does not name file")
        return value

    @model_validator(mode="after")
    def _check(self) -> AuthConfig:
        if "file" in self.groups_from and self.groups_file is None:
            raise ValueError("groups_from names file, so groups_file must say which")
        if self.mode == "none":
            if self.issuers:
                raise ValueError("has issuers whose tokens nobody reads; set mode to authenticated")
            return self
        if not self.api_keys and not self.issuers:
            raise ValueError("accepts neither API keys nor tokens; set api_keys to true or name an issuer")
        _check_apart(self.issuers)
        return self


def _check_apart(issuers: tuple[IssuerConfig, ...]) -> None:
    """Two issuers that give one name to two people would give each the rights of the other."""
    for position, one in enumerate(issuers):
        for other in issuers[:position]:
            if one.issuer == other.issuer:
                raise ValueError(f"names the issuer {one.issuer} twice")
            shared = one.speaks_for & other.speaks_for
            if shared and one.subject_prefix == other.subject_prefix:
                raise ValueError(
                    f"has two issuers for tenant {min(shared)} that name subjects alike; give {one.issuer} "
                    "a subject_prefix of its own"
                )
