"""Which backend and precision run a model here: what the configuration names, or the fastest that is faithful."""

from __future__ import annotations

from importlib.util import find_spec

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.embedding.hardware import has_bf16
from rag_pipelines.embedding.models import ModelFiles

MODULES = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "sentence_transformers"}
"""Backend -> the module it needs, fastest first."""

_PRECISIONS = {
    "openvino": ("fp32", "bf16", "int8"),
    "onnx": ("fp32", "int8"),
    "torch": ("fp32", "bf16"),
}


def installed() -> list[str]:
    """The backends that can be imported, fastest first; nothing is imported to find out."""
    return [backend for backend, module in MODULES.items() if find_spec(module) is not None]


def candidates(config: EmbeddingConfig, files: ModelFiles) -> list[tuple[str, str]]:
    """(backend, precision) to try in this order; a named backend is the only one.

    int8 is never chosen unasked: its vectors are another class. Raises EmbeddingError where nothing
    installed can do what is asked.
    """
    backends = installed() if config.backend == "auto" else [config.backend]
    if files.unusual is not None:
        if "torch" not in backends:
            raise EmbeddingError(
                f"model {files.name} runs only with `backend: torch` (or auto), because {files.unusual}"
            )
        backends = ["torch"]
    for backend in backends:
        if find_spec(MODULES[backend]) is None:
            raise EmbeddingError(
                f"backend {backend} needs the module {MODULES[backend]}, which is not installed; install it "
                f"or set `backend: auto`"
            )
    wanted = config.precision
    found = [
        (backend, fastest_faithful(backend) if wanted == "auto" else wanted)
        for backend in backends
        if wanted == "auto" or wanted in _PRECISIONS[backend]
    ]
    if not found:
        can = [name for name, precisions in _PRECISIONS.items() if wanted in precisions]
        raise EmbeddingError(
            f"precision {wanted} is not faithful or not possible with {', '.join(backends) or 'no backend'} for "
            f"model {files.name}; use `precision: auto`, or one of the backends {', '.join(can)}"
        )
    return found


def fastest_faithful(backend: str) -> str:
    """bf16 where the backend and the CPU have it, else fp32."""
    return "bf16" if "bf16" in _PRECISIONS[backend] and has_bf16() else "fp32"


def precision_class(precision: str) -> str:
    """fp32 and bf16 are one class, interchangeable within a cosine of .999; int8 is another."""
    return "int8" if precision == "int8" else "faithful"
