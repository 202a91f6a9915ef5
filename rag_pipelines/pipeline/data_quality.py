"""Judges the data of a candidate version before anyone sees it.

What is looked at are the documents that the candidate changed, all of them or a seeded sample, and a sample of
the live version to compare with: a change of ten pages costs ten pages, whatever the size of the index.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import quality_rows, recovery, versions
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.config.quality import QualityConfig
from rag_pipelines.core.checks import Check
from rag_pipelines.core.types import FloatArray
from rag_pipelines.pipeline.candidates import Candidate
from rag_pipelines.pipeline.embed import unpack
from rag_pipelines.pipeline.quality_documents import Read, null_fields, read_documents
from rag_pipelines.pipeline.quality_points import point_facts
from rag_pipelines.pipeline.quality_sample import Inspection, chosen_documents, inspect
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.quality.checks import judge
from rag_pipelines.quality.facts import Facts, Live, SourceFacts

ENOUGH = 200
"""Points of a source in the sample of the live version; of one with fewer, its own are read."""


def data_checks(workspace: Workspace, candidate: Candidate, settings: QualityConfig) -> list[Check]:
    """Every check of `gates.data`, in a fixed order; reasons name the source and what is wrong with it."""
    return judge(gather(workspace, candidate, settings), settings)


def gather(workspace: Workspace, candidate: Candidate, settings: QualityConfig) -> Facts:
    """What there is to judge about the candidate. Reads only."""
    inspection = inspect(workspace, candidate, settings)
    changed = _changed(inspection)
    chosen = chosen_documents(changed, settings)
    read = read_documents(inspection, {doc_id: changed[doc_id][0] for doc_id in chosen})
    points = point_facts(inspection, read)
    counted = Counter(source for source, _ in changed.values())
    return Facts(
        _sources(inspection, counted, read), read.documents, points.chunks, points.vectors, points.identifiers
    )


def _changed(inspection: Inspection) -> dict[str, tuple[str, int]]:
    """Document -> source, points that are new."""
    live = inspection.live
    same = live is not None and live.collection == inspection.now.collection
    after = live.version if live is not None and same else None
    catalog, index = inspection.workspace.catalog, inspection.candidate.index
    found = quality_rows.changed_documents(catalog, inspection.now, after)
    configuration = inspection.workspace.configuration
    sources = [name for name in configuration.sources if configuration.indexes[index].covers(name)]
    uncut = quality_rows.uncut_documents(catalog, index, sources, inspection.settings.max_documents)
    for doc_id, source in uncut.items():
        found.setdefault(doc_id, (source, 0))
    return found


def _sources(inspection: Inspection, changed: Mapping[str, int], read: Read) -> list[SourceFacts]:
    workspace, candidate = inspection.workspace, inspection.candidate
    with reading(workspace.catalog.engine) as tx:
        row = versions.version_row(tx, candidate.index, candidate.number)
        live = versions.version_row(tx, candidate.index, candidate.live.version) if candidate.live else None
    totals = _totals(row)
    before = _totals(live)
    since = (live["published_at"] or "") if live is not None else ""
    refused = quality_rows.quarantined_counts(workspace.catalog, candidate.index, since)
    approved = quality_rows.approved_deletions(workspace.catalog, since) if live is not None else {}
    indexed = {name for name in refused if workspace.configuration.indexes[candidate.index].covers(name)}
    named = sorted({*totals, *before, *changed, *indexed})
    moved = _moved(inspection, read) if inspection.comparable else {}
    compared = _live_sources(inspection, before, [name for name in named if changed.get(name)])
    return [
        SourceFacts(
            source=name,
            documents=totals.get(name, (0, 0))[0],
            chunks=totals.get(name, (0, 0))[1],
            changed=changed.get(name, 0),
            refused=refused.get(name, 0),
            approved=approved.get(name, 0),
            live=compared.get(name),
            moved=moved.get(name),
            gone=tuple(read.gone.get(name, ())),
        )
        for name in named
    ]


def _totals(version: Row | None) -> dict[str, tuple[int, int]]:
    """Source -> documents and chunks of a version."""
    counted = (version["stats"] if version is not None else {}).get("sources", {})
    return {name: (totals["documents"], totals["chunks"]) for name, totals in counted.items()}


def _moved(inspection: Inspection, read: Read) -> dict[str, FloatArray]:
    """Source -> vectors of the documents that were looked at, now less before, summed."""
    sums: dict[str, FloatArray] = {}
    for rows, sign in ((read.now, 1.0), (read.before, -1.0)):
        flat = [row for of_document in rows.values() for row in of_document]
        vectors = _vectors(inspection, flat)
        for row in flat:
            if row["embed_hash"] in vectors:
                part = vectors[row["embed_hash"]] * np.float32(sign)
                sums[row["source"]] = sums.get(row["source"], np.zeros_like(part)) + part
    return sums


def _vectors(inspection: Inspection, rows: Sequence[Row]) -> dict[str, FloatArray]:
    with reading(inspection.workspace.catalog.engine) as tx:
        stored = chunk_rows.load_embeddings(tx, inspection.model_fp, {row["embed_hash"] for row in rows})
    found = {name: unpack(data, unit=inspection.unit) for name, data in stored.items()}
    return {name: vector for name, vector in found.items() if vector.shape == (inspection.dimension,)}


def _live_sources(
    inspection: Inspection, totals: Mapping[str, tuple[int, int]], changed: Sequence[str]
) -> dict[str, Live]:
    """Each source of the live version; those that changed with what a sample says of them."""
    found = {name: Live(documents, chunks) for name, (documents, chunks) in totals.items()}
    wanted = [name for name in changed if name in found]
    shown, settings = inspection.live, inspection.settings
    if shown is None or not wanted or not settings.compared:
        return found
    catalog = inspection.workspace.catalog
    start = str(uuid.UUID(int=np.random.default_rng(settings.seed).integers(2**63).item() << 64))
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in quality_rows.sampled_points(catalog, shown, settings.compared, start):
        by_source[row["source"]].append(row)
    for name in wanted:
        if len(by_source[name]) < min(ENOUGH, totals[name][1]):
            by_source[name] = quality_rows.few_points(catalog, shown, name, settings.compared)
        found[name] = _live_source(inspection, totals[name], by_source[name])
    return found


def _live_source(inspection: Inspection, totals: tuple[int, int], rows: Sequence[Row]) -> Live:
    firsts = [row for row in rows if (row["chunk"] or {}).get("ordinal") == 0]  # one a document
    with reading(inspection.workspace.catalog.engine) as tx:
        shared = recovery.shared_payloads(tx, [row["document_key"] for row in firsts if row["document_key"]])
    payloads = [shared[row["document_key"]] for row in firsts if row["document_key"] in shared]
    count = max(len(payloads), 1)
    languages = Counter(payload.get("language") for payload in payloads)
    nulls = Counter(name for payload in payloads for name in null_fields(payload, inspection.filter_fields))
    vectors = _vectors(inspection, rows) if inspection.comparable else {}
    found = [vectors[row["embed_hash"]] for row in rows if row["embed_hash"] in vectors]
    return Live(
        *totals,
        languages={name: amount / count for name, amount in languages.items()},
        nulls={name: nulls[name] / count for name in inspection.filter_fields} if payloads else {},
        centroid=np.mean(found, axis=0) if found else None,
    )
