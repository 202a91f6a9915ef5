from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.core.types import Classification
from rag_pipelines_tests.sample.sample_files import ROOT, records

CONFIGS = ROOT / "configs"
SOURCES = ("board", "engineering", "handbook", "support")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_valid_and_complete(name: str) -> None:
    config = SourceConfig.model_validate(read(CONFIGS / "sources" / f"{name}.yaml"))
    assert config.source == name
    assert config.schedule
    assert config.freshness
    assert config.owner
    assert config.description


def test_the_sources_read_the_sample() -> None:
    params = {name: read(CONFIGS / "sources" / f"{name}.yaml")["params"] for name in SOURCES}
    assert params["engineering"]["url"] == ".rag/sample/engineering.git"
    for name in ("handbook", "board", "support"):
        assert (ROOT / params[name]["url"]).exists(), name
    fields = params["support"]["fields"]
    assert fields.pop("modified_at") == "metadata.updated"
    kept = {name: f"metadata.{name}" for name in records()[0]["metadata"]}
    assert fields == {name: name for name in ("id", "title", "text", "uri", "acl")} | {"metadata": kept}


def test_the_index_covers_every_source_and_filters_on_what_tickets_have() -> None:
    index = IndexConfig.model_validate(read(CONFIGS / "indexes" / "knowledge.yaml"))
    assert all(index.covers(name) for name in SOURCES)
    assert set(index.filter_fields) <= set(records()[0]["metadata"])


def test_the_service_sees_neither_the_board_nor_the_other_tenant() -> None:
    service = ServiceConfig.model_validate(read(CONFIGS / "service.yaml"))
    sources = {n: SourceConfig.model_validate(read(CONFIGS / "sources" / f"{n}.yaml")) for n in SOURCES}
    assert service.default_index == "knowledge"
    assert service.auth.mode == "none"
    assert service.principal is not None
    assert (service.principal.tenant, service.principal.groups) == ("veldrane", ("staff",))
    assert service.principal.clearance is Classification.INTERNAL
    assert sources["board"].classification is Classification.RESTRICTED
    assert sources["board"].acl == ("group:board",)
    assert {n for n, source in sources.items() if source.tenant == "veldrane"} == set(SOURCES) - {"support"}
