"""Facts about the documents that a candidate changed: their texts, what they were, and whose words they have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rag_pipelines.catalog import quality_rows, recovery, versions
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.core.errors import BlobError
from rag_pipelines.core.filters import All, MatchAny
from rag_pipelines.core.ids import content_hash
from rag_pipelines.pipeline.quality_sample import Inspection
from rag_pipelines.quality.facts import Before, DocumentFacts
from rag_pipelines.quality.measures import against_bytes, coverage, similarity, words, words_of_bytes

SHORT = 200
"""Texts below so many characters (stubs, redirects) may well be equal."""

BATCH = 200
SEEN = 20_000
MATES = 50
"""Others that a document is compared with; one of them with the same text is enough."""


@dataclass(slots=True)
class Read:
    """Documents as facts, and by document: parsed texts, point rows now and before, document rows."""

    documents: list[DocumentFacts] = field(default_factory=list)
    gone: dict[str, list[Before]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, str] = field(default_factory=dict)
    now: dict[str, list[Row]] = field(default_factory=dict)
    before: dict[str, list[Row]] = field(default_factory=dict)
    states: dict[str, Row] = field(default_factory=dict)


def null_fields(payload: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """Of the metadata keys, those without a value."""
    meta = payload.get("meta") or {}
    return tuple(name for name in names if meta.get(name) in (None, "", []))


def read_documents(inspection: Inspection, chosen: Mapping[str, str]) -> Read:
    """Facts of these documents (id -> source)."""
    workspace, catalog = inspection.workspace, inspection.workspace.catalog
    index = inspection.candidate.index
    ids = sorted({*chosen} - {*versions.hidden_documents(catalog, index)})
    read = Read()
    read.now = quality_rows.points_shown(catalog, inspection.now, ids)
    if inspection.live is not None:
        read.before = quality_rows.points_shown(catalog, inspection.live, ids)
    read.states = quality_rows.document_states(
        catalog, index, ids, workspace.configuration.indexes[index].tenant
    )
    keys = {row["document_key"] for rows in (read.now, read.before) for own in rows.values() for row in own}
    with reading(workspace.catalog.engine) as tx:
        payloads = recovery.shared_payloads(tx, [key for key in keys if key])
    reader = _Reader(inspection, read, payloads)
    for doc_id in ids:
        reader.look(doc_id, chosen[doc_id])
    twins = _twins(inspection, read)
    read.documents = [
        reader.facts(doc_id, chosen[doc_id], twins.get(doc_id)) for doc_id in ids if doc_id in read.texts
    ]
    return read


class _Reader:
    """Reads stored texts, each once."""

    def __init__(self, inspection: Inspection, read: Read, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        self._inspection = inspection
        self._blobs = inspection.workspace.blobs
        self._read = read
        self._payloads = payloads

    def look(self, doc_id: str, source: str) -> None:
        """Remember the document's text, or that it is gone."""
        now, state = self._read.now.get(doc_id), self._read.states.get(doc_id)
        if now:
            name = now[0]["parsed_hash"]
        elif state is not None and state["live"] and state["parsed_hash"] is not None:
            name = state["parsed_hash"]
        else:
            before = self._before(doc_id, None)
            if before is not None:
                self._read.gone[source].append(before)
            return
        text = _text(self._blobs, name)
        self._read.texts[doc_id] = "" if text is None else text

    def facts(self, doc_id: str, source: str, twin: tuple[str, bool] | None) -> DocumentFacts:
        """What is known of a document that is there."""
        now, state, text = (
            self._read.now.get(doc_id, []),
            self._read.states.get(doc_id),
            self._read.texts[doc_id],
        )
        payload = self._payload(now) if now else {"meta": (state or {}).get("metadata")}
        names = words(text)
        own, kept = self._against_bytes(now, state, names)
        collapsed = bool(state and state["representative"]) and not now
        spans = [(row["chunk"]["start"], row["chunk"]["end"]) for row in now if row["chunk"]]
        uri = str(payload.get("uri") or (state or {}).get("uri") or doc_id)
        return DocumentFacts(
            source=source,
            document=uri,
            characters=len(text),
            coverage=1.0 if collapsed else coverage(text, spans),
            language=payload.get("language") if now else (state or {}).get("language"),
            nulls=null_fields(payload, self._inspection.filter_fields),
            own=own,
            kept=kept,
            twin=twin[0] if twin else None,
            copied=twin[1] if twin else False,
            before=self._before(doc_id, names),
        )

    def _against_bytes(
        self, now: Sequence[Row], state: Row | None, names: frozenset[str]
    ) -> tuple[float | None, float | None]:
        """Which of the words the bytes have, and which words of the bytes these are; the bytes are those of today."""
        if (
            state is None
            or state["raw_hash"] is None
            or (now and now[0]["parsed_hash"] != state["parsed_hash"])
        ):
            return None, None
        try:
            there = words_of_bytes(self._blobs.get(state["raw_hash"]), state["media_type"])
        except BlobError:
            return None, None
        return against_bytes(names, there)

    def _before(self, doc_id: str, names: frozenset[str] | None) -> Before | None:
        rows = self._read.before.get(doc_id)
        if not rows:
            return None
        now = self._read.now.get(doc_id)
        payload = self._payload(rows)
        nulls = null_fields(payload, self._inspection.filter_fields)
        if now and now[0]["parsed_hash"] == rows[0]["parsed_hash"]:
            return Before(len(self._read.texts[doc_id]), payload.get("language"), nulls, 1.0)
        text = _text(self._blobs, rows[0]["parsed_hash"])
        if text is None:
            return None
        similar = similarity(words(text), names) if names is not None else 0.0
        return Before(len(text), payload.get("language"), nulls, similar)

    def _payload(self, rows: Sequence[Row]) -> Mapping[str, Any]:
        return self._payloads.get(rows[0]["document_key"] or "", {})


