"""Templates -> pages, and what every page is sent with."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC = {"pages.css": "text/css; charset=utf-8", "pages.js": "text/javascript; charset=utf-8"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: a browser would then send `Origin: null` with forms, which the check of it refuses.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def page(template: str, status: int = 200, /, **shown: Any) -> HTMLResponse:
    """A template as a response. Every value is escaped."""
    return HTMLResponse(_environment().get_template(template).render(**shown), status)


def asset(name: str) -> bytes:
    """A file of `static/`."""
    return (files("rag_pipelines.service") / "static" / name).read_bytes()


def document_path(index: str, citation: dict[str, Any]) -> str:
    """The page of the document that a citation names, opened at its span."""
    spans = {name: citation.get(name) for name in ("version", "start", "end")}
    query = urlencode({name: value for name, value in spans.items() if value is not None})
    return f"/pages/documents/{quote(index, safe='')}/{quote(str(citation['doc_id']), safe='')}?{query}#span"


def web_link(link: object) -> str | None:
    """A link that may be followed: a source may hold any scheme, and `javascript:` runs in this page."""
    return link if isinstance(link, str) and link.startswith(("http://", "https://")) else None


def moment(value: object) -> str:
    """To the minute, in UTC."""
    return _read(value).strftime("%Y-%m-%d %H:%M UTC") if isinstance(value, str) else "never"


def span(seconds: float | None) -> str:
    """A length of time in its largest unit."""
    if seconds is None:
        return ""
    units = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
    size, unit = next((found for found in units if seconds >= found[0]), units[-1])
    number = round(seconds / size)
    return f"{number} {unit if number != 1 else unit[:-1]}"


def age(value: str) -> float:
    """Seconds since a moment."""
    return max(0.0, (datetime.now(UTC) - _read(value)).total_seconds())


def _read(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("rag_pipelines.service"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(moment=moment, span=span, web_link=web_link)
    made.globals["document_path"] = document_path
    return made
