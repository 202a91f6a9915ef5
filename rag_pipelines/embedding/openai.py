"""An OpenAI-compatible embeddings endpoint over HTTP."""

from __future__ import annotations

import base64
import binascii
import email.utils
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import numpy as np

from rag_pipelines.config.environment import read_secret
from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.ports import EmbeddingBatch, Tokenizer
from rag_pipelines.core.types import Distance, FloatArray
from rag_pipelines.embedding.batches import checked
from rag_pipelines.embedding.tokens import without_surrogates

log = logging.getLogger(__name__)

RETRIED = {408, 409, 425, 429, 500, 502, 503, 504, 529}
FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0
MAX_REQUEST_BYTES = 1_000_000
_MESSAGE_CHARS = 300
_LONG_WORD = 20


class OpenAIEmbedder:
    """The Embedder port over `POST {base_url}/embeddings`.

    `sleep` and `jitter` are replaced in tests; `jitter()` is uniform in [0, 1).
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        fingerprint: str,
        tokenizer: Tokenizer,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if config.openai is None:
            raise EmbeddingError("provider openai needs the openai: section of the embedding configuration")
        self._config = config
        self._endpoint = config.openai
        self._fingerprint = fingerprint
        self._tokenizer = tokenizer
        self._sleep = sleep
        self._jitter = jitter
        self._url = f"{self._endpoint.base_url.rstrip('/')}/embeddings"
        self._unit = config.distance is Distance.COSINE
        self._key = _key(self._endpoint.api_key_env)
        self._client = httpx.Client(timeout=self._endpoint.timeout_seconds)

    @property
    def fingerprint(self) -> str:
        """Of model name, endpoint, dimension, length and passage prefix."""
        return self._fingerprint

    @property
    def description(self) -> str:
        """Model and endpoint."""
        return f"{self._config.model} at {self._endpoint.base_url}, {self.dimension} dimensions"

    @property
    def dimension(self) -> int:
        """Length of a vector, as configured and checked in every answer."""
        return self._endpoint.dimension

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Vectors of passages, request by request in order; too long ones are cut here and counted."""
        cut = [self._cut(self._config.passage_prefix + text) for text in texts]
        parts = [np.empty((0, self.dimension), np.float32)]
        for batch in self._requests([text for text, _ in cut]):
            parts.append(self._post(batch))
            if on_done is not None:
                on_done(len(batch))
        vectors = self._check(np.concatenate(parts), len(texts))
        return EmbeddingBatch(vectors, sum(was_cut for _, was_cut in cut))

    def embed_query(self, text: str) -> FloatArray:
        """Vector of a question, with `query_prefix`."""
        cut, _ = self._cut(self._config.query_prefix + text)
        vector: FloatArray = self._check(self._post([cut]), 1)[0]
        return vector

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _check(self, vectors: FloatArray, texts: int) -> FloatArray:
        return checked(vectors, (texts, self.dimension), unit=self._unit, model=self._config.model)

    def _requests(self, texts: list[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for text in texts:
            length = len(text.encode())
            if batch and (len(batch) == self._endpoint.batch_size or size + length > MAX_REQUEST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(text)
            size += length
        if batch:
            yield batch

    def _cut(self, text: str) -> tuple[str, bool]:
        """The text within `max_tokens`, measured by our own tokenizer, and whether it had to be cut.

        No tokenizer makes more tokens than bytes, so short texts need no measuring. A word too long for our
        vocabulary is a single unknown token here and many elsewhere: it counts by its length.
        """
        text = without_surrogates(text)
        limit = self._endpoint.max_tokens
        if len(text.encode()) <= limit:
            return text, False
        spans = self._tokenizer.offsets([text])[0]
        width = spans[:, 1] - spans[:, 0]
        cost = np.cumsum(np.where(width > _LONG_WORD, width // 2, 1))
        kept = int(np.searchsorted(cost, limit, side="right"))
        if kept == len(spans):
            return text, False
        spent = int(cost[kept - 1]) if kept else 0
        end = int(spans[kept, 0]) + (2 * (limit - spent) if width[kept] > _LONG_WORD else 0)
        return text[:end], True

    def _post(self, texts: list[str]) -> FloatArray:
        payload = {"model": self._config.model, "input": texts, "encoding_format": "float"}
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        attempts = self._endpoint.max_attempts
        for attempt in range(1, attempts + 1):
            wait, said = None, ""
            try:
                response = self._client.post(self._url, json=payload, headers=headers)
            except httpx.TransportError as error:
                problem, said = type(error).__name__, f": {error}"
            except httpx.InvalidURL as error:
                raise EmbeddingError(f"`openai.base_url` is not a URL: {error}") from error
            else:
                if response.is_success:
                    return self._vectors(response, len(texts))
                problem, said = f"HTTP {response.status_code}", self._said(response)
                if response.status_code not in RETRIED:
                    raise self._failed(
                        f"{self._url} refused to embed {len(texts)} texts with model {self._config.model}: {problem}",
                        said,
                        "check the model name, the key and the limits of the endpoint",
                    )
                wait = _retry_after(response)
            if attempt < attempts:
                delay = self._delay(attempt, wait)
                log.warning("embedding request is retried: attempt=%d delay=%.1f %s", attempt, delay, problem)
                self._sleep(delay)
        raise self._failed(
            f"{self._url} did not embed {len(texts)} texts in {attempts} attempts, last: {problem}",
            said,
            "try again later, or raise `openai.max_attempts` or `openai.timeout_seconds`",
            transient=True,
        )

    def _failed(self, what: str, said: str, advice: str, *, transient: bool = False) -> EmbeddingError:
        """What the endpoint said stands in the message alone: it may quote the texts that were sent."""
        return EmbeddingError(
            f"{what}{said}; {advice}",
            transient=transient,
            model=self._config.model,
            bare=f"{what}; {advice}",
        )

    def _delay(self, attempt: int, wait: float | None) -> float:
        """What the server asks for, else exponential with jitter, so that clients do not return together."""
        if wait is not None:
            return min(LONGEST_DELAY, wait + self._jitter() * FIRST_DELAY)
        backoff = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (attempt - 1))
        return float(backoff * (0.5 + self._jitter() / 2))

    def _vectors(self, response: httpx.Response, count: int) -> FloatArray:
        try:
            items = response.json()["data"]
            by_index = {int(item["index"]): _decode(item["embedding"]) for item in items}
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise EmbeddingError(
                f"{self._url} answered something that is not a list of embeddings ({type(error).__name__}); "
                f"check that `openai.base_url` ends where /embeddings follows, usually with /v1",
                model=self._config.model,
            ) from error
        if len(items) != count or sorted(by_index) != list(range(count)):
            raise EmbeddingError(
                f"{self._url} answered {len(items)} embeddings for {count} texts; check the endpoint's batch "
                f"limit and `openai.batch_size`",
                model=self._config.model,
            )
        lengths = {vector.size for vector in by_index.values()}
        if lengths != {self.dimension}:
            raise EmbeddingError(
                f"model {self._config.model} at {self._endpoint.base_url} returns vectors of "
                f"{', '.join(map(str, sorted(lengths)))} dimensions, but `openai.dimension` says "
                f"{self.dimension}; correct the configuration",
                model=self._config.model,
            )
        return np.stack([by_index[position] for position in range(count)])

    def _said(self, response: httpx.Response) -> str:
        """The server's message, which may echo the key: it is blanked."""
        try:
            body: Any = response.json()
            error = body.get("error", body) if isinstance(body, dict) else body
            message = error.get("message", error) if isinstance(error, dict) else error
        except ValueError:
            message = response.text
        text = " ".join(str(message).split())
        if self._key:
            text = text.replace(self._key, "***")
        return f": {text[:_MESSAGE_CHARS]}"


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = read_secret(variable)
    if key is None:
        raise EmbeddingError(f"the environment variable {variable} (`openai.api_key_env`) is not set")
    return key


def _decode(embedding: Any) -> FloatArray:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
    vector = np.asarray(embedding, np.float32)
    if vector.ndim != 1:
        raise ValueError("an embedding is not a list of numbers")
    return vector


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the header asks to wait, in either of its two forms; capped by the caller."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
