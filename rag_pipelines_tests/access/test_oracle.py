"""Nobody is told anything but what a brute-force oracle says that they may read, by any path, on either engine.

`python -m rag_pipelines_tests.benchmarks.access_oracle` looks at many more.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rag_pipelines_tests.access.corpus import draw_cases, draw_corpus
from rag_pipelines_tests.access.oracle import judge
from rag_pipelines_tests.access.world import built
from rag_pipelines_tests.project import Parts


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    """A parser for all corpora."""
    kept = Parts()
    yield kept
    kept.close()


@pytest.mark.parametrize("engine", ["edge", "local"])
def test_every_read_path_answers_what_the_oracle_says(parts: Parts, engine: str) -> None:
    @settings(
        max_examples=4,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(st.integers(0, 2**32))
    def answered(seed: int) -> None:
        rng = random.Random(seed)
        with built(draw_corpus(rng), parts, engine) as world:
            for case in draw_cases(rng, 6):
                assert judge(world, case) == []

    answered()
