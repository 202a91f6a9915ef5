"""Mistakes in `answers` are named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.config.answers import AnswersConfig

ONE = {"name": "a", "base_url": "http://127.0.0.1:8000/v1", "model": "m"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"providers": [ONE, ONE]}, "a is the name of two"),
        ({"providers": [{**ONE, "name": "extractive"}]}, "choose another"),
        ({"providers": [{**ONE, "api": "azure"}]}, "api_version is needed"),
        ({"providers": [{**ONE, "base_url": "http://me:secret@host/v1"}]}, "api_key_env"),
        ({"providers": [{**ONE, "api_key_env": "sk-123"}]}, "api_key_env"),
        ({"fallback": "search"}, "fallback"),
        ({"unsupported": "keep"}, "unsupported"),
        ({"support": {"threshold": 1.5}}, "threshold"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AnswersConfig.model_validate(values)


def test_defaults_need_no_model() -> None:
    assert AnswersConfig().providers == ()
