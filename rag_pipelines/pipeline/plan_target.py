"""What an index stands on, what the configuration asks for, and the difference in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag_pipelines.catalog import collection_rows, marks, planning, versions
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.chunking import chunker_name
from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.embedding.space import typed_fields
from rag_pipelines.pipeline.chunk import chunking_fingerprint
from rag_pipelines.pipeline.deduplicate import duplicates_fingerprint
from rag_pipelines.pipeline.parse import parse_settings
from rag_pipelines.pipeline.space import Space, describe_space
from rag_pipelines.pipeline.stage import stage_fingerprint
from rag_pipelines.pipeline.workspace import Workspace


@dataclass(slots=True)
class Target:
    """An index as the sync will find it.

    `built`: the collection of the wanted vector space exists; `reason` says why it does not, or why it is another
    one than the index stands on. `planned` are texts that an earlier source or index with the same model will
    have embedded by then. `pinned` and `live` are of the published pointer, `waiting` is a version not published
    yet, `ready` the number of one that was published and is newer than the live one, after a rollback.
    """

    config: IndexConfig
    space: Space
    number: int
    built: bool
    reason: str
    planned: set[str]
    live: int | None
    pinned: int | None
    waiting: Row | None
    ready: int | None
    chunks: int


def open_target(workspace: Workspace, index: str, planned: dict[str, set[str]]) -> Target:
    """Read what the index stands on; loads no model and writes nothing."""
    config = workspace.configuration.indexes[index]
    space = describe_space(workspace, config)
    pointer = versions.pointer(workspace.catalog, index)
    known = versions.versions_of(workspace.catalog, index)
    with reading(workspace.catalog.engine) as tx:
        built = collection_rows.collection_of(tx, index, space.fingerprint) is not None
        standing = planning.standing_collection(tx, index)
        waiting = versions.candidate(tx, index)
        newest = versions.newest_number(tx, index)
    return Target(
        config=config,
        space=space,
        number=waiting["number"] if waiting else (newest or 0) + 1,
        built=built,
        reason=_reason(space, standing, built),
        planned=planned.setdefault(space.model_fp, set()),
        live=pointer.version if pointer else None,
        pinned=pointer.pinned if pointer else None,
        waiting=waiting,
        ready=_ready(pointer, known),
        chunks=next((row["stats"]["chunks"] for row in known if "chunks" in row["stats"]), 0),
    )


def _ready(pointer: versions.Pointer | None, known: Sequence[Row]) -> int | None:
    newest = next((int(row["number"]) for row in versions.readable(known)), None)
    return newest if pointer and newest and newest > pointer.version else None


def settings_changes(workspace: Workspace, source: SourceConfig, targets: Sequence[Target]) -> list[str]:
    """Which settings differ from those that the source was last processed with, a phrase each."""
    parser = workspace.parser(source.parsing)
    _, parsing = parse_settings(source, parser)
    found: list[str] = []
    with reading(workspace.catalog.engine) as tx:
        if _differs(marks.stage_marks(tx, "parse", ""), source.source, parsing):
            found.append("parsers or parsing limits")
        for target in targets:
            index, model = target.space.index, target.config.embedding.model
            rule = chunking_fingerprint(source.chunking, target.config)
            staging = stage_fingerprint(target.space, source.chunking)
            cut = _differs(marks.stage_marks(tx, "chunk", index), source.source, rule)
            staged = marks.stage_marks(tx, "stage", index)
            if cut:
                found.append(f"chunking for index {index}: {_rules(source)}")
            if _differs(marks.stage_marks(tx, "embed", index), source.source, target.space.model_fp):
                found.append(f"embedding model of index {index}: {model}")
            if not cut and not target.reason and _differs(staged, source.source, staging):
                found.append(f"what points of index {index} carry")
    return found


def compared_anew(workspace: Workspace, source: SourceConfig, targets: Sequence[Target]) -> list[str]:
    """Indexes in which the source's documents get other duplicates for other settings; which, nobody knows yet."""
    with reading(workspace.catalog.engine) as tx:
        return [
            target.config.index
            for target in targets
            if _differs(
                marks.stage_marks(tx, "dedup", target.config.index),
                source.source,
                duplicates_fingerprint(target.config, source),
            )
        ]


def _differs(found: Mapping[str, Mapping[int, tuple[str, int]]], source: str, wanted: str) -> bool:
    """Whether the stage ran before, with other settings."""
    return any(fingerprint != wanted for fingerprint, _ in found.get(source, {}).values())


def _rules(source: SourceConfig) -> str:
    kinds = source.chunking.by_media_type
    named = [f"{kind}: {chunker_name(rule)}" for kind, rule in kinds.items()]
    return "; ".join([chunker_name(source.chunking.rule_for("")), *named])


def _reason(space: Space, standing: Row | None, built: bool) -> str:
    """Why the index gets another collection than it stands on; empty where it does not."""
    if standing is None:
        return "the index has no collection yet"
    if standing["collection"] == space.collection:
        return ""
    why = ", ".join(_differences(space, standing["vectors"])) or "the files of the model are others"
    return f"{why}; an earlier collection has this vector space and is used again" if built else why


def _differences(space: Space, before: Mapping[str, Any]) -> list[str]:
    built, wanted = before.get("built_with") or {}, space.built_with
    found = [
        f"{name} is {new!r} instead of {old!r}"
        for name, old, new in (
            *_changed("embedding", built, wanted),
            ("dimension", before["dimension"], space.vectors.dimension),
            *_changed("sparse", built, wanted),
        )
        if old != new
    ]
    old_fields, new_fields = _field_types(before), _field_types(asdict(space.vectors))
    found += [f"filter field {name} is new" for name in sorted(new_fields.keys() - old_fields.keys())]
    found += [f"filter field {name} is gone" for name in sorted(old_fields.keys() - new_fields.keys())]
    found += [
        f"filter field {name} is {new_fields[name]} instead of {old}"
        for name, old in sorted(old_fields.items())
        if new_fields.get(name, old) != old
    ]
    return found


def _field_types(vectors: Mapping[str, Any]) -> dict[str, str]:
    kinds = {"keyword": vectors["keyword_fields"], **typed_fields(vectors)}
    return {name: kind for kind, names in kinds.items() for name in names}


def _changed(part: str, built: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, before, after) of the settings of a section; the section itself where it came or went."""
    old, new = built.get(part), wanted.get(part)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [(part, "on" if old else "off", "on" if new else "off")]
    return [(f"{part}.{name}", old.get(name), new.get(name)) for name in sorted({*old, *new})]
