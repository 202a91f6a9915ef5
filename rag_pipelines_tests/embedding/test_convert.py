"""Converted models: made once, replaced when damaged, and used only where they are faithful."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.embedding import open_embedder
from rag_pipelines.embedding.convert import Verdict, artifact, verdict
from rag_pipelines.embedding.models import resolve

BUILDER = """
import sys
from pathlib import Path
from rag_pipelines.embedding.convert import artifact
from rag_pipelines.embedding.models import resolve
def build(folder):
    with open(sys.argv[2] + "/log", "a") as log:
        log.write("built\\n")
    (folder / "model.xml").write_bytes(b"x" * 1000)
print(artifact(resolve(sys.argv[1]), Path(sys.argv[2]), "openvino-fp32", ("openvino",), build))
"""


def folder_of(models_dir: Path, kind: str) -> Path:
    (folder,) = models_dir.glob(f"tiny-{kind}-*")
    return folder


def test_processes_that_ask_at_once_get_one_conversion(tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILDER, str(tiny), str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(answers) == 1
    assert (tmp_path / "log").read_text() == "built\n"


def test_damage_is_found_and_made_good(tiny: Path, tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(folder: Path) -> None:
        builds.append(folder)
        (folder / "model.xml").write_bytes(b"right")

    def ask() -> Path:
        return artifact(resolve(str(tiny)), tmp_path / "m", "kind", (), build)

    folder = ask()
    assert ask() == folder
    assert len(builds) == 1
    for damage in (b"wrong", b"cut"):
        (folder / "model.xml").write_bytes(damage)
        assert ask() == folder
        assert (folder / "model.xml").read_bytes() == b"right"
    assert len(builds) == 3
    assert [path.name for path in (tmp_path / "m").iterdir() if path.name.startswith((".b", ".d"))] == []


def test_a_failed_conversion_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(28, "No space left on device")

    with pytest.raises(EmbeddingError, match="No space left on device.*free disk space"):  # noqa: RUF043
        artifact(resolve(str(tiny)), tmp_path / "m", "kind", (), build)
    assert [path for path in (tmp_path / "m").iterdir() if path.is_dir() and path.name != "hashes"] == []


def test_other_weights_or_pooling_are_another_conversion(tiny: Path, tmp_path: Path) -> None:
    def ask() -> Path:
        return artifact(resolve(str(tiny)), tmp_path / "m", "kind", (), lambda folder: None)

    first = ask()
    data = bytearray((tiny / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tiny / "model.safetensors").write_bytes(data)
    assert ask() != first


def test_a_verdict_is_measured_once_and_remembered(tiny: Path, tmp_path: Path) -> None:
    files = resolve(str(tiny))
    reference = np.zeros((16, 32), np.float32)
    reference[:, 0] = 1
    np.save(tmp_path / "reference.npy", reference)
    calls: list[int] = []

    def run(batches: list, done: object) -> None:  # type: ignore[type-arg]
        for batch in batches:
            calls.extend(batch.rows)
            vectors = np.zeros((len(batch.rows), 32), np.float32)
            vectors[:, 0] = 3
            vectors[[row == 5 for row in batch.rows], 1] = 4  # cosine 3/5 for one text
            done(batch, vectors)  # type: ignore[operator]

    found = verdict(tmp_path, files, "bf16", run)
    assert found == Verdict(mean=0.975, least=0.6)
    assert sorted(calls) == list(range(16))
    assert verdict(tmp_path, files, "bf16", run) == found
    assert len(calls) == 16


@pytest.mark.parametrize(
    ("least", "precision", "passes"),
    [
        (0.9991, "bf16", True),
        (0.9989, "bf16", False),
        (0.9989, "fp32", False),
        (0.98, "int8", True),
        (0.9, "int8", False),
    ],
)
def test_what_counts_as_faithful(least: float, precision: str, passes: bool) -> None:
    assert Verdict(1.0, least).passes(precision) is passes


@pytest.mark.slow
def test_an_unfaithful_conversion_is_passed_over(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in ("openvino", "select"):
        monkeypatch.setattr(f"rag_pipelines.embedding.{module}.has_bf16", lambda: True)
    config = EmbeddingConfig(model=str(tiny))
    assert "openvino bf16 (cosine to fp32 >= 0.999" in open_embedder(config, tmp_path).description

    bad = json.dumps({"mean": 0.9, "least": 0.5})
    folder = folder_of(tmp_path, "openvino-fp32")
    (folder / "verdict-bf16.json").write_text(bad)
    with caplog.at_level(logging.WARNING):
        description = open_embedder(config, tmp_path).description
    assert "openvino fp32" in description
    assert "bf16 refused at cosine 0.5000" in description
    assert "bf16 is not faithful" in caplog.text

    (folder / "verdict-fp32.json").write_text(bad)
    assert "onnx fp32" in open_embedder(config, tmp_path).description
    with pytest.raises(EmbeddingError, match="openvino fp32 is not faithful"):
        open_embedder(EmbeddingConfig(model=str(tiny), backend="openvino"), tmp_path)
