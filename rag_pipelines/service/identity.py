"""Who sends a request: from its `Authorization` header to an identity, by the rules of `auth` in service.yaml."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cachetools import TTLCache

from rag_pipelines.catalog import api_keys
from rag_pipelines.catalog.store import Catalog, now
from rag_pipelines.config.service import PrincipalConfig, ServiceConfig
from rag_pipelines.core.errors import CatalogError, ConfigError
from rag_pipelines.core.types import Principal
from rag_pipelines.governance.groups import Directory, FileDirectory, TableDirectory, groups_of
from rag_pipelines.governance.identity import Identity, InvalidCredential, Unjudged
from rag_pipelines.governance.issuer_keys import IssuerKeys
from rag_pipelines.governance.keys import PREFIX, recognise
from rag_pipelines.governance.scopes import SCOPES
from rag_pipelines.governance.tokens import judge

logger = logging.getLogger(__name__)
REMEMBERED = 10_000
USES_SECONDS = 300.0
CATALOG_RETRY_SECONDS = 5.0
SCHEME = "bearer"


class Authentication(Protocol):
    """How callers are told apart. Safe to call from several threads; close it when done."""

    def identify(self, authorization: Sequence[str]) -> Identity:
        """From the `Authorization` headers. Raises InvalidCredential, NotEntitled and Unjudged."""

    def close(self) -> None:
        """Release connections, and keep when keys were last used."""


class Everybody:
    """Mode none: whatever is sent, it is the configured principal."""

    def __init__(self, config: PrincipalConfig) -> None:
        principal = Principal(config.subject, config.tenant, config.groups, config.clearance)
        self._identity = Identity(principal, frozenset(SCOPES), "none")

    def identify(self, authorization: Sequence[str]) -> Identity:
        """The same for everybody."""
        return self._identity

    def close(self) -> None:
        """Nothing is open."""


class Credentials:
    """Mode authenticated: API keys, tokens, and the groups that files and tables add.

    What the catalog said of a key or of somebody's groups is believed for `recheck_seconds`; a token is judged anew
    with every request.
    """

    def __init__(self, service: ServiceConfig, catalog: Catalog, root: Path) -> None:
        """Raises ConfigError for unknown scopes and for a groups file that cannot be read."""
        check(service, root)
        auth = self._auth = service.auth
        self._catalog = catalog
        self._issuers = {config.issuer: IssuerKeys(config) for config in auth.issuers}
        self._directories = directories(service, catalog, root)
        self._remembering = threading.Lock()
        self._keys: TTLCache[bytes, Identity] = TTLCache(REMEMBERED, auth.recheck_seconds)
        self._groups: TTLCache[Principal, tuple[str, ...]] = TTLCache(REMEMBERED, auth.recheck_seconds)
        self._uses: dict[str, str] = {}
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write_uses, name="key-uses", daemon=True)
        for keys in self._issuers.values():
            keys.prepare()
        self._writer.start()

    def identify(self, authorization: Sequence[str]) -> Identity:
        """One header, one scheme, one credential."""
        if len(authorization) != 1:
            raise InvalidCredential("send one Authorization: Bearer header", reason="no single header")
        scheme, _, text = authorization[0].partition(" ")
        if scheme.lower() != SCHEME:
            raise InvalidCredential("send Authorization: Bearer and a credential", reason="another scheme")
        try:
            found = self._key(text) if text.startswith(PREFIX) else judge(text, self._issuers)
            return self._with_groups(found)
        except CatalogError as error:
            logger.error("credential cannot be judged: %s", error)
            raise Unjudged("the credential cannot be judged now", CATALOG_RETRY_SECONDS) from error

    def close(self) -> None:
        """Ends the thread after what it writes last."""
        self._stop.set()
        self._writer.join()
        for keys in self._issuers.values():
            keys.close()

    def _key(self, text: str) -> Identity:
        if not self._auth.api_keys:
            raise InvalidCredential(reason="API keys are not accepted")
        # Remembered by the hash of all of it: a guess at a secret never meets what was remembered of the right one.
        name = hashlib.sha256(text.encode(errors="replace")).digest()
        with self._remembering:
            found = self._keys.get(name)
        if found is None:
            found = recognise(self._catalog, text)
            with self._remembering:
                self._keys[name] = found
                self._uses[found.credential.removeprefix("key:")] = now()
        return found

    def _with_groups(self, found: Identity) -> Identity:
        told = found.principal
        own = told.groups if "credential" in self._auth.groups_from else ()
        with self._remembering:
            groups = self._groups.get(told)
        if groups is None:
            groups = groups_of(self._directories, told.tenant, told.subject, own)
            with self._remembering:
                self._groups[told] = groups
        principal = Principal(told.subject, told.tenant, groups, told.clearance)
        return Identity(principal, found.scopes, found.credential)

    def _write_uses(self) -> None:
        """Now and then, and never in a request: on SQLite a write waits for whoever writes."""
        while not self._stop.wait(USES_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._remembering:
            uses, self._uses = self._uses, {}
        try:
            if uses:
                api_keys.save_uses(self._catalog, uses)
        except CatalogError as error:
            logger.warning("when keys were last used is not kept: %s", error)


def open_authentication(service: ServiceConfig, catalog: Catalog, root: Path) -> Authentication:
    """That of the configuration. Raises ConfigError."""
    if service.principal is not None:
        return Everybody(service.principal)
    return Credentials(service, catalog, root)


def announce(service: ServiceConfig, port: int) -> None:
    """Say at start who will be let in; loudly where that is everybody."""
    if service.principal is None:
        issuers = ",".join(config.issuer for config in service.auth.issuers)
        logger.info(
            "authenticated: serving %s:%s api_keys=%s issuers=%s",
            service.host,
            port,
            service.auth.api_keys,
            issuers,
        )
        return
    logger.warning(
        "no authentication: serving %s:%s as subject=%s tenant=%s groups=%s clearance=%s",
        service.host,
        port,
        service.principal.subject,
        service.principal.tenant,
        ",".join(service.principal.groups),
        service.principal.clearance.value,
    )


def directories(service: ServiceConfig, catalog: Catalog, root: Path) -> list[Directory]:
    """Where groups stand besides the credential."""
    auth = service.auth
    found: list[Directory] = []
    if "table" in auth.groups_from:
        found.append(TableDirectory(catalog))
    if auth.groups_file is not None:
        found.append(FileDirectory(root / auth.groups_file))
    return found


def check(service: ServiceConfig, root: Path) -> None:
    """What only the rest of the program can tell of `auth`. Raises ConfigError."""
    auth = service.auth
    for position, config in enumerate(auth.issuers):
        unknown = sorted(set(config.default_scopes) - set(SCOPES))
        if unknown:
            raise ConfigError(
                f"service.yaml: auth.issuers.{position}.default_scopes: there is no scope {unknown[0]!r}; "
                f"valid: {', '.join(SCOPES)}"
            )
    if auth.groups_file is not None:
        FileDirectory(root / auth.groups_file).check()
