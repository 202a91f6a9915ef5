"""Dagster only: assets, partitions, jobs, sensors, checks and resources over the pipeline's verbs."""