def _text(blobs: Any, name: str) -> str | None:
    try:
        return str(blobs.get_parsed(name).text)
    except BlobError:  # reported by reconcile; a lost artifact is no fault of the candidate
        return None


def _twins(inspection: Inspection, read: Read) -> dict[str, tuple[str, bool]]:
    """Document -> uri of another one that has the same text, and whether their bytes are the same too."""
    catalog = inspection.workspace.catalog
    ids = [doc_id for doc_id in sorted(read.texts) if len(read.texts[doc_id]) >= SHORT]
    alike = _sharing_a_passage(inspection, read, ids)
    for doc_id, mates in quality_rows.cluster_mates(catalog, inspection.candidate.index, ids, MATES).items():
        alike[doc_id] |= mates
    raw = quality_rows.raw_names(
        catalog, sorted({*ids, *(other for mates in alike.values() for other in mates)})
    )
    keys: dict[str, str | None] = {}
    found: dict[str, tuple[str, bool]] = {}
    for doc_id in ids:
        own = _key(read.texts[doc_id])
        for other, (name, uri) in sorted(alike[doc_id].items()):
            if other == doc_id:
                continue
            if name not in keys:
                text = read.texts.get(other) or _text(inspection.workspace.blobs, name)
                keys[name] = None if text is None else _key(text)
            if keys[name] == own:
                found[doc_id] = (uri, raw.get(doc_id) == raw.get(other))
                if not found[doc_id][1]:
                    break
    return found


def _sharing_a_passage(
    inspection: Inspection, read: Read, ids: Sequence[str]
) -> dict[str, dict[str, tuple[str, str]]]:
    """Document -> others with its longest passage, as (parsed text, uri); equal texts have an equal longest one."""
    longest: dict[str, str] = {}
    for doc_id in ids:
        pieces = [row["chunk"] for row in read.now.get(doc_id, ()) if row["chunk"]]
        if pieces:
            best = max(pieces, key=lambda one: (one["end"] - one["start"], one["text_hash"]))
            longest[doc_id] = best["text_hash"]
    holders: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    hashes = sorted({*longest.values()})
    reader, shown = inspection.candidate.reader, inspection.candidate.shown
    for start in range(0, len(hashes), BATCH):
        asked = All((shown, MatchAny("text_hash", tuple(hashes[start : start + BATCH]))))
        for point in islice(reader.scroll(asked), SEEN):
            payload = point.payload
            own = holders[payload["text_hash"]]
            if len(own) < MATES:
                own[payload["doc_id"]] = (payload["parsed_hash"], payload["uri"])
    return {doc_id: dict(holders[longest[doc_id]]) if doc_id in longest else {} for doc_id in ids}


def _key(text: str) -> str:
    return content_hash(" ".join(text.split()))
