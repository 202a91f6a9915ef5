"""Packing and the checks on results, by hand-computed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.embedding.batches import checked, pack, padded_length, to_arrays, token_batches


def test_longest_first_within_the_padded_budget() -> None:
    # 30 pads to 32, two of them fill 64; 10 and 9 pad to 16; 3 rides along: 3 * 16 = 48 <= 64
    assert pack([3, 30, 10, 25, 9], budget=64, limit=256) == [(1, 3), (2, 4, 0)]


def test_every_text_is_in_exactly_one_batch_and_no_batch_exceeds_the_budget() -> None:
    lengths = [(7 * i) % 97 + 2 for i in range(500)]
    batches = pack(lengths, budget=300, limit=256)
    assert sorted(row for rows in batches for row in rows) == list(range(500))
    assert all(len(rows) * padded_length(max(lengths[r] for r in rows), 256) <= 300 for rows in batches)


def test_a_text_above_the_budget_goes_alone() -> None:
    assert pack([200, 4], budget=64, limit=256) == [(0,), (1,)]


def test_no_texts_no_batches() -> None:
    assert pack([], budget=64, limit=256) == []
    assert token_batches([], 64, 0, 256) == []


@pytest.mark.parametrize(
    ("length", "limit", "padded"), [(1, 256, 8), (8, 256, 8), (9, 256, 16), (49, 50, 50)]
)
def test_padding_stops_at_what_the_model_reads(length: int, limit: int, padded: int) -> None:
    assert padded_length(length, limit) == padded


def test_padding_uses_the_models_own_id_and_is_masked() -> None:
    batch = to_arrays((1, 0), [[5, 6], [7, 8, 9]], pad_id=1, limit=4)
    assert batch.input_ids.tolist() == [[7, 8, 9, 1], [5, 6, 1, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0]]


def test_vectors_become_unit_length_only_where_asked() -> None:
    vectors = np.array([[3.0, 4.0]], np.float32)
    assert checked(vectors, (1, 2), unit=True, model="m").tolist() == [[np.float32(0.6), np.float32(0.8)]]
    assert checked(vectors, (1, 2), unit=False, model="m").tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
@pytest.mark.parametrize("unit", [True, False])
def test_a_useless_vector_is_refused_with_its_position(bad: list[float], unit: bool) -> None:
    with pytest.raises(EmbeddingError, match=r"1 of 2 texts \(first at position 1\)"):
        checked(np.array([[1.0, 0.0], bad], np.float32), (2, 2), unit=unit, model="m")


def test_a_missing_vector_is_refused() -> None:
    with pytest.raises(EmbeddingError, match=r"shape \(1, 2\) instead of \(2, 2\)"):
        checked(np.ones((1, 2), np.float32), (2, 2), unit=True, model="m")
