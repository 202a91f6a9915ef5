"""MinHash signatures: their estimate of Jaccard similarity, their band keys and their bytes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import xxhash

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.dedup.settings import SCHEME, SEED
from rag_pipelines.dedup.shingles import Shingles

Signature = npt.NDArray[np.uint32]
"""Shape (permutations,)."""

EMPTY = np.uint32(2**32 - 1)
"""What every value of the signature of no shingles is."""

BLOCK = 2048
"""Shingles permuted at once: bounds the memory of a large text, and stays in the processor's cache."""


class Signer:
    """Signs shingles as `datasketch.MinHash` does, with its permutations, several times as fast.

    datasketch hashes item by item; here the items are hashes already and the whole array is permuted at once.
    Immutable once made, so threads may share one.
    """

    def __init__(self, settings: DedupConfig) -> None:
        from datasketch import MinHash  # type: ignore[import-untyped]

        sketch = MinHash(num_perm=settings.permutations, seed=SEED, scheme=SCHEME)
        factors, offsets = sketch.permutations
        self._factors: Signature = factors[:, None]
        self._offsets: Signature = offsets[:, None]

    def sign(self, shingles: Shingles) -> Signature:
        """The least value of each permutation over the shingles; all `EMPTY` where there are none."""
        values = input_hashes(shingles)
        values = _finalised(values)
        signature = np.full(self._factors.shape[0], EMPTY, np.uint32)
        for start in range(0, values.size, BLOCK):
            permuted = self._factors * values[start : start + BLOCK]
            permuted += self._offsets
            np.minimum(signature, permuted.min(axis=1), out=signature)
        return signature

    def sign_many(self, sets: Iterable[Shingles]) -> npt.NDArray[np.uint32]:
        """One row a set, shape (sets, permutations)."""
        rows = [self.sign(shingles) for shingles in sets]
        return np.stack(rows) if rows else np.empty((0, self._factors.shape[0]), np.uint32)


def input_hashes(shingles: Shingles) -> npt.NDArray[np.uint32]:
    """The 32 bits of each shingle that are permuted."""
    return (shingles >> np.uint64(32)).astype(np.uint32)


def _finalised(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """MurmurHash3's 32 bit finaliser, which the scheme applies before its permutations."""
    values = values ^ (values >> np.uint32(16))
    values *= np.uint32(0x85EBCA6B)
    values ^= values >> np.uint32(13)
    values *= np.uint32(0xC2B2AE35)
    values ^= values >> np.uint32(16)
    return values


def estimate(a: Signature, b: Signature) -> float:
    """The share of equal values, an unbiased estimate of the Jaccard similarity; 0 where either text had no word.

    Its standard error at similarity s is sqrt(s (1 - s) / permutations). Raises ValueError for signatures of
    different lengths; signatures of different seeds or schemes look alike, so compare their fingerprints.
    """
    if a.shape != b.shape:
        raise ValueError(
            f"signatures of {a.size} and {b.size} values cannot be compared; sign both texts anew"
        )
    if (a == EMPTY).all():
        return 0.0
    return int(np.count_nonzero(a == b)) / a.size


def band_keys(signature: Signature, settings: DedupConfig) -> list[tuple[int, int]]:
    """(band, key) for each band; two texts are a candidate pair where they share one.

    A key is a signed 64 bit integer, as databases store it. None for a text without a word. Keys of different
    rows agree with probability 2**-64, which costs one verification.
    """
    if (signature == EMPTY).all():
        return []
    size = 4 * settings.rows
    data = to_bytes(signature)
    return [
        (band, xxhash.xxh3_64_intdigest(data[band * size : (band + 1) * size]) - 2**63)
        for band in range(settings.bands)
    ]


def to_bytes(signature: Signature) -> bytes:
    """4 bytes a value, little-endian; scheme and seed are in `signature_fingerprint`, kept beside it."""
    return signature.astype("<u4", copy=False).tobytes()


def from_bytes(data: bytes, settings: DedupConfig) -> Signature:
    """The signature again. Raises ValueError where it was not made with so many permutations."""
    if len(data) != 4 * settings.permutations:
        raise ValueError(
            f"a stored signature has {len(data)} bytes and {settings.permutations} permutations need "
            f"{4 * settings.permutations}; sign the text anew"
        )
    return np.frombuffer(data, "<u4").astype(np.uint32)
