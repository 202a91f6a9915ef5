"""OpenVINO on the CPU: the fastest backend. Loading a converted model needs neither torch nor transformers."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
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
from rag_pipelines.embedding.hardware import available_cpus, has_bf16
from rag_pipelines.embedding.models import ModelFiles
from rag_pipelines.embedding.probes import CALIBRATION
from rag_pipelines.embedding.tokens import InputTokenizer

log = logging.getLogger(__name__)

MAX_STREAMS = 16
_MIN_BUDGET = 1024
_POLL_MS = 5
_MODEL = "model.xml"
_LIBRARIES = ("openvino", "torch", "transformers", "sentence-transformers")


class OpenVINOBackend:
    """Passages run in one single-threaded stream per core, a query in one request over all cores.

    Each of the two is compiled on first use: a process that only searches holds only the latter.
    """

    def __init__(self, model: Path, precision: str) -> None:
        import openvino

        self._core = openvino.Core()
        self._precision = precision
        self._cpus = available_cpus()
        self._streams = min(self._cpus, MAX_STREAMS)
        self._label = f"openvino {precision}"
        self._lock = threading.Lock()
        self._compiled: dict[int, Any] = {}
        self._query_lock = threading.Lock()
        self._request: Any = None
        try:
            self._model = self._core.read_model(model)
        except RuntimeError as error:
            raise EmbeddingError(f"{model} cannot be read by OpenVINO: {error}; delete its folder") from error

    @property
    def label(self) -> str:
        """Backend and precision, and the measured cosine."""
        return self._label

    @label.setter
    def label(self, value: str) -> None:
        self._label = value

    def batch_budget(self, tokens: int) -> int:
        """The streams share the configured tokens, down to a size below which calls cost more than they save."""
        return min(tokens, max(_MIN_BUDGET, tokens // self._streams))

    def run(self, batches: Sequence[TokenBatch], done: Callable[[TokenBatch, FloatArray], None]) -> None:
        """Vectors of each batch as the streams finish them.

        Requests are started and awaited from this thread alone. AsyncInferQueue with a callback aborts the
        interpreter's exit now and then, and requests driven from several Python threads can deadlock.
        """
        compiled = self._compile(self._streams)
        idle = [compiled.create_infer_request() for _ in range(min(self._streams, len(batches)))]
        busy: deque[tuple[Any, TokenBatch]] = deque()
        for batch in batches:
            if not idle:
                idle.append(_collect(busy, done))
            request = idle.pop()
            request.start_async([batch.input_ids, batch.attention_mask])
            busy.append((request, batch))
        while busy:
            _collect(busy, done)

    def run_one(self, batch: TokenBatch) -> FloatArray:
        """Vector of one text. Threads take turns: each query uses all cores for its few milliseconds."""
        compiled = self._compile(1)
        with self._query_lock:
            if self._request is None:
                self._request = compiled.create_infer_request()
            self._request.infer([batch.input_ids, batch.attention_mask])
            return np.array(self._request.get_output_tensor(0).data, np.float32)

    def close(self) -> None:
        """Release the compiled models."""
        with self._query_lock, self._lock:
            self._request = None
            self._compiled.clear()

    def _compile(self, streams: int) -> Any:
        with self._lock:
            if streams not in self._compiled:
                self._compiled[streams] = self._core.compile_model(
                    self._model,
                    "CPU",
                    {
                        "INFERENCE_PRECISION_HINT": "f32" if self._precision == "fp32" else _hint(),
                        "NUM_STREAMS": str(streams),
                        "INFERENCE_NUM_THREADS": str(self._cpus),
                        "ENABLE_CPU_PINNING": "NO",
                    },
                )
            return self._compiled[streams]


def _collect(busy: deque[tuple[Any, TokenBatch]], done: Callable[[TokenBatch, FloatArray], None]) -> Any:
    """Hand over the first finished batch, waiting on the oldest, and return its idle request."""
    while True:
        for position, (request, batch) in enumerate(busy):
            if request.wait_for(_POLL_MS if position == 0 else 0):
                del busy[position]
                done(batch, np.array(request.get_output_tensor(0).data, np.float32))
                return request


def open_openvino(files: ModelFiles, models_dir: Path, precision: str) -> OpenVINOBackend:
    """Convert where needed, verify once, and fall back from bf16 to fp32 where it is not faithful.

    Raises Unfaithful where fp32 or int8 is not faithful either.
    """
    note = ""
    if precision == "bf16" and not has_bf16():
        precision, note = "fp32", ", no bf16 in this CPU"
    folder = _int8(files, models_dir) if precision == "int8" else _fp32(files, models_dir)
    backend, cosine = _verified(folder, files, precision)
    if precision == "bf16" and not cosine.passes("bf16"):
        log.warning("bf16 is not faithful, using fp32: model=%s least_cosine=%.5f", files.name, cosine.least)
        note = f", bf16 refused at cosine {cosine.least:.4f}"
        precision = "fp32"
        backend, cosine = _verified(folder, files, precision)
    require_faithful(cosine, precision, files, "openvino")
    backend.label = f"openvino {precision} (cosine to fp32 >= {cosine.least:.5f}{note})"
    return backend


def _verified(folder: Path, files: ModelFiles, precision: str) -> tuple[OpenVINOBackend, Any]:
    backend = OpenVINOBackend(folder / _MODEL, precision)
    return backend, verdict(folder, files, precision, backend.run)


def _hint() -> str:
    return "bf16" if has_bf16() else "f32"


def _fp32(files: ModelFiles, models_dir: Path) -> Path:
    def build(folder: Path) -> None:
        import openvino

        with original(files) as (module, reference):
            ids, mask = example_inputs(files)
            try:
                model = openvino.convert_model(
                    module, example_input={"input_ids": ids, "attention_mask": mask}
                )
            except RuntimeError as error:
                raise Unfaithful(f"model {files.name} cannot be converted to OpenVINO: {error}") from error
        openvino.save_model(model, folder / _MODEL, compress_to_fp16=False)
        save_reference(folder, reference)

    return artifact(files, models_dir, "openvino-fp32", _LIBRARIES, build)


def _int8(files: ModelFiles, models_dir: Path) -> Path:
    source = _fp32(files, models_dir)

    def build(folder: Path) -> None:
        import openvino

        with redirect_stdout(sys.stderr):
            import nncf

            nncf.set_log_level(logging.ERROR)
            ids, _ = InputTokenizer(files.tokenizer, files.max_length).encode(CALIBRATION)
            samples = [
                {"input_ids": np.array([one], np.int64), "attention_mask": np.ones((1, len(one)), np.int64)}
                for one in ids
            ]
            model = nncf.quantize(
                openvino.Core().read_model(source / _MODEL),
                nncf.Dataset(samples),
                model_type=nncf.ModelType.TRANSFORMER,
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(samples),
            )
        openvino.save_model(model, folder / _MODEL, compress_to_fp16=False)
        copy_reference(source, folder)

    return artifact(files, models_dir, "openvino-int8", (*_LIBRARIES, "nncf"), build)
