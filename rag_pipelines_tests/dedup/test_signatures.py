"""Signatures equal datasketch's on the same hashes, and two texts meet in a band where its LSH lets them meet."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.dedup import (
    Shingles,
    Signature,
    Signer,
    band_keys,
    dedup_fingerprint,
    estimate,
    from_bytes,
    jaccard,
    shingle,
    to_bytes,
)
from rag_pipelines.dedup.settings import SEED
from rag_pipelines.dedup.signatures import BLOCK, EMPTY, input_hashes

DEFAULT = DedupConfig()
SIGNER = Signer(DEFAULT)


def sketch(shingles: Shingles, wanted: DedupConfig = DEFAULT) -> MinHash:
    """datasketch's own MinHash, fed with the hashes that the signer permutes."""
    made = MinHash(num_perm=wanted.permutations, seed=SEED, hashfunc=int)
    made.update_batch(input_hashes(shingles).tolist())
    return made


def sample(size: int, seed: int) -> Shingles:
    """So many random shingles."""
    return np.unique(np.random.default_rng(seed).integers(0, 2**64, size, dtype=np.uint64))


@pytest.mark.parametrize("size", [0, 1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("wanted", [DEFAULT, DedupConfig(permutations=64, bands=8)])
def test_equal_to_datasketch(size: int, wanted: DedupConfig) -> None:
    shingles = sample(size, size)
    found = Signer(wanted).sign(shingles)
    assert found.dtype == np.uint32
    assert found.shape == (wanted.permutations,)
    assert (found == sketch(shingles, wanted).hashvalues).all()


def test_the_default_of_datasketch_is_the_scheme_named_in_the_fingerprint() -> None:
    assert MinHash().scheme == "affine32"


def test_the_signature_never_changes() -> None:
    """Stored signatures depend on it: where this fails, raise CODE in settings.py."""
    found = SIGNER.sign(shingle("the quick brown fox jumps over the lazy dog"))
    assert found[:4].tolist() == [355772552, 184987693, 841445789, 612869914]
    assert band_keys(found, DEFAULT)[:2] == [(0, 2389095907024160030), (1, -1216569501045036574)]


def test_sign_many_is_a_row_a_set() -> None:
    sets = [sample(10, 1), sample(0, 2), sample(500, 3)]
    found = SIGNER.sign_many(iter(sets))
    assert found.shape == (3, 128)
    assert all((row == SIGNER.sign(one)).all() for row, one in zip(found, sets, strict=True))
    assert SIGNER.sign_many([]).shape == (0, 128)


def test_the_estimate_is_the_share_of_equal_values() -> None:
    a = np.arange(128, dtype=np.uint32)
    b = a.copy()
    b[:32] += 1000
    assert estimate(a, a) == 1.0
    assert estimate(a, b) == estimate(b, a) == 0.75
    assert estimate(a, a + np.uint32(500)) == 0.0
    with pytest.raises(ValueError, match="128 and 64 values"):
        estimate(a, a[:64])


def test_nothing_is_like_a_text_without_words() -> None:
    empty = SIGNER.sign(shingle("?!"))
    assert (empty == EMPTY).all()
    assert estimate(empty, empty) == 0.0
    assert estimate(empty, SIGNER.sign(shingle("a"))) == 0.0
    assert band_keys(empty, DEFAULT) == []


@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.8, 0.95])
def test_estimates_are_unbiased_within_their_standard_error(similarity: float) -> None:
    """Of 200 pairs: the mean error within 4 standard errors of the mean, the spread near the binomial one."""
    shared = round(1000 * similarity)
    own = (1000 - shared) // 2
    errors = []
    for seed in range(200):
        drawn = np.random.default_rng(seed).permutation(sample(shared + 2 * own, seed))
        a, b = np.sort(drawn[: shared + own]), np.sort(np.delete(drawn, slice(shared, shared + own)))
        assert jaccard(a, b) == pytest.approx(similarity)
        errors.append(estimate(SIGNER.sign(a), SIGNER.sign(b)) - similarity)
    spread = (similarity * (1 - similarity) / 128) ** 0.5
    assert abs(np.mean(errors)) < 4 * spread / 200**0.5
    assert 0.8 * spread < np.std(errors) < 1.2 * spread


