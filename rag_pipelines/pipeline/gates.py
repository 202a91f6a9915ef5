"""Judges a candidate version before anybody sees it, and remembers what was found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rag_pipelines.catalog import gates as gate_rows
from rag_pipelines.catalog import versions
from rag_pipelines.catalog.store import Row, now
from rag_pipelines.config.gates import GatesConfig
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.checks import Check
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import Progress
from rag_pipelines.pipeline.candidates import Candidate, opened_candidate
from rag_pipelines.pipeline.data_quality import data_checks
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.pipeline.security_gate import security_check
from rag_pipelines.pipeline.suite_gates import load_suites, suite_checks, suite_name
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.quality import checks as quality

VERSION = 1
"""Raised when gates come to judge differently, so that stored verdicts are made anew."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all gates of an index found about one version; `reason` is one sentence where they refuse it."""

    index: str
    version: int
    passed: bool
    reason: str
    checks: tuple[Check, ...]
    fingerprint: str
    at: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The object that `gate --json` prints."""
        return {
            "index": self.index,
            "version": self.version,
            "passed": self.passed,
            "reason": self.reason,
            "checks": [asdict(check) for check in self.checks],
            "at": self.at,
            "seconds": round(self.seconds, 3),
        }


def check_names(gates: GatesConfig) -> list[str]:
    """Every check that these gates make, in their order."""
    names = ["security"] if gates.security else []
    names += [name for name in quality.NAMES if gates.data is not None and name not in gates.data.off]
    names += [suite_name(gate.suite) for gate in gates.suites]
    return [*names, "latency"] if gates.latency is not None else names


def standing_verdict(workspace: Workspace, index: str, number: int) -> Verdict | None:
    """What is stored about the version as it is now, by the gates as they are now; None where it was not judged."""
    config = workspace.configuration.indexes[index]
    if config.gates is None:
        return None
    with workspace.catalog.begin() as tx:
        row = gate_rows.verdict_in(tx, index, number)
    if row is None or row["fingerprint"] != _fingerprint(workspace, config, config.gates):
        return None
    return verdict_of(row)


def judge(workspace: Workspace, index: str, row: Row, progress: Progress | None = None) -> Verdict | None:
    """Ask every gate about the complete candidate `row`, store the verdict and return it; None without gates.

    Raises ConfigError where a gate cannot be asked, for example a suite that does not exist: the version is
    then neither passed nor refused, and not published.
    """
    config = workspace.configuration.indexes[index]
    if config.gates is None:
        return None
    mark = _fingerprint(workspace, config, config.gates)
    began = time.monotonic()
    with opened_candidate(workspace, index, row) as candidate:
        checks = tuple(_checks(workspace, candidate, config.gates, progress or Silent()))
    holding = [check for check in checks if check.holds]
    more = f" (and {len(holding) - 1} more checks failed)" if len(holding) > 1 else ""
    verdict = Verdict(
        index,
        row["number"],
        passed=not holding,
        reason=holding[0].reason + more if holding else "",
        checks=checks,
        fingerprint=mark,
        at=now(),
        seconds=time.monotonic() - began,
    )
    with workspace.catalog.begin() as tx:
        gate_rows.save_verdict(tx, _row(verdict))
    fault_point("gates.judged")
    return verdict


def verdict_of(row: Row) -> Verdict:
    """A stored verdict."""
    return Verdict(
        row["index_name"],
        row["number"],
        row["passed"],
        row["reason"],
        tuple(Check(**check) for check in row["checks"]),
        row["fingerprint"],
        row["at"],
        row["seconds"],
    )


def judged_candidate(
    workspace: Workspace, index: str, progress: Progress | None = None, *, anew: bool = False
) -> Verdict | None:
    """The verdict about the candidate that is staged, made now where there is none; None without one."""
    with workspace.catalog.begin() as tx:
        row = versions.candidate(tx, index)
    if row is None or row["status"] != "staged":
        return None
    standing = None if anew else standing_verdict(workspace, index, row["number"])
    return standing or judge(workspace, index, row, progress)


def _checks(
    workspace: Workspace, candidate: Candidate, gates: GatesConfig, progress: Progress
) -> Iterator[Check]:
    if gates.security:
        yield security_check(workspace, candidate)
    if gates.data is not None:
        yield from data_checks(workspace, candidate, gates.data)
    yield from suite_checks(workspace, candidate, gates.suites, gates.latency, progress)


def _fingerprint(workspace: Workspace, config: IndexConfig, gates: GatesConfig) -> str:
    """Of everything but the version's content that a verdict depends on: gates, questions, and how they are asked."""
    asked = {
        "gates": gates.model_dump(mode="json"),
        "suites": [suite.content_hash for suite in load_suites(workspace, gates.suites)],
        "retrieval": config.retrieval.model_dump(mode="json"),
    }
    return fingerprint("gates", VERSION, asked)


def _row(verdict: Verdict) -> Row:
    return {
        "index_name": verdict.index,
        "number": verdict.version,
        "passed": verdict.passed,
        "reason": verdict.reason,
        "fingerprint": verdict.fingerprint,
        "at": verdict.at,
        "seconds": verdict.seconds,
        "checks": [asdict(check) for check in verdict.checks],
    }
