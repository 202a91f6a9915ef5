"""A configuration folder that is right, to be spoilt by the tests."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from rag_pipelines.config.load import Configuration, load_configuration
from rag_pipelines.sources import CONNECTORS

SOURCE = """\
source: handbook
connector: filesystem
params:
  url: docs
  include: ["**/*.md"]
tenant: acme
classification: internal
acl: ["group:staff"]
freshness: {warn_after: 1h, fail_after: 6h}
chunking:
  strategy: headings
  by_media_type:
    text/csv: {max_tokens: 64}
"""
INDEX = """\
index: knowledge
sources: [handbook]
embedding:
  model: text-embedding-3-small
  provider: openai
  openai:
    base_url: https://api.example/v1
    api_key_env: EMBEDDING_KEY
    dimension: 256
"""
SERVICE = """\
principal:
  tenant: acme
default_index: knowledge
"""
PARAMS_MODELS: dict[str, type[BaseModel]] = {name: connector.params for name, connector in CONNECTORS.items()}


def write_folder(root: Path, **files: str) -> Path:
    """`configs/` below the root; `source=`, `index=` and `service=` replace the text of the file."""
    configs = root / "configs"
    for name, text in {"source": SOURCE, "index": INDEX, "service": SERVICE, **files}.items():
        path = configs / {
            "source": "sources/handbook.yaml",
            "index": "indexes/knowledge.yaml",
            "service": "service.yaml",
        }.get(name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return configs


def load(configs: Path) -> Configuration:
    """The folder, with the real connectors' parameters checked."""
    return load_configuration(configs, PARAMS_MODELS)
