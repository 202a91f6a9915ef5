"""Requests made of the OpenAPI document, sound ones and broken ones, against the real service on loopback.

    python -m rag_pipelines_tests.benchmarks.openapi_fuzz --examples 500

Every response must be one that the document has: its status, its media type, its schema; and none may be a server
error. Each operation is asked with names that exist and with any that the document allows, of a service that knows
nobody and of one that wants an API key: with a sound key, with one that nobody has, and without. Prints, for each
operation, how many requests were sent and which statuses came back.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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

from rag_pipelines.cli.auditing import audit_of
from rag_pipelines.core.types import Principal
from rag_pipelines.governance.keys import create_key
from rag_pipelines.governance.scopes import SCOPES
from rag_pipelines.service.guarding import OPEN
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


UNKNOWN = {"Authorization": "Bearer rag_000000000000_0000000000000000000000000000000000000000000"}
"""A key of the right shape that was never given out."""


def exercise(
    address: str, examples: int, names: Mapping[str, str], key: str | None = None
) -> dict[str, Counter[int]]:
    """Operation -> how often each status came back. Raises at the first response that is not as documented."""
    shown = {"Authorization": f"Bearer {key}"} if key is not None else {}
    credentials: list[dict[str, str]] = [shown, shown, shown, {}, UNKNOWN] if key is not None else [shown]
    document = httpx.get(f"{address}/openapi.json", headers=shown, timeout=60).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=address)
    schema.config.generation.update(with_security_parameters=False)
    found: dict[str, Counter[int]] = {}
    for result in schema.get_all_operations():
        if isinstance(result, Err):
            raise result.err()
        operation = result.ok()
        if operation.path not in NEVER:
            statuses = found[operation.label] = Counter()
            _ask(operation, examples, names, credentials, statuses)
    return found


def _ask(
    operation: Any,
    examples: int,
    names: Mapping[str, str],
    credentials: list[dict[str, str]],
    statuses: Counter[int],
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
    @given(case=cases, known=st.booleans(), headers=st.sampled_from(credentials))
    def check(case: Any, known: bool, headers: dict[str, str]) -> None:
        if known:
            given_names = {name: value for name, value in names.items() if f"{{{name}}}" in case.path}
            case.path_parameters = {**(case.path_parameters or {}), **given_names}
        response = case.call_and_validate(checks=CHECKS, headers=headers)
        refused = headers != credentials[0] and operation.path not in OPEN
        if (response.status_code in (401, 429)) != refused:  # 429: too many failed attempts
            raise AssertionError(f"{operation.label}: {response.status_code} for {headers}")
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
        key = closed_by_key(project)
        with serving(project) as address:
            guarded = exercise(address, examples, names_of(project), key)
    _show("for anybody", found)
    _show("with an API key", guarded)


def closed_by_key(project: Project) -> str:
    """Have the service want a key; returns one that may do everything."""
    project.configure("service", {"auth": {"mode": "authenticated"}, "poll_seconds": 0.5})
    with project.workspace() as workspace:
        principal = Principal("fuzz", "acme", ("staff",))
        ends = datetime.now(UTC) + timedelta(days=1)
        audit = audit_of(workspace.catalog, workspace.configuration)
        made = create_key(
            workspace.catalog, principal, set(SCOPES), expires_at=ends, by="benchmark", audit=audit
        )
        return made.text


def _show(title: str, found: Mapping[str, Counter[int]]) -> None:
    print(title)
    for operation, statuses in found.items():
        told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        print(f"{operation:<60} {sum(statuses.values()):>6}  {told}")
    total: Counter[int] = sum(found.values(), Counter())
    print(
        f"{sum(total.values())} requests, {sum(n for status, n in total.items() if status >= 500)} server errors"
    )


if __name__ == "__main__":
    main()
