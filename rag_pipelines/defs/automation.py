"""What follows a change by itself: a shard whose documents changed, and then whatever stands on it."""

from __future__ import annotations

from typing import Any

import dagster as dg

from rag_pipelines.defs.keys import DOCUMENTS, QUEUE_TAG

Condition = dg.AutomationCondition


def shard_changed() -> Any:
    """The data version of the same shard of `documents` changed, and no run has taken that up.

    Listings are left out: one of them says nothing about a shard.
    """
    changed = Condition.any_deps_match(Condition.data_version_changed()).allow(
        dg.AssetSelection.assets(DOCUMENTS)
    )
    return (changed.since_last_handled() & ~Condition.in_progress()).with_label("shard changed")


def follows() -> Any:
    """What this stands on was brought up to date, or is about to be, by a run that does not do this as well.

    Unlike `eager` it does not wait for partitions that were never made: a source that was never synced
    must not keep an index from being published.
    """
    idle = ~Condition.any_deps_in_progress() & ~Condition.in_progress()
    return (Condition.any_deps_updated().since_last_handled() & idle).with_label("follows")


def automation_sensor() -> dg.SensorDefinition:
    """Takes up what listings on their own, backfills of one step and failed syncs leave behind; on by default.

    A sync does all of its steps in one run and leaves it nothing to do.
    """
    return dg.AutomationConditionSensorDefinition(
        name="changed_shards",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        run_tags=QUEUE_TAG,
        emit_backfills=False,
        description="Brings changed shards up to date where no sync has done so: after a listing on its own, after a "
        "backfill of one step, after a sync that failed half-way. After a sync it finds nothing to do.",
    )
