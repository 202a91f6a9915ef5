from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import BaseModel

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.sources import CONNECTORS, OpenContext, find_connector


def test_each_connector_opens_without_touching_anything(context: OpenContext) -> None:
    params = {
        "filesystem": {"url": "nowhere"},
        "git": {"url": "https://git.invalid/kb.git"},
        "records": {"url": "nowhere.csv", "fields": {"id": "a", "text": "b"}},
    }
    assert set(params) == set(CONNECTORS)
    for name, connector in CONNECTORS.items():
        assert connector.name == name
        assert issubclass(connector.params, BaseModel)
        source = connector.open(context, connector.params.model_validate(params[name]))
        source.close()
        source.close()
    assert not context.work_dir.exists()


def test_an_unknown_connector_gets_a_suggestion() -> None:
    assert find_connector("git") is CONNECTORS["git"]
    with pytest.raises(ConfigError, match="did you mean filesystem"):
        find_connector("filesytem")
    with pytest.raises(ConfigError, match="; known: filesystem, git, records"):
        find_connector("sharepoint")


def test_importing_the_registry_is_light() -> None:
    heavy = "('fsspec', 'pyarrow', 's3fs', 'pandas')"
    code = f"import sys, rag_pipelines.sources; print([m for m in sys.modules if m in {heavy}])"
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"[]"
