"""Every backend gives the vectors that sentence-transformers gives."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.ports import Embedder
from rag_pipelines.core.types import Distance, FloatArray
from rag_pipelines.embedding import embedding_fingerprint, open_embedder
from rag_pipelines_tests.embedding.conftest import set_pooling

TEXTS = [
    "The deployment is rolled back when two of three health checks fail within a minute.",
    "invoice",
    "",
    "Straße, naïve café, 東京都, 🚀🚀, Ελληνικά",
    "A paragraph about nothing in particular that goes on for a while. " * 12,
    "line one\nline two\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "token " * 5000,
    "lone surrogate \ud800 here",
]

LEAST = {"fp32": 0.99999, "bf16": 0.999, "int8": 0.985}
"""Least cosine to the reference; int8 rounds texts that say nothing (2, 6) more coarsely."""


def allowed(text: int, least: float) -> float:
    """The bound for one of the texts."""
    return 0.96 if least == LEAST["int8"] and text in {2, 6} else least


@pytest.fixture(scope="module")
def reference(models_dir: Path) -> FloatArray:
    """What sentence-transformers computes with its defaults."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    model = open_embedder(EmbeddingConfig(backend="torch", precision="fp32"), models_dir)
    assert model.description == "bundled:all-MiniLM-L6-v2, sentence-transformers fp32"
    batch = model.embed([text.replace("\ud800", "\ufffd") for text in TEXTS])
    assert batch.truncated == 1
    return batch.vectors


BACKENDS = [
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("onnx", "fp32"),
    ("torch", "bf16"),
    pytest.param(("openvino", "int8"), marks=pytest.mark.slow),
    pytest.param(("onnx", "int8"), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=BACKENDS, ids="-".join)
def model(request: pytest.FixtureRequest, models_dir: Path) -> Iterator[tuple[Embedder, float]]:
    backend, precision = request.param
    opened = open_embedder(EmbeddingConfig(backend=backend, precision=precision), models_dir)
    yield opened, LEAST[precision]
    opened.close()


def test_same_text_same_vector_in_the_same_place(
    model: tuple[Embedder, float], reference: FloatArray
) -> None:
    embedder, least = model
    done: list[int] = []
    batch = embedder.embed(TEXTS, done.append)
    assert batch.vectors.shape == (len(TEXTS), 384)
    assert batch.vectors.dtype == np.float32
    cosine = (batch.vectors * reference).sum(axis=1)
    assert all(cosine[i] >= allowed(i, least) for i in range(len(TEXTS))), cosine
    assert batch.truncated == 1
    assert sum(done) == len(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(batch.vectors, axis=1), 1.0, atol=1e-5)


def test_a_query_is_the_vector_of_its_text(model: tuple[Embedder, float], reference: FloatArray) -> None:
    embedder, least = model
    assert embedder.embed_query(TEXTS[0]) @ reference[0] >= least
    assert embedder.embed_query(TEXTS[6]) @ reference[6] >= allowed(6, least)


def test_nothing_in_nothing_out(model: tuple[Embedder, float]) -> None:
    batch = model[0].embed([])
    assert batch.vectors.shape == (0, 384)
    assert batch.truncated == 0


def test_the_same_call_gives_the_same_bits(model: tuple[Embedder, float]) -> None:
    first, second = model[0].embed(TEXTS[:6]), model[0].embed(TEXTS[:6])
    assert np.array_equal(first.vectors, second.vectors)


def test_many_batches_keep_the_order(models_dir: Path) -> None:
    config = EmbeddingConfig(backend="openvino", precision="fp32", batch_tokens=64)
    embedder = open_embedder(config, models_dir)
    texts = [f"item {i} " + "word " * (37 * i % 90) for i in range(120)]
    vectors = embedder.embed(texts).vectors
    alone = np.stack([embedder.embed_query(text) for text in texts[::17]])
    np.testing.assert_allclose((vectors[::17] * alone).sum(axis=1), 1.0, atol=1e-5)
    assert len(np.unique(vectors.round(4), axis=0)) == 120


def test_queries_and_passages_at_once_from_many_threads(models_dir: Path) -> None:
    embedder = open_embedder(EmbeddingConfig(backend="openvino"), models_dir)
    questions = [f"how do I reset device {i}" for i in range(8)]
    expected = [embedder.embed_query(question) for question in questions]
    passages = embedder.embed(TEXTS[:6]).vectors
    wrong: list[str] = []

    def ask(i: int) -> None:
        for _ in range(20):
            same = np.allclose(embedder.embed_query(questions[i]), expected[i], atol=1e-6)
            wrong.extend([] if same else [questions[i]])

    def store() -> None:
        if not np.allclose(embedder.embed(TEXTS[:6]).vectors, passages, atol=1e-6):
            wrong.append("passages")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    threads += [threading.Thread(target=store) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_prefixes_are_part_of_the_text(models_dir: Path) -> None:
    plain = open_embedder(EmbeddingConfig(backend="openvino"), models_dir)
    config = EmbeddingConfig(backend="openvino", query_prefix="query: ", passage_prefix="passage: ")
    prefixed = open_embedder(config, models_dir)
    assert np.allclose(prefixed.embed_query("pump"), plain.embed_query("query: pump"), atol=1e-6)
    assert np.allclose(prefixed.embed(["pump"]).vectors, plain.embed(["passage: pump"]).vectors, atol=1e-6)
    assert prefixed.fingerprint == embedding_fingerprint(config) != plain.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["cls_token", "mean_tokens"])
def test_a_local_model_is_pooled_as_it_says(tiny: Path, tmp_path: Path, pooling: str) -> None:
    set_pooling(tiny, **{"mean_tokens": False, "cls_token": False, pooling: True})
    by_backend = [
        open_embedder(
            EmbeddingConfig(model=str(tiny), backend=backend, precision="fp32", distance=Distance.DOT),
            tmp_path,
        )
        for backend in ("torch", "openvino")
    ]
    first, second = (one.embed(TEXTS[:7]) for one in by_backend)
    np.testing.assert_allclose(first.vectors, second.vectors, atol=2e-4)
    assert first.truncated == second.truncated == 2  # this model reads 48 tokens
    assert np.linalg.norm(first.vectors, axis=1).min() > 1.5  # not normalised for dot products
    assert by_backend[0].fingerprint == by_backend[1].fingerprint
    assert by_backend[0].dimension == by_backend[1].dimension == 32


def test_an_unusual_model_runs_on_sentence_transformers(tiny: Path, tmp_path: Path) -> None:
    set_pooling(tiny, max_tokens=True, mean_tokens=True)
    model = open_embedder(EmbeddingConfig(model=str(tiny)), tmp_path)
    assert "pools by max, mean" in model.description or "pools by mean, max" in model.description
    assert model.dimension == 64
    batch = model.embed(["one", "word " * 100])
    assert batch.vectors.shape == (2, 64)
    assert batch.truncated == 1


def test_weights_that_are_not_safetensors_are_an_error(tiny: Path, tmp_path: Path) -> None:
    (tiny / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00not a header....")
    for backend in ("torch", "openvino"):
        config = EmbeddingConfig.model_validate({"model": str(tiny), "backend": backend, "precision": "fp32"})
        with pytest.raises(EmbeddingError, match="cannot be loaded"):
            open_embedder(config, tmp_path)
