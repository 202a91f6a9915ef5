"""Documents a second of signing and of looking up bands, beside plain datasketch on the same texts in one process."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash
from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.dedup import Signature, Signer, band_keys, shingle
from rag_pipelines.dedup.settings import SEED

WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Speed:
    """Documents a second of processor time on one core, the best of all rounds."""

    what: str
    ours: float
    datasketch: float
    datasketch_xxhash: float | None = None

    @property
    def factor(self) -> float:
        """How many times as fast as the faster of the others."""
        return self.ours / max(self.datasketch, self.datasketch_xxhash or 0)


def word_sets(texts: Sequence[str], ngram: int) -> list[list[bytes]]:
    """The shingles as plain Python makes them: the set of n-grams, encoded for a hash function."""
    found = []
    for text in texts:
        words = WORD.findall(text.lower())
        size = min(ngram, len(words))
        grams = {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)} if size else set()
        found.append([gram.encode() for gram in grams])
    return found


def xxh32(data: bytes) -> int:
    """A hash function for datasketch that is faster than its default, SHA-1."""
    return xxhash.xxh32_intdigest(data)


def sketches(sets: Sequence[Sequence[bytes]], settings: DedupConfig, hashfunc: Any = None) -> list[MinHash]:
    """datasketch's fastest way to sign many sets."""
    options = {} if hashfunc is None else {"hashfunc": hashfunc}
    return list(MinHash.bulk(sets, num_perm=settings.permutations, seed=SEED, **options))


def measure_speed(texts: Sequence[str], settings: DedupConfig, rounds: int) -> list[Speed]:
    """Shingling, signing, both, and a look-up of every document among all."""
    signer = Signer(settings)
    sets = [shingle(text, settings.ngram) for text in texts]
    plain = word_sets(texts, settings.ngram)
    signatures = [signer.sign(one) for one in sets]
    minhashes = sketches(plain, settings)
    count = len(texts)

    def rate(work: Callable[[], object]) -> float:
        return count / _least_seconds(work, rounds)

    shingling = Speed(
        "shingling",
        rate(lambda: [shingle(text, settings.ngram) for text in texts]),
        rate(lambda: word_sets(texts, settings.ngram)),
    )
    signing = Speed(
        "signing",
        rate(lambda: signer.sign_many(sets)),
        rate(lambda: sketches(plain, settings)),
        rate(lambda: sketches(plain, settings, xxh32)),
    )
    both = Speed(
        "shingling and signing",
        _together(shingling.ours, signing.ours),
        _together(shingling.datasketch, signing.datasketch),
        _together(shingling.datasketch, signing.datasketch_xxhash or signing.datasketch),
    )
    in_memory = rate(lambda: look_up_lsh(minhashes, settings))
    return [
        shingling,
        signing,
        both,
        Speed("bands in and out, dict", rate(lambda: look_up_dict(signatures, settings)), in_memory),
        Speed("bands in and out, SQLite rows", rate(lambda: look_up_rows(signatures, settings)), in_memory),
    ]


def look_up_dict(signatures: Sequence[Signature], settings: DedupConfig) -> list[set[int]]:
    """Each document's candidates, itself among them, through a dictionary of band keys."""
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    keys = [band_keys(signature, settings) for signature in signatures]
    for document, own in enumerate(keys):
        for key in own:
            buckets[key].append(document)
    return [{other for key in own for other in buckets[key]} for own in keys]


def look_up_rows(signatures: Sequence[Signature], settings: DedupConfig) -> list[set[int]]:
    """The same through rows of a database in memory, one query a document."""
    database = sqlite3.connect(":memory:")
    database.execute(
        "create table bands (band integer, key integer, doc integer, primary key (band, key, doc)) without rowid"
    )
    database.execute("create index bands_of on bands (doc)")
    rows = [
        (band, key, document)
        for document, signature in enumerate(signatures)
        for band, key in band_keys(signature, settings)
    ]
    database.executemany("insert into bands values (?, ?, ?)", rows)
    query = (
        "select distinct other.doc from bands own join bands other "
        "on other.band = own.band and other.key = own.key where own.doc = ?"
    )
    found = [{row[0] for row in database.execute(query, (doc,))} for doc in range(len(signatures))]
    database.close()
    return found


def look_up_lsh(minhashes: Sequence[MinHash], settings: DedupConfig) -> list[set[int]]:
    """The same through datasketch's index in memory, with the same bands."""
    lsh = MinHashLSH(num_perm=settings.permutations, params=(settings.bands, settings.rows))
    for document, minhash in enumerate(minhashes):
        lsh.insert(document, minhash, check_duplication=False)
    return [set(lsh.query(minhash)) for minhash in minhashes]


def _together(first: float, second: float) -> float:
    return 1 / (1 / first + 1 / second)


def _least_seconds(work: Callable[[], object], rounds: int) -> float:
    least = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return max(least, 1e-9)
