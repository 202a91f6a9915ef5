"""The exported JSON Schema accepts what the loader accepts, and refuses the mistakes that editors should show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from rag_pipelines.config.schema import json_schemas, write_schemas
from rag_pipelines_tests.config.folder import INDEX, PARAMS_MODELS, SERVICE, SOURCE
from rag_pipelines_tests.shared_data import ROOT

SCHEMAS = json_schemas(PARAMS_MODELS)
KINDS = {"source": SOURCE, "index": INDEX, "service": SERVICE}


def complaints(kind: str, text: str) -> list[str]:
    """Where the schema finds mistakes in a file, as dotted paths."""
    found = Draft202012Validator(SCHEMAS[kind]).iter_errors(yaml.safe_load(text))
    return sorted(".".join(map(str, error.absolute_path)) for error in found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_are_schemas(kind: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[kind])
    assert SCHEMAS[kind]["type"] == "object"
    assert SCHEMAS[kind]["additionalProperties"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_every_reference_leads_somewhere(kind: str) -> None:
    text = json.dumps(SCHEMAS[kind])
    names = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(SCHEMAS[kind].get("$defs", {}))


@pytest.mark.parametrize("kind", KINDS)
def test_right_files_are_accepted(kind: str) -> None:
    assert complaints(kind, KINDS[kind]) == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        *(("source", path) for path in sorted((ROOT / "configs" / "sources").iterdir())),
        *(("index", path) for path in sorted((ROOT / "configs" / "indexes").iterdir())),
        ("service", ROOT / "configs" / "service.yaml"),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else None,
)
def test_the_files_of_the_repository_are_accepted(kind: str, path: Path) -> None:
    assert complaints(kind, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("kind", "old", "new", "where"),
    [
        ("source", "tenant: acme", "tenant: acme\nextra: 1", ""),
        ("source", "tenant: acme\n", "", ""),
        ("source", "connector: filesystem", "connector: sharepoint", "connector"),
        ("source", "include:", "inclde:", "params"),
        ("source", "connector: filesystem", "connector: records", "params"),
        ("source", "1h, fail", "soon, fail", "freshness"),
        ("source", "1h, fail", "90, fail", "freshness"),
        ("source", "group:staff", "staff", "acl.0"),
        ("source", "tenant: acme", "tenant: acme\nschedule: daily", "schedule"),
        ("source", "{max_tokens: 64}", "{max_tokens: many}", "chunking.by_media_type.text/csv.max_tokens"),
        ("index", "EMBEDDING_KEY", "sk-abc", "embedding.openai"),
        ("service", "tenant: acme", "tenat: acme", "principal"),
    ],
)
def test_mistakes_are_refused(kind: str, old: str, new: str, where: str) -> None:
    text = KINDS[kind]
    assert old in text
    assert where in complaints(kind, text.replace(old, new))


@pytest.mark.parametrize("connector", PARAMS_MODELS)
def test_the_params_of_every_connector_are_described(connector: str) -> None:
    properties: dict[str, Any] = SCHEMAS["source"]["$defs"][f"params_{connector}"]["properties"]
    assert set(properties) == set(PARAMS_MODELS[connector].model_fields)


def test_the_files_are_written(tmp_path: Path) -> None:
    written = write_schemas(tmp_path / "new" / "schemas", PARAMS_MODELS)
    assert [path.name for path in written] == [
        "source.schema.json",
        "index.schema.json",
        "service.schema.json",
        "flags.schema.json",
        "policy.schema.json",
        "evaluation.schema.json",
        "experiment.schema.json",
    ]
    assert json.loads(written[0].read_text(encoding="utf-8")) == SCHEMAS["source"]
