"""What a process has to load: measured in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "openvino",
    "onnxruntime",
    "nncf",
    "huggingface_hub",
)
REPORT = f"import sys; print(' '.join(m for m in {HEAVY!r} if m in sys.modules))"


def loaded_by(code: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{REPORT}"], capture_output=True, text=True, check=False, timeout=200
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_fingerprint_and_tokenizer_load_no_model_library() -> None:
    code = (
        "from pathlib import Path\nfrom rag_pipelines.config.models import EmbeddingConfig as C\n"
        "from rag_pipelines.embedding import *\n"
        "describe(C()); embedding_fingerprint(C()); open_tokenizer(C(), Path('.')).offsets(['a'])"
    )
    assert loaded_by(code) == []


def test_a_converted_model_loads_without_torch_and_exits_cleanly(models_dir: Path) -> None:
    code = (
        "from pathlib import Path\nfrom rag_pipelines.config.models import EmbeddingConfig as C\n"
        "from rag_pipelines.embedding import *\n"
        f"e = open_embedder(C(backend='openvino'), Path({str(models_dir)!r}))\n"
        "assert e.embed(['a', 'b', 'c']).vectors.shape == (3, 384); e.embed_query('a')"
    )
    loaded_by(code)  # converts where this machine has not done so yet
    assert loaded_by(code) == ["openvino"]
