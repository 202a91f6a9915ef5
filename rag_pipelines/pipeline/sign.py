"""Signs texts and finds the pairs of them that are near-duplicates; each text once, by its hash."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial

from rag_pipelines.catalog import signatures as rows
from rag_pipelines.catalog.store import reading
from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.core.errors import BlobError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.dedup import (
    Shingles,
    Signature,
    Signer,
    band_keys,
    dedup_fingerprint,
    estimated,
    from_bytes,
    shingle,
    to_bytes,
    verify,
)
from rag_pipelines.pipeline.workspace import Workspace

BATCH_TEXTS = 128
CROWDED = 1000

logger = logging.getLogger(__name__)


class TextSigner:
    """Keeps signatures, bands and pairs of an index's settings up with the texts that there are."""

    def __init__(self, workspace: Workspace, settings: DedupConfig) -> None:
        self.fingerprint = dedup_fingerprint(settings)
        self._workspace = workspace
        self._settings = settings
        self._signer: Signer | None = None

    def sign(self, texts: Collection[str]) -> tuple[set[str], Counter[str]]:
        """Sign those that are not; returns the texts without a word, which nothing is like, and counts.

        A text whose artifact is lost stays unsigned, and like no other, until `reconcile` has it parsed again.
        """
        with reading(self._workspace.catalog.engine) as tx:
            known = rows.signed(tx, self.fingerprint, texts)
        wordless = {text for text, data in known.items() if data is None}
        new = sorted(set(texts) - known.keys())
        counts: Counter[str] = Counter()
        for start in range(0, len(new), BATCH_TEXTS):
            wordless |= self._sign_batch(new[start : start + BATCH_TEXTS], counts)
        return wordless, counts

    def _sign_batch(self, texts: Sequence[str], counts: Counter[str]) -> set[str]:
        signer = self._signer = self._signer or Signer(self._settings)
        shingles = self._read(texts)
        signatures = {text: signer.sign(found) for text, found in shingles.items()}
        keys = {text: band_keys(signatures[text], self._settings) for text in shingles}
        wanted = self._candidates(keys, signatures)
        found: list[tuple[str, str, float]] = []
        for a, b in sorted(wanted):
            both = partial(self._both, shingles, a, b)
            try:
                verdict = verify(signatures[a], signatures[b], both, self._settings)
            except BlobError:  # the other text's artifact is lost; its signature is not
                verdict = estimated(signatures[a], signatures[b], self._settings)
            if verdict.duplicate:
                found.append((a, b, verdict.similarity))
        new = {text: to_bytes(signatures[text]) if keys[text] else None for text in keys}
        with self._workspace.catalog.begin() as tx:
            rows.save_signed(tx, self.fingerprint, new, keys, found)
        fault_point("dedup.signed")
        counts.update(signed=len(new), candidates=len(wanted), pairs=len(found))
        return {text for text, data in new.items() if data is None}

    def _read(self, texts: Sequence[str]) -> dict[str, Shingles]:
        """The shingles of each text, but of those whose artifact is lost."""
        found: dict[str, Shingles] = {}
        for text in texts:
            with contextlib.suppress(BlobError):
                found[text] = self._shingles(text)
        if lost := set(texts) - found.keys():
            logger.warning(
                "%d parsed texts are not in the blob store and cannot be compared (first: %s); run "
                "`rag-pipelines reconcile`, then sync",
                len(lost),
                min(lost),
            )
        return found

    def _candidates(
        self, keys: dict[str, list[tuple[int, int]]], signatures: dict[str, Signature]
    ) -> set[tuple[str, str]]:
        """Pairs with a band in common; adds the signatures of stored texts to those of the new ones."""
        with reading(self._workspace.catalog.engine) as tx:
            stored = rows.sharing(tx, self.fingerprint, (key for of_text in keys.values() for key in of_text))
            strangers = {text for texts in stored.values() for text in texts} - signatures.keys()
            for text, data in rows.signed(tx, self.fingerprint, strangers).items():
                if data is not None:
                    signatures[text] = from_bytes(data, self._settings)
        together = {key: set(texts) & signatures.keys() for key, texts in stored.items()}
        for text, of_text in keys.items():
            for key in of_text:
                together.setdefault(key, set()).add(text)
        crowd = max(map(len, together.values()), default=0)
        if crowd > CROWDED:
            logger.warning(
                "%d texts are so alike that each is compared with all: a template, perhaps; with larger ngram, or "
                "policy off for its source, syncs are faster",
                crowd,
            )
        return {
            (min(text, other), max(text, other))
            for text, of_text in keys.items()
            for key in of_text
            for other in together[key]
            if other != text
        }

    def _both(self, known: dict[str, Shingles], a: str, b: str) -> tuple[Shingles, Shingles]:
        for text in (a, b):
            if text not in known:
                known[text] = self._shingles(text)
        return known[a], known[b]

    def _shingles(self, text: str) -> Shingles:
        return shingle(self._workspace.blobs.get_parsed(text).text, self._settings.ngram)
