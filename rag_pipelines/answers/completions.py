"""Reads what chat endpoints send: whole completions, streamed ones, and refusals. Everything in it is suspect."""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from rag_pipelines.answers.failures import (
    GARBAGE,
    RATE_LIMITED,
    REFUSED,
    SERVER_ERROR,
    ProviderFailed,
)
from rag_pipelines.answers.values import Tokens

DONE = "done"
"""`Piece.ended` where the stream said that nothing follows, without a reason."""

LONGEST_EVENT = 2**20
_PASSING = {408, 409, 425, 500, 502, 503, 504, 529}
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")
_LINE_ENDS = re.compile(rb"\r\n|\n|\r(?!\Z)")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of an answer; `ended` is the reason for which nothing follows."""

    text: str = ""
    ended: str | None = None
    tokens: Tokens | None = None
    model: str | None = None


def read(body: bytes) -> Piece:
    """A whole completion. Raises ProviderFailed."""
    data = _object(body)
    choice = _choice(data)
    if choice is None:
        raise ProviderFailed(GARBAGE, "the answer has no choices")
    message = choice.get("message")
    if not isinstance(message, dict):
        raise ProviderFailed(GARBAGE, "the answer has no message")
    return Piece(_text(message), _reason(choice) or "stop", _tokens(data), _model(data))


async def streamed(parts: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    """The pieces of a streamed completion (server-sent events). Raises ProviderFailed."""
    async for data in _events(parts):
        if data.strip() == "[DONE]":
            yield Piece(ended=DONE)
            return
        chunk = _object(data.encode())
        choice = _choice(chunk) or {}
        delta = choice.get("delta", {})
        if delta is not None and not isinstance(delta, dict):
            raise ProviderFailed(GARBAGE, "a piece of the answer has no delta")
        yield Piece(_text(delta or {}), _reason(choice), _tokens(chunk), _model(chunk))


def refusal(response: httpx.Response, body: bytes) -> ProviderFailed:
    """What another status than success means. Of the body only the endpoint's own code is told on."""
    status = response.status_code
    code = _code(body)
    told = f"HTTP {status}{f', {code}' if code else ''}"
    wait = _retry_after(response.headers.get("retry-after"))
    if status == 429:
        asked = f"; it asks to wait {wait:g} s" if wait is not None else ""
        return ProviderFailed(RATE_LIMITED, f"too many requests ({told}){asked}", retry_after=wait)
    if status in _PASSING or status >= 500:
        return ProviderFailed(SERVER_ERROR, f"the endpoint failed ({told})", retry_after=wait)
    if status in (401, 403):
        return ProviderFailed(REFUSED, f"the key was refused ({told})")
    if status == 404:
        return ProviderFailed(REFUSED, f"there is no such address or model ({told})")
    return ProviderFailed(REFUSED, f"the request was refused ({told})")


async def _events(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The data of each event. Other fields and comments are passed over, and so is a line that was cut off."""
    rest = b""
    data: list[str] = []
    async for part in parts:
        *lines, rest = _LINE_ENDS.split(rest + part)
        if len(rest) > LONGEST_EVENT:
            raise ProviderFailed(GARBAGE, "a line of the stream has no end")
        for line in lines:
            if not line.strip(b"\r"):
                if data:
                    yield "\n".join(data)
                data = []
            elif line.startswith(b"data:"):
                data.append(_decoded(line[5:].strip()))
    if rest.strip() == b"data: [DONE]":
        data.append("[DONE]")
    if data:
        yield "\n".join(data)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProviderFailed(GARBAGE, "the answer is not UTF-8") from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(_decoded(body))
    except (ValueError, RecursionError) as error:
        raise ProviderFailed(GARBAGE, "the answer is not JSON") from error
    if not isinstance(data, dict):
        raise ProviderFailed(GARBAGE, "the answer is not an object")
    if data.get("error"):
        code = _code(body)
        raise ProviderFailed(SERVER_ERROR, f"the endpoint reported an error{f' ({code})' if code else ''}")
    return data


def _choice(data: dict[str, Any]) -> dict[str, Any] | None:
    """The first one. Raises ProviderFailed where they are no list of objects."""
    choices = data.get("choices")
    if choices is None or choices == []:
        return None
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise ProviderFailed(GARBAGE, "the choices are no list of objects")
    first: dict[str, Any] = choices[0]
    return first


def _text(message: dict[str, Any]) -> str:
    """Its content; some endpoints send a list of parts."""
    if message.get("refusal"):
        raise ProviderFailed(REFUSED, "the model declined to answer")
    content = message.get("content")
    if content is None:
        return ""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        raise ProviderFailed(GARBAGE, "the content is not text")
    return _UNPRINTABLE.sub("�", content)


def _reason(choice: dict[str, Any]) -> str | None:
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) and reason else None


def _tokens(data: dict[str, Any]) -> Tokens | None:
    usage = data.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return None if prompt is None or completion is None else Tokens(prompt, completion)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def _model(data: dict[str, Any]) -> str | None:
    model = data.get("model")
    return _UNPRINTABLE.sub("�", model[:200]) if isinstance(model, str) and model else None


def _code(body: bytes) -> str | None:
    """The error's code or type where it is a plain word: messages may repeat keys and prompts."""
    try:
        data = json.loads(body)
        error = data.get("error", data)
        found = [error.get("code"), error.get("type")]
    except (ValueError, AttributeError, RecursionError):
        return None
    return next((one for one in found if isinstance(one, str) and _CODE.fullmatch(one)), None)


def _retry_after(value: str | None) -> float | None:
    """Seconds that the header asks to wait, in either of its forms."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), 86_400.0)
