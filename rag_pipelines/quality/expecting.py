"""Asks great-expectations whether rows are as they should be.

Imported inside functions: the library takes seconds and a quarter of a gigabyte, and a version without gates
needs none of it. It reports to nobody: its analytics are off before it is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from rag_pipelines.core.checks import Check

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["at_most", "true", "unique"]
SHOWN = 10
PHRASES = 3
_ROW = "row"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One check of a frame of rows, each with a `source` and a `document`.

    `at_most`: the column is not above the column `limit`; `true` and `unique` need no limit. Rows without a
    value are not judged. `wrong` says what is wrong with a row, in terms of its columns, after the words "source
    'x': "; where rows are passages or documents, {count} is how many of the source are wrong in this way and
    {total} how many there are.
    """

    check: str
    kind: Kind
    column: str
    wrong: str
    limit: str = ""


@dataclass(frozen=True, slots=True)
class _Result:
    """Whether an expectation holds, and the places of the rows in which it does not."""

    holds: bool
    severity: Literal["error", "warning"]
    wrong: Sequence[int]


def expect(
    frame: pd.DataFrame, expectations: Sequence[Expectation], warnings: Sequence[str] = ()
) -> list[Check]:
    """One check an expectation, in their order; a frame without rows passes them all.

    `warnings` are the names of those whose failure holds nothing back.
    """
    if frame.empty:
        return [
            Check(one.check, True, severity=_severity(one.check, warnings), metadata={"looked_at": 0})
            for one in expectations
        ]
    rows = frame.reset_index(drop=True)
    rows[_ROW] = rows.index
    results = _validate(rows, expectations, warnings)
    return [_check(rows, one, result) for one, result in zip(expectations, results, strict=True)]


def _validate(
    rows: pd.DataFrame, expectations: Sequence[Expectation], warnings: Sequence[str]
) -> list[_Result]:
    """First whether each holds, which is cheap; then, for those that do not, in which rows."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)  # else a folder in /tmp each time
    context = gx.get_context(
        mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=stores)
    )
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("candidate").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})

    def results(chosen: Sequence[int], result_format: Any) -> dict[int, Any]:
        made = [_expectation(expectations[at], warnings, at) for at in chosen]
        suite = gx.ExpectationSuite(name="data", expectations=made)
        found = batch.validate(suite, result_format=result_format).results
        for one in found:
            if one.exception_info and one.exception_info.get("raised_exception"):
                raise RuntimeError(f"great-expectations failed: {one.exception_info['exception_message']}")
        return {one.expectation_config.meta["at"]: one for one in found}  # type: ignore[union-attr]

    first = results(range(len(expectations)), "BOOLEAN_ONLY")
    failed = [at for at, one in first.items() if not one.success]
    told = {"result_format": "COMPLETE", "unexpected_index_column_names": [_ROW]}
    second = results(sorted(failed), told) if failed else {}
    return [
        _Result(
            bool(first[at].success),
            "error" if first[at].expectation_config.severity == "critical" else "warning",
            sorted({int(row[_ROW]) for row in second[at].result["unexpected_index_list"]})
            if at in second
            else [],
        )
        for at in range(len(expectations))
    ]


def _expectation(one: Expectation, warnings: Sequence[str], at: int) -> Any:
    import great_expectations.expectations

    gxe: Any = great_expectations.expectations

    common: dict[str, Any] = {
        "meta": {"at": at},
        "severity": "warning" if one.check in warnings else "critical",
    }
    if one.kind == "at_most":
        return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=one.limit,
            column_B=one.column,
            or_equal=True,
            ignore_row_if="either_value_is_missing",
            **common,
        )
    if one.kind == "unique":
        return gxe.ExpectColumnValuesToBeUnique(column=one.column, **common)
    return gxe.ExpectColumnValuesToBeInSet(column=one.column, value_set=[True], **common)


def _check(rows: pd.DataFrame, one: Expectation, result: _Result) -> Check:
    severity = result.severity
    judged = int(rows[[name for name in (one.column, one.limit) if name]].notna().all(axis=1).sum())
    wrong = rows.loc[result.wrong]
    count = len(wrong)
    percent = 100.0 * count / judged if judged else 0.0
    metadata: dict[str, Any] = {
        "looked_at": judged,
        "unexpected_count": count,
        "unexpected_percent": round(percent, 3),
        "success_percent": round(100.0 - percent, 3),
    }
    if one.kind == "at_most" and judged:
        metadata["highest"] = _highest(rows, one)
    if result.holds:
        return Check(one.check, True, severity=severity, metadata=metadata)
    totals = rows["source"].value_counts()
    by_source = wrong["source"].value_counts()
    phrases = []
    for source, amount in by_source.items():
        first = wrong[wrong["source"] == source].iloc[0].to_dict()
        said = one.wrong.format(**{**first, "count": amount, "total": totals[source]})
        phrases.append(f"source {source!r}: {said}")
    metadata["sources"] = {str(source): int(amount) for source, amount in by_source.items()}
    metadata["samples"] = [_sample(row, one) for _, row in wrong.head(SHOWN).iterrows()]
    more = len(phrases) - PHRASES
    reason = "; ".join(phrases[:PHRASES]) + (f"; and {more} more sources" if more > 0 else "")
    return Check(one.check, False, reason, severity, metadata)


def _highest(rows: pd.DataFrame, one: Expectation) -> dict[str, Any]:
    """The row that comes nearest to its limit, or exceeds it most."""
    ratios = rows[one.column].astype(float) / rows[one.limit].astype(float).clip(lower=1e-9)
    row = rows.loc[ratios.idxmax()]
    return {
        "source": str(row["source"]),
        "value": _plain(row[one.column]),
        "limit": _plain(row[one.limit]),
    }


def _sample(row: Mapping[str, Any], one: Expectation) -> dict[str, Any]:
    """What JSON can say of a row: where it is and what was judged, never its text."""
    named = ("source", "document", "ordinal", "identifier", one.column, one.limit, f"{one.column}_samples")
    kept = {name: row[name] for name in named if name and name in row.index}  # type: ignore[attr-defined]
    return {name: _plain(value) for name, value in kept.items()}


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    return value if isinstance(value, str | int | bool | list | type(None)) else str(value)


def _severity(check: str, warnings: Sequence[str]) -> Literal["error", "warning"]:
    return "warning" if check in warnings else "error"
