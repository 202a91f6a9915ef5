"""Permanent links to a file at a commit, for the forges that have them."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_SCP = re.compile(r"^(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>[^/].*)$")
_FORGES = (
    ("github", "https://{host}/{project}/blob/{commit}/{path}"),
    ("gitlab", "https://{host}/{project}/-/blob/{commit}/{path}"),
    ("bitbucket", "https://{host}/{project}/src/{commit}/{path}"),
    ("gitea", "https://{host}/{project}/src/commit/{commit}/{path}"),
    ("forgejo", "https://{host}/{project}/src/commit/{commit}/{path}"),
    ("codeberg", "https://{host}/{project}/src/commit/{commit}/{path}"),
)


def permalink(url: str, commit: str, path: str, template: str | None = None) -> str:
    """Where a person can read the file; `url@commit:path` where the forge is not known.

    A forge is known by a part of its host name; `template` with {commit} and {path} serves the others.
    """
    if template is not None:
        return template.replace("{commit}", commit).replace("{path}", quote(path, safe="/"))
    host, project = _host_and_project(url)
    for name, pattern in _FORGES:
        if host is not None and name in host:
            return pattern.format(
                host=host, project=quote(project), commit=commit, path=quote(path, safe="/")
            )
    return f"{url}@{commit}:{path}"


def _host_and_project(url: str) -> tuple[str | None, str]:
    if "://" in url:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https", "ssh", "git") else None
        project = parts.path
    else:
        match = _SCP.match(url)
        host, project = (match["host"], match["path"]) if match else (None, "")
    return host, project.strip("/").removesuffix(".git")
