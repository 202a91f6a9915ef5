"""Composition root of the Dagster code location: the configuration around us -> definitions."""

from __future__ import annotations

from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.defs.build import build_definitions
from rag_pipelines.sources import CONNECTORS

environment = read_environment()
configuration = load_configuration(
    environment.configs, {name: connector.params for name, connector in CONNECTORS.items()}
)
defs = build_definitions(environment, configuration)
