"""Whatever the OpenAPI document allows, and some of what it does not, is answered as the document says."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines_tests.benchmarks.openapi_fuzz import closed_by_key, exercise, names_of, project_at
from rag_pipelines_tests.client.serving import serving


@pytest.mark.slow
def test_every_operation_answers_as_it_is_documented_and_never_fails(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project")
    with serving(project) as address:
        found = exercise(address, 30, names_of(project))
    key = closed_by_key(project)
    with serving(project) as address:
        guarded = exercise(address, 8, names_of(project), key)
    searched = found["POST /v1/indexes/{index}/search"]
    assert {200, 404, 422} <= set(searched)
    assert len(found) >= 8
    assert {200, 401} <= {code for statuses in guarded.values() for code in statuses}
    assert guarded.keys() == found.keys()
    for statuses in (*found.values(), *guarded.values()):
        assert all(code < 500 for code in statuses)
