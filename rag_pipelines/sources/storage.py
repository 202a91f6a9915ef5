"""Opening fsspec URLs: relative paths, credentials by variable name, no stale caches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from rag_pipelines.config.environment import read_secret
from rag_pipelines.core.errors import SourceError

_SECRET = re.compile(
    r"(^key$|secret|token|passw|pwd|credential|sas|connection_string|access_key|api_?key)", re.I
)


def check_no_password(url: str) -> str:
    """The URL as it is; ValueError where it is empty or carries a password."""
    if not url:
        raise ValueError("is empty")
    for part in url.split("::"):
        if "://" in part and urlsplit(part).password:
            raise ValueError("carries a password; name an environment variable that holds it instead")
    return url


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        if isinstance(value, dict):
            _check_options(value)
        elif _SECRET.search(name) and not isinstance(value, bool):
            raise ValueError(
                f"{name!r} looks like a secret; write {name}: NAME_OF_VARIABLE in storage_options_env"
            )
    return options


VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
StorageUrl = Annotated[
    str,
    AfterValidator(check_no_password),
    Field(
        description="folder: a path relative to the folder of configs/, or any fsspec URL such as s3://bucket/a"
    ),
]
StorageOptions = Annotated[
    dict[str, Any], AfterValidator(_check_options), Field(description="fsspec options that are no secrets")
]
StorageOptionsEnv = Annotated[
    dict[str, VariableName], Field(description="fsspec option -> NAME of the environment variable holding it")
]


def local_path(url: str, base_dir: Path) -> Path | None:
    """The path a URL means on this machine, absolute; None where it is not a plain local URL."""
    if "::" in url:
        return None
    if "://" not in url:
        return base_dir.absolute() / Path(url).expanduser()
    scheme, _, rest = url.partition("://")
    if scheme not in ("file", "local"):
        return None
    return base_dir.absolute() / unquote(
        rest.removeprefix("localhost") if rest.startswith("localhost/") else rest
    )


def read_options(options: Mapping[str, Any], from_env: Mapping[str, str]) -> dict[str, Any]:
    """The options with secrets filled in; SourceError names a variable that is not set."""
    merged = dict(options)
    for option, variable in from_env.items():
        value = read_secret(variable)
        if value is None:
            raise SourceError(
                f"environment variable {variable} (storage_options_env: {option}) is not set; set it"
            )
        merged[option] = value
    return merged


def open_storage(url: str, base_dir: Path, options: Mapping[str, Any]) -> tuple[Any, str]:
    """A fresh fsspec filesystem and the path in it.

    Instances and listings are cached by fsspec across the process; a listing from a cache would hide
    changes, so neither is used.
    """
    from fsspec.core import url_to_fs

    links = url.split("::")
    innermost = local_path(links[-1], base_dir)
    if innermost is not None:
        links[-1] = f"file://{innermost}"
    fresh: dict[str, Any] = {}
    for link in links[:-1]:
        protocol = link.partition("://")[0]
        fresh[protocol] = {"skip_instance_cache": True, **dict(options.get(protocol, {}))}
    plain = {name: value for name, value in options.items() if name not in fresh}
    filesystem, path = url_to_fs(
        "::".join(links), **{**plain, **fresh}, skip_instance_cache=True, use_listings_cache=False
    )
    return filesystem, str(filesystem._strip_protocol(path)).rstrip("/")
