"""Writes the results of an experiment as one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

from rag_pipelines.config.experiment import ExperimentConfig
from rag_pipelines.evaluation.experiments import Row
from rag_pipelines.evaluation.report import printable, template_environment
from rag_pipelines.evaluation.scatter import Dot, scatter
from rag_pipelines.evaluation.suites import Suite

TEMPLATE = "experiment.html.jinja"
UNITS = {
    "latency": ("p50 of a search, milliseconds", 1.0),
    "bytes": ("vectors and payloads, MB", 1e6),
    "build_seconds": ("build, seconds", 1.0),
}


def render_experiment(
    config: ExperimentConfig, suite: Suite, rows: Sequence[Row], facts: Mapping[str, str]
) -> str:
    """The page: a table of all variants and a plot of quality against each cost. Holds no text of documents."""
    measure = suite.config.measures[0]
    page = (
        template_environment()
        .from_string(resources.files("rag_pipelines.evaluation").joinpath(TEMPLATE).read_text("utf-8"))
        .render(
            config=config,
            suite=suite,
            rows=rows,
            facts=facts,
            axes=list(config.grid.axes),
            measure=measure,
            plots={name: _plot(name, measure, rows) for name in config.costs},
            settings=json.dumps(
                config.model_dump(mode="json", exclude_unset=True), indent=2, ensure_ascii=False
            ),
        )
    )
    return printable(page)


def _plot(cost: str, measure: str, rows: Sequence[Row]) -> str:
    unit, scale = UNITS[cost]
    return scatter(
        f"plot-{cost}",
        unit,
        measure,
        [
            Dot(number, row.name, row.cost(cost) / scale, row.summary.measures[measure].mean, row.on_front)
            for number, row in enumerate(rows, 1)
        ],
    )
