"""The HTTP provider against a real server on loopback."""

from __future__ import annotations

import email.utils
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_pipelines.config.models import EmbeddingConfig, OpenAIEmbedding
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.types import Distance
from rag_pipelines.embedding import open_embedder, open_tokenizer
from rag_pipelines.embedding.openai import OpenAIEmbedder
from rag_pipelines_tests.embedding.embedding_server import (
    Answer,
    EmbeddingServer,
    as_base64,
    serve,
    vector_of,
)

KEY = "sk-test-7f3a"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serve() as running:
        yield running


@pytest.fixture
def slept() -> list[float]:
    return []


def embedder(server: EmbeddingServer, slept: list[float], **settings: Any) -> OpenAIEmbedder:
    outer = {
        key: settings.pop(key) for key in ("distance", "query_prefix", "passage_prefix") if key in settings
    }
    section = OpenAIEmbedding.model_validate({"base_url": server.url, "dimension": 3, **settings})
    config = EmbeddingConfig(model="m", provider="openai", openai=section, **outer)
    tokenizer = open_tokenizer(config, Path())
    return OpenAIEmbedder(config, "f" * 16, tokenizer, sleep=slept.append, jitter=lambda: 0.5)


def unit(text: str) -> np.ndarray[Any, Any]:
    vector = np.array(vector_of(text))
    unit_vector: np.ndarray[Any, Any] = vector / np.linalg.norm(vector)
    return unit_vector


def test_batches_are_split_and_keep_the_order(server: EmbeddingServer, slept: list[float]) -> None:
    texts = [f"text {'x' * i}" for i in range(7)]
    done: list[int] = []
    batch = embedder(server, slept, batch_size=3).embed(texts, done.append)
    assert [request["input"] for request in server.requests] == [texts[:3], texts[3:6], texts[6:]]
    assert server.requests[0]["path"] == "/v1/embeddings"
    assert server.requests[0]["model"] == "m"
    assert done == [3, 3, 1]
    assert batch.vectors.dtype == np.float32
    np.testing.assert_allclose(batch.vectors, [unit(text) for text in texts], rtol=1e-6)


def test_a_shuffled_answer_is_put_back_by_index(server: EmbeddingServer, slept: list[float]) -> None:
    server.script = [Answer(change=lambda items: items[::-1])]
    batch = embedder(server, slept).embed(["a", "bb", "ccc"])
    np.testing.assert_allclose(batch.vectors, [unit("a"), unit("bb"), unit("ccc")], rtol=1e-6)


def test_base64_vectors_are_read(server: EmbeddingServer, slept: list[float]) -> None:
    server.script = [Answer(change=as_base64)]
    np.testing.assert_allclose(embedder(server, slept).embed(["abc"]).vectors, [unit("abc")], rtol=1e-6)


def test_dot_distance_keeps_the_length(server: EmbeddingServer, slept: list[float]) -> None:
    vectors = embedder(server, slept, distance=Distance.DOT).embed(["abc"]).vectors
    np.testing.assert_allclose(vectors, [vector_of("abc")])


def test_no_texts_no_request(server: EmbeddingServer, slept: list[float]) -> None:
    assert embedder(server, slept).embed([]).vectors.shape == (0, 3)
    assert server.requests == []


def test_prefixes(server: EmbeddingServer, slept: list[float]) -> None:
    model = embedder(server, slept, query_prefix="query:", passage_prefix="passage:")
    model.embed(["a"])
    assert model.embed_query("a").shape == (3,)
    assert [request["input"] for request in server.requests] == [["passage:a"], ["query:a"]]


def test_retry_after_is_honoured_and_capped(server: EmbeddingServer, slept: list[float]) -> None:
    soon = email.utils.formatdate(time.time() + 3600, usegmt=True)
    server.script = [
        Answer(429, {"Retry-After": "7"}, b"{}"),
        Answer(429, {"Retry-After": "86400"}, b"{}"),
        Answer(503, {"Retry-After": soon}, b"{}"),
        Answer(503, {"Retry-After": "whenever"}, b"{}"),
    ]
    embedder(server, slept).embed(["a"])
    assert slept == [7.25, 60.0, 60.0, 3.0]  # the last: 0.5 * 2**3 * (0.5 + 0.25)


def test_server_errors_are_retried_with_growing_delays_until_given_up(
    server: EmbeddingServer, slept: list[float]
) -> None:
    server.script = [Answer(500, body=b'{"error": {"message": "out of memory"}}')] * 4
    with pytest.raises(EmbeddingError, match=r"in 4 attempts, last: HTTP 500: out of memory") as caught:
        embedder(server, slept, max_attempts=4).embed(["a"])
    assert caught.value.transient
    assert slept == [0.375, 0.75, 1.5]
    assert len(server.requests) == 4


