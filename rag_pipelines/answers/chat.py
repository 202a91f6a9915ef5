"""An OpenAI-compatible chat endpoint as a provider, streamed or not."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx

from rag_pipelines.answers import completions
from rag_pipelines.answers.citing import Sentences
from rag_pipelines.answers.completions import Piece
from rag_pipelines.answers.failures import (
    CUT,
    EMPTY,
    GARBAGE,
    NO_KEY,
    REFUSED,
    TIMEOUT,
    TOO_LONG,
    UNREACHABLE,
    ProviderFailed,
)
from rag_pipelines.answers.values import Draft, Finish, Task, Tokens
from rag_pipelines.config.answers import PricesConfig, ProviderConfig
from rag_pipelines.config.environment import read_secret
from rag_pipelines.core.types import Classification

BYTES_A_CHARACTER = 400
"""How many bytes may arrive for a character of an answer: a streamed one comes wrapped piece by piece."""


class ChatProvider:
    """`POST {base_url}/chat/completions`. Redirects are refused: a key must not travel."""

    def __init__(self, config: ProviderConfig, client: httpx.AsyncClient, most_chars: int) -> None:
        self._config = config
        self._client = client
        self._most_chars = most_chars
        self._url = f"{config.base_url.rstrip('/')}/chat/completions"
        self._timeout = httpx.Timeout(config.read_seconds, connect=config.connect_seconds)

    @property
    def name(self) -> str:
        """As configured."""
        return self._config.name

    @property
    def model(self) -> str | None:
        """As configured; the endpoint may answer with a more exact name."""
        return self._config.model

    @property
    def seconds(self) -> float:
        """For one call."""
        return self._config.seconds

    @property
    def prices(self) -> PricesConfig | None:
        """As configured."""
        return self._config.prices

    @property
    def ceiling(self) -> Classification | None:
        """As configured."""
        return self._config.max_classification

    async def answer(self, task: Task) -> AsyncGenerator[Draft | Finish, None]:
        """Sentences as they become whole. Raises ProviderFailed."""
        sentences = Sentences(len(task.passages), task.withheld)
        written = ""
        model: str | None = None
        tokens: Tokens | None = None
        ended: str | None = None
        try:
            async with aclosing(self._pieces(task)) as pieces:
                async for piece in pieces:
                    model, tokens = piece.model or model, piece.tokens or tokens
                    ended = ended or piece.ended
                    written += piece.text
                    if len(written) > self._most_chars:
                        raise ProviderFailed(TOO_LONG, f"more than {self._most_chars} characters came")
                    for one in sentences.feed(piece.text):
                        yield one
            if ended is None:
                raise ProviderFailed(CUT, "the answer broke off")
            if ended == "content_filter":
                raise ProviderFailed(REFUSED, "the endpoint's content filter withheld the answer")
            if not written.strip():
                raise ProviderFailed(EMPTY, "the answer is empty")
        except ProviderFailed as error:
            error.written = written
            raise
        cut = ended == "length"
        for one in sentences.end(cut=cut):
            yield one
        yield Finish(written, tokens, model, cut)

    async def _pieces(self, task: Task) -> AsyncGenerator[Piece, None]:
        async with self._called(task) as response:
            kind = response.headers.get("content-type", "")
            if "event-stream" in kind or (task.stream and "json" not in kind):
                async for piece in completions.streamed(self._bytes(response)):
                    yield piece
                    if piece.ended == completions.DONE:
                        return
            else:
                body = b"".join([part async for part in self._bytes(response)])
                yield completions.read(body)

    @asynccontextmanager
    async def _called(self, task: Task) -> AsyncIterator[httpx.Response]:
        try:
            headers = self._headers()
            async with self._client.stream(
                "POST",
                self._url,
                content=self._body(task),
                headers=headers,
                params={"api-version": self._config.api_version} if self._config.api_version else None,
                timeout=self._timeout,
            ) as response:
                if not response.is_success:
                    raise completions.refusal(response, await self._error(response))
                yield response
        except httpx.ConnectTimeout as error:
            raise ProviderFailed(
                UNREACHABLE, f"no connection within {self._config.connect_seconds:g} s"
            ) from error
        except httpx.TimeoutException as error:
            raise ProviderFailed(TIMEOUT, f"nothing came for {self._config.read_seconds:g} s") from error
        except httpx.NetworkError as error:
            outcome = UNREACHABLE if isinstance(error, httpx.ConnectError) else CUT
            raise ProviderFailed(outcome, f"the connection failed ({type(error).__name__})") from error
        except httpx.DecodingError as error:
            raise ProviderFailed(GARBAGE, "the answer cannot be decompressed") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderFailed(CUT, f"the call failed ({type(error).__name__})") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        variable = self._config.api_key_env
        if variable is None:
            return headers
        key = read_secret(variable)
        if key is None:
            raise ProviderFailed(NO_KEY, f"the variable {variable} is not set")
        if not key.isascii() or not key.isprintable():
            raise ProviderFailed(NO_KEY, f"the variable {variable} holds characters that no header can have")
        own = {"api-key": key} if self._config.api == "azure" else {"Authorization": f"Bearer {key}"}
        return headers | own

    def _body(self, task: Task) -> bytes:
        if task.prompt is None:
            raise TypeError("a chat provider needs a prompt")
        config = self._config
        body = {
            "model": config.model,
            "messages": [
                {"role": "system", "content": task.prompt.system},
                {"role": "user", "content": task.prompt.user},
            ],
            config.limit_field: config.max_tokens,
        }
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if task.stream:
            body["stream"] = True
            if config.stream_usage:
                body["stream_options"] = {"include_usage": True}
        return json.dumps(body).encode("ascii")

    async def _bytes(self, response: httpx.Response) -> AsyncIterator[bytes]:
        left = BYTES_A_CHARACTER * self._most_chars
        async for part in response.aiter_bytes():
            left -= len(part)
            if left < 0:
                raise ProviderFailed(TOO_LONG, "the endpoint sent too much")
            yield part

    async def _error(self, response: httpx.Response) -> bytes:
        try:
            return b"".join([part async for part in self._bytes(response)])
        except (httpx.HTTPError, ProviderFailed):
            return b""
