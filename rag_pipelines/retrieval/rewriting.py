"""A language model writes the question anew; whatever goes wrong, the question is asked as it was."""

from __future__ import annotations

import logging
import time
from typing import Protocol

import httpx

from rag_pipelines.config.environment import read_secret
from rag_pipelines.config.query import RewritingConfig
from rag_pipelines.core.errors import ConfigError

logger = logging.getLogger(__name__)
LONGEST_ANSWER = 2**16
LONGEST_QUERY = 1000
MOST_TOKENS = 200


class RewriteFailed(Exception):
    """Why there is no other question, in words for whoever asked."""


class Rewriter(Protocol):
    """Writes questions anew. Safe to call from several threads."""

    def rewrite(self, question: str) -> tuple[str, ...]:
        """Search queries that mean the question, best first, at least one. Raises RewriteFailed."""

    def close(self) -> None:
        """Release connections."""


class ChatRewriter:
    """An OpenAI-compatible chat endpoint: one request a question, no second try."""

    def __init__(self, config: RewritingConfig) -> None:
        """Raises ConfigError where the variable that should hold the key is not set."""
        self._config = config
        self._url = f"{config.base_url.rstrip('/')}/chat/completions"
        key = read_secret(config.api_key_env) if config.api_key_env is not None else None
        if config.api_key_env is not None and key is None:
            raise ConfigError(
                f"the variable {config.api_key_env} is not set; `retrieval.query.rewriting.api_key_env` names it"
            )
        self._headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        self._client = httpx.Client(timeout=config.timeout_seconds)

    def rewrite(self, question: str) -> tuple[str, ...]:
        """The lines of the model's answer. The text of the question is never logged."""
        try:
            return _queries(self._answer(question))
        except RewriteFailed as error:
            logger.warning("model=%s rewriting=%s", self._config.model, error)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answer(self, question: str) -> bytes:
        """The body, read within the time: a server that sends a little now and then does not hold the search."""
        deadline = time.monotonic() + self._config.timeout_seconds
        payload = {
            "model": self._config.model,
            "messages": [
                {"role": "system", "content": self._config.prompt},
                {"role": "user", "content": question},
            ],
            "temperature": 0,
            "max_tokens": MOST_TOKENS,
        }
        body = b""
        try:
            with self._client.stream("POST", self._url, json=payload, headers=self._headers) as response:
                if not response.is_success:
                    raise RewriteFailed(f"the endpoint answered {response.status_code}")
                for part in response.iter_bytes():
                    body += part
                    if time.monotonic() >= deadline:
                        raise RewriteFailed(f"no answer within {self._config.timeout_seconds:g} s")
                    if len(body) > LONGEST_ANSWER:
                        raise RewriteFailed("the endpoint answered too much")
        except httpx.TimeoutException as error:
            raise RewriteFailed(f"no answer within {self._config.timeout_seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RewriteFailed(f"the endpoint cannot be reached ({type(error).__name__})") from error
        return body


def _queries(body: bytes) -> tuple[str, ...]:
    import msgspec

    try:
        content = msgspec.json.decode(body)["choices"][0]["message"]["content"]
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise RewriteFailed("the endpoint answered something that is no chat completion") from error
    lines = content.splitlines() if isinstance(content, str) else []
    found = [text for line in lines if (text := " ".join(line.strip().strip('"').split()))]
    if not found:
        raise RewriteFailed("the model answered nothing")
    if len(found[0]) > LONGEST_QUERY:
        raise RewriteFailed(f"the model answered more than {LONGEST_QUERY} characters")
    return tuple(dict.fromkeys(text for text in found if len(text) <= LONGEST_QUERY))
