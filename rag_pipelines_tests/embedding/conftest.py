"""Models that the embedding tests share: the bundled one, and a tiny one made on the spot."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from rag_pipelines.embedding.files import locked
from rag_pipelines.embedding.models import resolve

BUNDLED = "bundled:all-MiniLM-L6-v2"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Conversions of the bundled model, made once for all workers and later runs; their names carry versions."""
    folder = Path(tempfile.gettempdir()) / f"rag-pipelines-test-models-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


@pytest.fixture(scope="session")
def tiny_source(models_dir: Path) -> Path:
    """A random two-layer BERT of 32 dimensions with mean pooling and the bundled tokenizer."""
    folder = models_dir / "tiny-2"
    with locked(models_dir / ".tiny.lock"):
        if not (folder / "modules.json").exists():
            _make_tiny(folder)
    return folder


@pytest.fixture
def tiny(tiny_source: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that the test may change."""
    return Path(shutil.copytree(tiny_source, tmp_path / "tiny"))


def set_pooling(model: Path, **modes: bool) -> None:
    """Rewrite the pooling configuration, such as `cls_token=True`."""
    config = {f"pooling_mode_{mode}": on for mode, on in modes.items()}
    (model / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **config}))


def _make_tiny(folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(7)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(resolve(BUNDLED).path / name, folder / name)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 48, "do_lower_case": false}')
    (folder / "1_Pooling").mkdir(exist_ok=True)
    set_pooling(folder, mean_tokens=True)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
