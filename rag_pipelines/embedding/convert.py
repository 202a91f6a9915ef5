"""Converted models on disk: made once under a lock, written whole or not at all, proven faithful once.

A folder in `models_dir` holds the converted model, a manifest with its hashes, the vectors that
sentence-transformers itself gives for the probe texts, and a verdict per precision. Its name covers the
weights and the versions of the libraries, so that an upgrade converts again instead of trusting old files.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.types import FloatArray
from rag_pipelines.embedding.batches import checked, token_batches
from rag_pipelines.embedding.files import locked, sha256_of, write_atomically
from rag_pipelines.embedding.models import ModelFiles, architecture_hash, weights_hash
from rag_pipelines.embedding.probes import CALIBRATION, PROBES
from rag_pipelines.embedding.tokens import InputTokenizer

log = logging.getLogger(__name__)

FAITHFUL = 0.999
"""Least cosine to float32 for fp32 and bf16: vectors of such backends may be mixed in one index."""

FAITHFUL_INT8 = 0.97
"""Least cosine to float32 for int8: below, the conversion went wrong rather than rounded."""

_VERSION = 1
_REFERENCE = "reference.npy"
_MANIFEST = "manifest.json"


class Unfaithful(EmbeddingError):
    """A converted model computes other vectors than the original."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Cosine of the probe texts' vectors to those of sentence-transformers in float32."""

    mean: float
    least: float

    def passes(self, precision: str) -> bool:
        """Whether the vectors may stand for the original ones."""
        return self.least >= (FAITHFUL_INT8 if precision == "int8" else FAITHFUL)


def artifact(
    files: ModelFiles,
    models_dir: Path,
    kind: str,
    libraries: tuple[str, ...],
    build: Callable[[Path], None],
) -> Path:
    """The folder of a converted model; `build` fills an empty one where it is not there or damaged.

    Any number of processes may ask at once: one builds, the others wait for it.
    """
    key = fingerprint(
        "conversion",
        _VERSION,
        {
            "weights": weights_hash(files, models_dir),
            "architecture": architecture_hash(files),
            "pooling": files.pooling,
            "max_length": files.max_length,
            "kind": kind,
            "libraries": {name: _version(name) for name in libraries},
            "calibration": CALIBRATION if "int8" in kind else (),
            "probes": PROBES,
        },
    )
    slug = "".join(c if c.isalnum() else "-" for c in files.name.rsplit("/", maxsplit=1)[-1])
    folder = models_dir / f"{slug}-{kind}-{key}"
    if _intact(folder, models_dir):
        return folder
    try:
        with locked(models_dir / f".{folder.name}.lock"):
            if not _intact(folder, models_dir):
                _build(folder, build)
    except OSError as error:
        raise EmbeddingError(
            f"the converted model cannot be written to {models_dir} ({error}); free disk space or make the "
            f"folder writable"
        ) from error
    return folder


def verdict(
    folder: Path,
    files: ModelFiles,
    precision: str,
    run: Callable[..., None],
) -> Verdict:
    """Compare the backend's vectors of the probe texts with the original's; remembered beside the model."""
    path = folder / f"verdict-{precision}.json"
    try:
        known = json.loads(path.read_text())
        return Verdict(float(known["mean"]), float(known["least"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    reference = np.load(folder / _REFERENCE)
    vectors = np.full(reference.shape, np.nan, np.float32)
    ids, _ = InputTokenizer(files.tokenizer, files.max_length).encode(PROBES)
    budget = 4 * files.max_length
    for batch in token_batches(ids, budget, files.pad_id, files.max_length):
        run([batch], lambda done, part: vectors.__setitem__(list(done.rows), part))
    vectors = checked(vectors, reference.shape, unit=True, model=files.name)
    cosine = (vectors.astype(np.float64) * reference).sum(axis=1)
    found = Verdict(round(float(cosine.mean()), 6), round(float(cosine.min()), 6))
    with suppress(OSError):
        write_atomically(path, json.dumps({"mean": found.mean, "least": found.least}).encode())
    return found


def require_faithful(found: Verdict, precision: str, files: ModelFiles, backend: str) -> None:
    """Raise Unfaithful unless the verdict passes."""
    if not found.passes(precision):
        raise Unfaithful(
            f"model {files.name} converted to {backend} {precision} is not faithful: cosine to the original "
            f"{found.least:.4f} at worst; use `backend: torch`"
            + (", or `precision: auto`" if precision == "int8" else "")
        )


@contextmanager
def original(files: ModelFiles) -> Iterator[tuple[Any, FloatArray]]:
    """The transformer with its pooling as a torch module, and the reference vectors of the probe texts.

    The reference goes through sentence-transformers whole, so that a wrong pooling, length or tokenizer
    shows up in the verdict, and not only a wrong conversion.
    """
    import torch

    from rag_pipelines.embedding.torch import load_sentence_transformer

    model = load_sentence_transformer(files, "fp32")
    reference = model.encode(list(PROBES), prompt="", normalize_embeddings=True, show_progress_bar=False)
    mean = files.pooling == "mean"

    class Pooled(torch.nn.Module):
        def __init__(self, transformer: Any) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            if not mean:
                return hidden[:, 0]
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)

    with torch.no_grad(), redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Pooled(model[0].auto_model).eval(), np.asarray(reference, np.float32)


def example_inputs(files: ModelFiles) -> tuple[Any, Any]:
    """Ids and mask for tracing, with padding, since a mask of ones may be traced away."""
    import torch

    ids, _ = InputTokenizer(files.tokenizer, files.max_length).encode(PROBES[:2])
    batch = token_batches(ids, 10**9, files.pad_id, files.max_length)[0]
    return torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)


def save_reference(folder: Path, reference: FloatArray) -> None:
    """Keep what later verdicts are measured against."""
    np.save(folder / _REFERENCE, reference)


def copy_reference(source: Path, folder: Path) -> None:
    """The quantised model is measured against the same vectors."""
    shutil.copyfile(source / _REFERENCE, folder / _REFERENCE)


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    log.info("converting an embedding model, once: folder=%s", folder.name)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
    try:
        build(work)
        entries = {path.name: [path.stat().st_size, sha256_of(path)] for path in sorted(work.iterdir())}
        write_atomically(work / _MANIFEST, json.dumps(entries).encode())
        work.chmod(0o755)
        if folder.exists():
            log.warning("damaged converted model is replaced: folder=%s", folder)
            folder.rename(Path(tempfile.mkdtemp(dir=folder.parent, prefix=".damaged-")) / folder.name)
        work.rename(folder)
    finally:
        for rest in [work, *folder.parent.glob(".damaged-*")]:
            shutil.rmtree(rest, ignore_errors=True)


def _intact(folder: Path, models_dir: Path) -> bool:
    try:
        entries = json.loads((folder / _MANIFEST).read_text())
        return all(
            (folder / name).stat().st_size == size and sha256_of(folder / name, models_dir) == digest
            for name, (size, digest) in entries.items()
        )
    except (OSError, ValueError, AttributeError):
        return False


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
