"""JSON Schema of the configuration files, for editors that complete and check YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.config.experiment import ExperimentConfig
from rag_pipelines.config.flags import FlagsFile
from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.config.policy import PolicyConfig
from rag_pipelines.config.service import ServiceConfig


def json_schemas(params_models: Mapping[str, type[BaseModel]]) -> dict[str, dict[str, Any]]:
    """By the kind of file that they describe; a source's `params` follow from its `connector`."""
    source = SourceConfig.model_json_schema()
    source["properties"]["connector"]["enum"] = sorted(params_models)
    definitions = source.setdefault("$defs", {})
    branches: list[dict[str, Any]] = []
    for name, model in sorted(params_models.items()):
        schema = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        definitions[f"params_{name}"] = schema
        branches.append(
            {
                "if": {"properties": {"connector": {"const": name}}},
                "then": {"properties": {"params": {"$ref": f"#/$defs/params_{name}"}}},
            }
        )
    source["allOf"] = branches
    return {
        "source": source,
        "index": IndexConfig.model_json_schema(),
        "service": ServiceConfig.model_json_schema(),
        "flags": FlagsFile.model_json_schema(),
        "policy": PolicyConfig.model_json_schema(),
        "evaluation": EvaluationConfig.model_json_schema(),
        "experiment": ExperimentConfig.model_json_schema(),
    }


def write_schemas(folder: Path, params_models: Mapping[str, type[BaseModel]]) -> list[Path]:
    """Write one `<kind>.schema.json` a kind and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, schema in json_schemas(params_models).items():
        path = folder / f"{kind}.schema.json"
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written
