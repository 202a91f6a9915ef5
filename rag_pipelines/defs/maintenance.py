"""Daily care of an index: what was found when catalog and engine were compared, what was cleared away."""

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg

from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.defs.keys import QUEUE_TAG
from rag_pipelines.defs.resources import Rag, explained
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines.pipeline.vacuum import vacuum

RECONCILE, VACUUM = "reconcile", "vacuum"
GROUP = "maintenance"
CRON = {VACUUM: "0 3 * * *", RECONCILE: "30 3 * * *"}
RECONCILED = (
    "Catalog and engine compared both ways, the engine repaired from the catalog; numbers of what was wrong."
)
AGREES = "Nothing had to be repaired. A warning says that it was, an error that something could not be."
VACUUMED = "Points and collections that no retained version shows, cleared away."
JOBS = {
    RECONCILE: "Compare every index's engine with the catalog and repair the engine; vectors are computed only where "
    "the catalog lacks them.",
    VACUUM: "Clear away what no retained version of any index shows.",
}


def maintenance_assets(config: IndexConfig) -> list[dg.AssetsDefinition]:
    """`<index>/vacuumed` and `<index>/reconciled`: assets, so that the UI plots their numbers over time."""
    return [_vacuumed(config), _reconciled(config)]


def maintenance_jobs(configuration: Configuration) -> list[Any]:
    """One job over all indexes for each kind of care."""
    return [
        dg.define_asset_job(
            job,
            selection=dg.AssetSelection.assets(
                *(dg.AssetKey([index, asset]) for index in configuration.indexes)
            ),
            tags=QUEUE_TAG,
            description=JOBS[job],
        )
        for job, asset in ((VACUUM, "vacuumed"), (RECONCILE, "reconciled"))
        if configuration.indexes
    ]


def maintenance_schedules(configuration: Configuration) -> list[dg.ScheduleDefinition]:
    """Both, every night."""
    return [
        dg.ScheduleDefinition(
            name=f"{job}_schedule",
            job_name=job,
            cron_schedule=cron,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"{JOBS[job]} Every night.",
        )
        for job, cron in CRON.items()
        if configuration.indexes
    ]


def _vacuumed(config: IndexConfig) -> dg.AssetsDefinition:
    @dg.asset(
        key=[config.index, "vacuumed"],
        group_name=GROUP,
        kinds={"qdrant"},
        required_resource_keys={"rag"},
        description=VACUUMED,
    )
    def vacuumed(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rag: Rag = context.resources.rag
        began = time.monotonic()
        with explained(context):
            report = vacuum(rag.workspace, config.index, rag.progress)
        return dg.MaterializeResult(metadata=report_metadata(report.as_json(), time.monotonic() - began))

    return vacuumed


def _reconciled(config: IndexConfig) -> dg.AssetsDefinition:
    key = dg.AssetKey([config.index, "reconciled"])

    @dg.asset(
        key=key,
        group_name=GROUP,
        kinds={"qdrant"},
        required_resource_keys={"rag"},
        description=RECONCILED,
        check_specs=[dg.AssetCheckSpec("engine_agrees", asset=key, description=AGREES)],
    )
    def reconciled(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        rag: Rag = context.resources.rag
        began = time.monotonic()
        with explained(context):
            report = reconcile(rag.workspace, config.index, progress=rag.progress)
        found = report.as_json()
        severity = dg.AssetCheckSeverity.ERROR if found["unrepairable"] else dg.AssetCheckSeverity.WARN
        check = dg.AssetCheckResult(passed=report.right, check_name="engine_agrees", severity=severity)
        return dg.MaterializeResult(
            metadata=report_metadata(found, time.monotonic() - began), check_results=[check]
        )

    return reconciled


def report_metadata(report: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Numbers and texts by their names, lists and objects as JSON."""
    shown = {
        name: value if isinstance(value, (int, float, str)) else dg.MetadataValue.json(value)
        for name, value in report.items()
    }
    return shown | {"seconds": round(seconds, 3)}
