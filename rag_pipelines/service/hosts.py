"""By which names the service may be called: a web page can have any name of its own lead to this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_pipelines.config.auth import is_loopback
from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.service.admission import PROBES
from rag_pipelines.service.problems import problem


def known_hosts(service: ServiceConfig) -> frozenset[str] | None:
    """Names besides those of this machine itself; None where any will do, since every caller shows a credential."""
    if service.principal is None and not service.allowed_hosts:
        return None
    return frozenset(name.lower() for name in (service.host, *service.allowed_hosts))


class Hosts:
    """421 for a request whose `Host` is neither this machine nor a known name, with any port.

    A script of a page whose name was made to lead here (DNS rebinding) counts to a browser as one of ours, and could
    read every answer; the name that the browser asked for is the only sign of it.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], *, probed: bool) -> None:
        """`probed` lets probes in under any name: they are sent to addresses that no configuration knows."""
        self.app = app
        self._names = names
        self._open = PROBES if probed else frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in self._open:
            await self.app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")
        if is_local(host) or _name(host) in self._names:
            await self.app(scope, receive, send)
            return
        said = (
            "the service does not answer to the name in `Host`, whatever leads here; ask for localhost, or have the "
            "name added to allowed_hosts in service.yaml"
        )
        await problem(421, said, scope["path"])(scope, receive, send)


def is_local(host: str) -> bool:
    """Whether a `Host` names this machine: a name that somebody else lets point here would make them our origin."""
    name = _name(host)
    return is_loopback(name) or name.endswith(".localhost")


def _name(host: str) -> str:
    """Without its port, in lower case; empty where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
