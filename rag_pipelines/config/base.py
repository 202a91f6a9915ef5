"""What every configuration model is, and how things are named."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

NAME = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, Field(pattern=NAME, description="lower case letters, digits and _")]


class Model(BaseModel):
    """Base of every configuration model."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


def check_endpoint(value: str) -> str:
    """A URL of an HTTP endpoint, without credentials in it."""
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("is not an http:// or https:// URL")
    if url.password or url.username:
        raise ValueError("carries a user or password; name the variable that holds the key in api_key_env")
    return value
