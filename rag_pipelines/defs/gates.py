"""Release gates as blocking asset checks: what they refuse is staged and never published."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from rag_pipelines.config.gates import GatesConfig
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.checks import Check
from rag_pipelines.defs.resources import explained
from rag_pipelines.pipeline.gates import check_names, judged_candidate
from rag_pipelines.pipeline.publish import close_candidate

DESCRIPTION = "Asked of the staged version before anybody sees it; while it fails, the live version stays."
NOTHING = "nothing is staged: the newest version has been judged before"


def gate_checks(config: IndexConfig) -> list[dg.AssetChecksDefinition]:
    """The checks of one index's gates, in one step after `staged`; none where it has no gates."""
    gates = config.gates
    if gates is None or not check_names(gates):
        return []
    return [_gate_checks(config.index, gates)]


def _gate_checks(index: str, gates: GatesConfig) -> dg.AssetChecksDefinition:
    key = dg.AssetKey([index, "staged"])
    names = check_names(gates)

    @dg.multi_asset_check(
        name=f"{index}_gates",
        specs=[dg.AssetCheckSpec(name, asset=key, blocking=True, description=DESCRIPTION) for name in names],
        required_resource_keys={"rag"},
    )
    def ask_gates(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        run, rag = context.op_execution_context, context.resources.rag
        with explained(run):
            close_candidate(rag.workspace, index, run.run_id)
            verdict = judged_candidate(rag.workspace, index, rag.progress)
        found = {check.name: check for check in verdict.checks} if verdict is not None else {}
        for name in names:
            yield _result(
                key, found.get(name) or Check(name, True, metadata={"note": NOTHING}), verdict is not None
            )

    return ask_gates


def _result(key: dg.AssetKey, check: Check, judged: bool) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=check.name,
        passed=check.passed,
        severity=dg.AssetCheckSeverity.ERROR if check.severity == "error" else dg.AssetCheckSeverity.WARN,
        description=check.reason or None,
        metadata=_metadata(check.metadata) if judged else dict(check.metadata),
    )


def _metadata(found: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of objects and measures as tables, other structures as JSON."""
    shown: dict[str, Any] = {}
    for name, value in found.items():
        rows = _rows(value)
        if rows:
            shown[name] = dg.MetadataValue.table(
                [dg.TableRecord({column: _cell(cell) for column, cell in row.items()}) for row in rows]
            )
        elif isinstance(value, (dict, list, tuple)):
            shown[name] = dg.MetadataValue.json(value if isinstance(value, dict) else list(value))
        elif value is not None:
            shown[name] = value
    return shown


def _rows(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict) and value and all(isinstance(part, dict) for part in value.values()):
        return [{"": name, **part} for name, part in value.items()]
    if isinstance(value, (list, tuple)) and value and all(isinstance(part, dict) for part in value):
        return list(value)
    return []


def _cell(value: Any) -> str | float | int | bool | None:
    if isinstance(value, float):
        return round(value, 4)
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)
