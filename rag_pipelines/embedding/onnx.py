"""ONNX Runtime on the CPU: where OpenVINO cannot be installed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.types import FloatArray
from rag_pipelines.embedding.batches import TokenBatch
from rag_pipelines.embedding.convert import (
    Unfaithful,
    artifact,
    copy_reference,
    example_inputs,
    original,
    require_faithful,
    save_reference,
    verdict,
)
from rag_pipelines.embedding.hardware import available_cpus
from rag_pipelines.embedding.models import ModelFiles

_MODEL = "model.onnx"
_LIBRARIES = ("onnx", "onnxruntime", "torch", "transformers", "sentence-transformers")
_OPSET = 17


class OnnxBackend:
    """One session over all cores; ONNX Runtime's sessions are safe to call from several threads."""

    def __init__(self, model: Path, precision: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_cpus()
        options.log_severity_level = 3
        self.label = f"onnx {precision}"
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except RuntimeError as error:
            raise EmbeddingError(f"{model} cannot be read by ONNX Runtime: {error}") from error

    def batch_budget(self, tokens: int) -> int:
        """One batch at a time uses all cores."""
        return tokens

    def run(self, batches: Sequence[TokenBatch], done: Callable[[TokenBatch, FloatArray], None]) -> None:
        """Vectors of each batch, in order."""
        for batch in batches:
            done(batch, self.run_one(batch))

    def run_one(self, batch: TokenBatch) -> FloatArray:
        """Vectors of one batch."""
        feed = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        return np.asarray(self._session.run(["embedding"], feed)[0], np.float32)

    def close(self) -> None:
        """Release the session."""
        self._session = None


def open_onnx(files: ModelFiles, models_dir: Path, precision: str) -> OnnxBackend:
    """Export where needed and verify once. Raises Unfaithful where the vectors are not the original's."""
    folder = _int8(files, models_dir) if precision == "int8" else _fp32(files, models_dir)
    backend = OnnxBackend(folder / _MODEL, precision)
    cosine = verdict(folder, files, precision, backend.run)
    require_faithful(cosine, precision, files, "onnx")
    backend.label = f"onnx {precision} (cosine to fp32 >= {cosine.least:.5f})"
    return backend


def _fp32(files: ModelFiles, models_dir: Path) -> Path:
    def build(folder: Path) -> None:
        import torch

        dynamic = {0: "texts", 1: "tokens"}
        with original(files) as (module, reference):
            try:
                torch.onnx.export(
                    module,
                    example_inputs(files),
                    str(folder / _MODEL),
                    input_names=["input_ids", "attention_mask"],
                    output_names=["embedding"],
                    dynamic_axes={"input_ids": dynamic, "attention_mask": dynamic, "embedding": {0: "texts"}},
                    opset_version=_OPSET,
                    dynamo=False,
                )
            except RuntimeError as error:
                raise Unfaithful(f"model {files.name} cannot be exported to ONNX: {error}") from error
        save_reference(folder, reference)

    return artifact(files, models_dir, "onnx-fp32", _LIBRARIES, build)


def _int8(files: ModelFiles, models_dir: Path) -> Path:
    source = _fp32(files, models_dir)

    def build(folder: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)
        try:
            with redirect_stdout(sys.stderr):
                quantize_dynamic(
                    source / _MODEL, folder / _MODEL, weight_type=QuantType.QInt8, per_channel=True
                )
        finally:
            root.setLevel(level)
        copy_reference(source, folder)

    return artifact(files, models_dir, "onnx-int8", _LIBRARIES, build)