def test_a_hanging_server_times_out_and_is_asked_again(server: EmbeddingServer, slept: list[float]) -> None:
    release = threading.Event()
    server.script = [Answer(hang=release)]
    try:
        batch = embedder(server, slept, timeout_seconds=0.3).embed(["a"])
    finally:
        release.set()
    np.testing.assert_allclose(batch.vectors, [unit("a")], rtol=1e-6)
    assert len(slept) == 1


def test_a_dropped_connection_is_tried_again(server: EmbeddingServer, slept: list[float]) -> None:
    server.script = [Answer(drop=True)]
    assert len(embedder(server, slept).embed(["a"]).vectors) == 1
    assert len(slept) == 1


def test_nobody_listening_is_transient(slept: list[float]) -> None:
    with serve() as gone:
        pass
    with pytest.raises(EmbeddingError, match="in 2 attempts, last: ConnectError") as caught:
        embedder(gone, slept, max_attempts=2).embed(["a"])
    assert caught.value.transient


def test_a_refusal_is_final_and_never_shows_the_key(
    server: EmbeddingServer,
    slept: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("EMBED_KEY", KEY)
    echo = f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'.encode()
    server.script = [Answer(500, body=echo), Answer(401, body=echo)]
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(EmbeddingError, match="HTTP 401: Incorrect API") as caught,
    ):
        embedder(server, slept, api_key_env="EMBED_KEY").embed(["a"])
    assert not caught.value.transient
    assert server.keys == [f"Bearer {KEY}"] * 2
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text


def test_a_key_that_is_not_set_is_named(server: EmbeddingServer, slept: list[float]) -> None:
    with pytest.raises(EmbeddingError, match="EMBED_KEY_UNSET .* is not set"):  # noqa: RUF043
        embedder(server, slept, api_key_env="EMBED_KEY_UNSET")


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b"[]", b'{"data": [{"index": 0}]}', b'{"data": 3}']
)
def test_garbage_is_refused(server: EmbeddingServer, slept: list[float], body: bytes) -> None:
    server.script = [Answer(body=body)]
    with pytest.raises(EmbeddingError, match="not a list of embeddings"):
        embedder(server, slept).embed(["a"])


def test_another_dimension_than_configured_is_refused(server: EmbeddingServer, slept: list[float]) -> None:
    with pytest.raises(EmbeddingError, match="vectors of 3 dimensions, but .*dimension. says 4"):  # noqa: RUF043
        embedder(server, slept, dimension=4).embed(["a"])


def test_too_few_or_repeated_answers_are_refused(server: EmbeddingServer, slept: list[float]) -> None:
    def repeat(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [items[0], items[0]]

    for change in (lambda items: items[:1], repeat):
        server.script = [Answer(change=change)]
        with pytest.raises(EmbeddingError, match="embeddings for 2 texts"):
            embedder(server, slept).embed(["a", "b"])


def test_a_zero_or_nan_vector_is_refused(server: EmbeddingServer, slept: list[float]) -> None:
    for number in ("0", "NaN"):
        body = f'{{"data": [{{"index": 0, "embedding": [{number}, 0, 0]}}]}}'.encode()
        server.script = [Answer(body=body)]
        with pytest.raises(EmbeddingError, match="zero vector"):
            embedder(server, slept).embed(["a"])


def test_long_texts_are_cut_here_and_counted(server: EmbeddingServer, slept: list[float]) -> None:
    texts = ["alpha " * 40, "short", "x" * 100, "beta " * 20]
    batch = embedder(server, slept, max_tokens=20).embed(texts)
    assert batch.truncated == 2
    # a word of 100 letters counts as 50 tokens and keeps two letters for each of the 20
    assert server.requests[0]["input"] == ["alpha " * 20, "short", "x" * 40, "beta " * 20]


def test_large_texts_do_not_share_one_request(server: EmbeddingServer, slept: list[float]) -> None:
    texts = ["é" * 300_000, "b" * 300_000, "c" * 300_000]
    embedder(server, slept, max_tokens=900_000).embed(texts)
    assert [len(request["input"]) for request in server.requests] == [2, 1]


def test_through_the_package(server: EmbeddingServer, tmp_path: Path) -> None:
    section = OpenAIEmbedding(base_url=server.url, dimension=3)
    model = open_embedder(EmbeddingConfig(model="m", provider="openai", openai=section), tmp_path)
    assert model.description == f"m at {server.url}, 3 dimensions"
    assert len(model.fingerprint) == 16
    np.testing.assert_allclose(model.embed_query("abc"), unit("abc"), rtol=1e-6)
    model.close()
