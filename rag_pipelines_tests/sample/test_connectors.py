from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.ports import FetchFailure, Source
from rag_pipelines.core.types import Excluded, RawDocument, SourceItem
from rag_pipelines.sources import OpenContext, find_connector
from rag_pipelines_tests.sample.sample_files import BROKEN, ROOT, build_repository, corpus


def opened(name: str, work_dir: Path) -> Source:
    """The source as its YAML file configures it; the git repository is built in `work_dir`."""
    text = (ROOT / "configs" / "sources" / f"{name}.yaml").read_text(encoding="utf-8")
    config = SourceConfig.model_validate(yaml.safe_load(text))
    params = dict(config.params)
    if name == "engineering":
        params["url"] = str(work_dir / "engineering.git")
        build_repository(work_dir / "engineering.git")
    connector = find_connector(config.connector)
    context = OpenContext(source=name, work_dir=work_dir / "work", base_dir=ROOT)
    context.work_dir.mkdir()
    return connector.open(context, connector.params.model_validate(params))


@pytest.mark.parametrize("name", ["board", "engineering", "handbook", "support"])
def test_the_configured_source_lists_and_fetches_every_document(name: str, tmp_path: Path) -> None:
    source = opened(name, tmp_path)
    try:
        listed = list(source.list())
        items = [row for row in listed if isinstance(row, SourceItem)]
        documents = list(source.fetch(items))
    finally:
        source.close()
    wanted = {uri.removeprefix(f"{name}/") for uri in corpus() if uri.startswith(f"{name}/")}
    if name == "handbook":
        wanted.add(BROKEN)
    assert [row for row in listed if isinstance(row, Excluded)] == []
    assert {item.uri for item in items} == wanted
    assert not [document for document in documents if isinstance(document, FetchFailure)]
    assert {
        document.uri for document in documents if isinstance(document, RawDocument) and document.data
    } == wanted


def test_tickets_bring_their_rights_and_metadata(tmp_path: Path) -> None:
    source = opened("support", tmp_path)
    try:
        items = {item.uri: item for item in source.list() if isinstance(item, SourceItem)}
    finally:
        source.close()
    assert items["tickets/MB-1069"].acl == ("group:contracts",)
    assert items["tickets/MB-1072"].acl is None
    assert items["tickets/MB-1055"].metadata["product"] == "Rime 2"
