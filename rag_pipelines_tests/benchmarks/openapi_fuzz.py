"""Requests made of the OpenAPI document, sound ones and broken ones, against the real service on loopback.

    python -m rag_pipelines_tests.benchmarks.openapi_fuzz --examples 500

Every response must be one that the document has: its status, its media type, its schema; and none may be a server
error. Each operation is asked with names that exist and with any that the document allows. Prints, for each
operation, how many requests were sent and which statuses came back.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rag_pipelines_tests.client.serving import serving
from rag_pipelines_tests.project import Project

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
NEVER = {"/metrics"}
"""Figures for a scraper, in a format that is not JSON."""


def exercise(
    address: str, examples: int, names: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> dict[str, Counter[int]]:
    """Operation -> how often each status came back. Raises at the first response that is not as documented."""
    document = httpx.get(f"{address}/openapi.json", headers=headers, timeout=60).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=address)
    found: dict[str, Counter[int]] = {}
    for result in schema.get_all_operations():
        if isinstance(result, Err):
            raise result.err()
        operation = result.ok()
        if operation.path not in NEVER:
            statuses = found[operation.label] = Counter()
            _ask(operation, examples, names, dict(headers or {}), statuses)
    return found


def _ask(
    operation: Any, examples: int, names: Mapping[str, str], headers: dict[str, str], statuses: Counter[int]
) -> None:
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in MODES])

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, known=st.booleans())
    def check(case: Any, known: bool) -> None:
        if known:
            given_names = {name: value for name, value in names.items() if f"{{{name}}}" in case.path}
            case.path_parameters = {**(case.path_parameters or {}), **given_names}
        response = case.call_and_validate(checks=CHECKS, headers=headers)
        statuses[response.status_code] += 1

    check()


def project_at(root: Path) -> Project:
    """Two documents of two sources, with fields to filter by."""
    made = Project(root)
    made.configure("service", {"principal": {"tenant": "acme", "groups": ["staff"]}, "poll_seconds": 0.5})
    made.source("all", acl=["*"], classification="public")
    made.write("leave.md", "# Leave\n\nEveryone has thirty days of paid leave a year.\n")
    made.write("notice.md", "# Notice\n\nLeave your badge at the desk.\n", "all")
    made.sync()
    return made


def names_of(project: Project) -> dict[str, str]:
    """Path parameters that lead somewhere."""
    first = project.search("leave", k=1).passages[0].citation
    return {"index": "knowledge", "source": "docs", "number": "1", "doc_id": first.doc_id}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=200, help="requests of each operation, at most")
    examples = parser.parse_args().examples
    with tempfile.TemporaryDirectory() as folder:
        project = project_at(Path(folder) / "project")
        with serving(project) as address:
            found = exercise(address, examples, names_of(project))
    for operation, statuses in found.items():
        told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        print(f"{operation:<60} {sum(statuses.values()):>6}  {told}")
    total: Counter[int] = sum(found.values(), Counter())
    print(
        f"{sum(total.values())} requests, {sum(n for status, n in total.items() if status >= 500)} server errors"
    )


if __name__ == "__main__":
    main()
