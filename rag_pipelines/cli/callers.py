"""What `doctor` says of the callers of the query service: how they are told apart, and whether that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rag_pipelines.catalog.api_keys import keys_of
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.cli.findings import Finding
from rag_pipelines.config.auth import IssuerConfig, is_loopback
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import ConfigError

CHECK = "authentication"


def check_authentication(configuration: Configuration, catalog: Catalog) -> list[Finding]:
    """Mode none is a warning; a key set that cannot be fetched and a groups file that cannot be read are failures."""
    service = configuration.service
    if service.principal is not None:
        return [
            Finding(
                CHECK,
                "warning",
                f"none: whoever reaches {service.host}:{service.port} asks as {service.principal.subject} of "
                f"tenant {service.principal.tenant}",
                "before others use it, set auth.mode to authenticated in configs/service.yaml",
            )
        ]
    found = list(_keys(configuration, catalog))
    found += [_issuer(config) for config in service.auth.issuers]
    if service.auth.groups_file is not None:
        found.append(_groups(configuration.root / service.auth.groups_file))
    if not is_loopback(service.host):
        found.append(
            Finding(
                "TLS",
                "warning",
                f"the service speaks plain HTTP on {service.host}, and credentials can be read on the way",
                "let a proxy on this machine speak TLS and bind the service to 127.0.0.1, or see that the network "
                "between them is private",
            )
        )
    return found


def _keys(configuration: Configuration, catalog: Catalog) -> Iterator[Finding]:
    from rag_pipelines.governance.keys import has_ended

    auth = configuration.service.auth
    if not auth.api_keys:
        yield Finding(CHECK, "ok", "tokens only; API keys are not accepted")
        return
    valid = sum(not has_ended(row) for row in keys_of(catalog))
    if valid or auth.issuers:
        yield Finding(CHECK, "ok", f"{valid} valid API keys, {len(auth.issuers)} issuers of tokens")
    else:
        yield Finding(CHECK, "warning", "there is no valid API key", "run `rag-pipelines keys create`")


def _issuer(config: IssuerConfig) -> Finding:
    from rag_pipelines.governance.issuer_keys import FetchFailed, IssuerKeys

    name = f"issuer {config.issuer}"
    keys = IssuerKeys(config)
    try:
        return Finding(name, "ok", f"{len(keys.fetch())} keys")
    except FetchFailed as error:
        return Finding(
            name, "failed", str(error), "check auth.issuers, and that this machine reaches the issuer"
        )
    finally:
        keys.close()


def _groups(path: Path) -> Finding:
    from rag_pipelines.governance.groups import FileDirectory

    try:
        return Finding("groups file", "ok", FileDirectory(path).check())
    except ConfigError as error:
        return Finding("groups file", "failed", str(error), "correct the file; until then callers get 503")