def corpus() -> dict[str, Signature]:
    """60 texts: copies of 12 with more and more words changed."""
    draw = random.Random(3)
    texts = {}
    for page in range(12):
        words = [f"w{draw.randrange(400)}" for _ in range(300)]
        for copy in range(5):
            texts[f"{page}/{copy}"] = " ".join(words)
            words = list(words)
            for _ in range(4):
                words[draw.randrange(300)] = f"n{draw.random()}"
    return {name: SIGNER.sign(shingle(text)) for name, text in texts.items()}


@pytest.mark.parametrize("wanted", [DEFAULT, DedupConfig(bands=25, rows=5)])
def test_candidates_are_those_of_datasketch_lsh(wanted: DedupConfig) -> None:
    signatures = corpus()
    lsh = MinHashLSH(num_perm=128, params=(wanted.bands, wanted.rows))
    buckets: dict[tuple[int, int], set[str]] = defaultdict(set)
    for name, signature in signatures.items():
        lsh.insert(name, MinHash(hashvalues=signature, scheme="affine32"))
        for key in band_keys(signature, wanted):
            buckets[key].add(name)
    found = {
        name: set().union(*(buckets[key] for key in band_keys(signature, wanted)))
        for name, signature in signatures.items()
    }
    expected = {
        name: set(lsh.query(MinHash(hashvalues=signature, scheme="affine32")))
        for name, signature in signatures.items()
    }
    assert found == expected
    assert 60 < sum(map(len, found.values())) < 60 * 12


def test_a_band_key_is_that_of_its_rows_alone() -> None:
    a = SIGNER.sign(sample(100, 1))
    b = a.copy()
    b[8] ^= 1
    same = {
        band
        for (band, key), (_, other) in zip(band_keys(a, DEFAULT), band_keys(b, DEFAULT), strict=True)
        if key == other
    }
    assert same == set(range(16)) - {1}
    assert [band for band, _ in band_keys(a, DEFAULT)] == list(range(16))
    assert all(-(2**63) <= key < 2**63 for _, key in band_keys(a, DEFAULT))
    assert min(key for _, key in band_keys(a, DEFAULT)) < 0


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=512, max_size=512))
def test_bytes_and_back(data: bytes) -> None:
    signature = from_bytes(data, DEFAULT)
    assert signature.dtype == np.uint32
    assert to_bytes(signature) == data
    signature[0] = 1


def test_bytes_are_little_endian_and_of_known_length() -> None:
    assert to_bytes(np.array([1, 256], np.uint32)) == bytes([1, 0, 0, 0, 0, 1, 0, 0])
    with pytest.raises(ValueError, match="511 bytes and 128 permutations need 512"):
        from_bytes(b"x" * 511, DEFAULT)


CHANGED = {
    "ngram": 4,
    "permutations": 256,
    "bands": 15,
    "rows": 7,
    "threshold": 0.7,
    "exact": False,
}


@pytest.mark.parametrize("name", CHANGED)
def test_the_fingerprint_changes_with_what_decides_about_pairs(name: str) -> None:
    assert dedup_fingerprint(DedupConfig.model_validate({name: CHANGED[name]})) != dedup_fingerprint(DEFAULT)


def test_the_fingerprint_stays_with_what_decides_about_documents() -> None:
    assert dedup_fingerprint(DedupConfig(within=("version",))) == dedup_fingerprint(DEFAULT)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bands": 17}, "17 bands of 8 rows need 136 permutations and there are 128"),
        ({"ngram": 0}, "greater than or equal to 1"),
        ({"rows": 0}, "greater than or equal to 1"),
        ({"permutations": 5000}, "less than or equal to 4096"),
        ({"threshold": 0.0}, "greater than 0"),
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"threshold": float("nan")}, "finite number"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DedupConfig.model_validate(values)
