"""Why a document is a duplicate of another, or is not: what the catalog knows, told in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_pipelines.catalog import duplicate_reports as reports
from rag_pipelines.catalog import marks, planning, signatures
from rag_pipelines.catalog.duplicates import is_collapsed
from rag_pipelines.catalog.store import Row, reading
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import NotFound
from rag_pipelines.core.ids import document_id
from rag_pipelines.dedup import dedup_fingerprint
from rag_pipelines.pipeline.deduplicate import OFF, duplicates_fingerprint, scope_keys
from rag_pipelines.pipeline.standing import Cluster, is_kept, label
from rag_pipelines.pipeline.workspace import Workspace

IDENTITY = ("doc_id", "uri", "source")
RIGHTS = ("tenant", "classification", "acl")


@dataclass(frozen=True, slots=True)
class Explanation:
    """`sentences` are about the document; `cluster` has a row a member, best representative first, with
    `why` it stands where it does and what keeps it `apart` from others.

    `cluster` is empty where the document takes no part; `documents` counts all members, listed or not.
    """

    index: str
    document: Mapping[str, Any]
    sentences: Sequence[str]
    takes_part: bool = False
    collapsed: bool = False
    representative: Mapping[str, Any] | None = None
    similarity: float | None = None
    documents: int = 0
    cluster: Sequence[Mapping[str, Any]] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The object that `duplicates DOC --json` prints."""
        return {
            "index": self.index,
            **self.document,
            "takes_part": self.takes_part,
            "collapsed": self.collapsed,
            "representative": self.representative,
            "similarity": self.similarity,
            "explanation": list(self.sentences),
            "documents": self.documents,
            "cluster": list(self.cluster),
        }


def find_document(workspace: Workspace, wanted: str, source: str | None = None) -> Row:
    """The document of that uri, `source:uri` or doc_id; a live one before those that are gone.

    Raises NotFound where there is none, and where there are several.
    """
    names = [source] if source is not None else list(workspace.configuration.sources)
    prefix, _, rest = wanted.partition(":")
    ids = {wanted, *(document_id(name, wanted) for name in names)}
    if prefix in names:
        ids.add(document_id(prefix, rest))
    with reading(workspace.catalog.engine) as tx:
        known = planning.documents_of(tx, ids)
    found = [row for row in known.values() if source is None or row["source"] == source]
    found = [row for row in found if row["live"]] or found
    if not found:
        where = f" in source {source!r}" if source is not None else ""
        raise NotFound(
            f"there is no document {wanted!r}{where}; name it by its uri, by source:uri, or by the doc_id that "
            "`rag-pipelines search --json` prints"
        )
    if len(found) > 1:
        listed = ", ".join(sorted(f"{row['source']}:{row['uri']} ({row['doc_id']})" for row in found))
        raise NotFound(f"{wanted!r} is the name of {len(found)} documents; say which: {listed}")
    return found[0]


def explain_duplicate(workspace: Workspace, index: str, document: Row, limit: int) -> Explanation:
    """What is known of the document's duplicates, with at most `limit` members of its cluster."""
    config = workspace.configuration.indexes[index]
    facts = {name: document[name] for name in IDENTITY}
    cluster = Cluster(workspace, config, document["doc_id"])
    own = cluster.members.get(document["doc_id"])
    if own is None:
        source = workspace.configuration.sources.get(document["source"])
        facts["policy"] = source.dedup.policy if source is not None else None
        reason = _absence(workspace, config, document, facts["policy"])
        return Explanation(index, facts, [f"{label(document)} takes no part: {reason}."])
    representative = None if is_kept(own) else cluster.members[own["representative"]]
    listed = cluster.ordered[:limit]
    if own not in listed:
        listed[-1:] = [own]
    return Explanation(
        index,
        {**facts, "policy": own["policy"]},
        [*_standing(config, cluster, own, representative), *_staleness(workspace, config, document, own)],
        takes_part=True,
        collapsed=is_collapsed(own),
        representative={name: representative[name] for name in IDENTITY} if representative else None,
        similarity=own["similarity"] if representative else None,
        documents=len(cluster.members),
        cluster=[_shown(cluster, row) for row in listed] if len(cluster.members) > 1 else [],
    )


def _absence(workspace: Workspace, config: IndexConfig, document: Row, policy: str | None) -> str:
    """Why the document is in no cluster, not even alone."""
    source, text = document["source"], document["parsed_hash"]
    refused = {
        row["stage"]: row["reason"]
        for row in reports.refusals(workspace.catalog, config.index, document["doc_id"])
    }
    unread = refused.get("parse") or refused.get("fetch")
    if not document["live"]:
        return "it is gone from its source"
    if not config.covers(source) or not config.holds(document["tenant"]):
        other = "another tenant's documents" if config.covers(source) else source
        return f"index {config.index} does not read {other}"
    if policy == OFF:
        return f"the policy of {source} is off"
    reason = unread if text is None else refused.get("chunk")
    if reason is not None:
        return f"it is quarantined ({reason})"
    with reading(workspace.catalog.engine) as tx:
        signed = signatures.signed(tx, dedup_fingerprint(config.dedup), [text] if text else [])
    if text in signed and signed[text] is None:
        return "its text has no word to compare"
    return f"it is not {'parsed' if text is None else 'compared'} yet; run `rag-pipelines sync`"


def _standing(config: IndexConfig, cluster: Cluster, own: Row, representative: Row | None) -> Iterator[str]:
    """The sentences about the document itself."""
    name = label(own)
    if len(cluster.members) == 1:
        keys = scope_keys(config)
        within = f" among those of the same {', '.join(keys)}" if keys else ""
        yield (
            f"{name} has no duplicate{within}: nothing else is as similar as {config.dedup.threshold:g} "
            f"in sequences of {config.dedup.ngram} words."
        )
        return
    if representative is None:
        others = sum(row["representative"] == own["doc_id"] for row in cluster.members.values()) - 1
        yield f"{name} is indexed and stands for {others or 'no'} other document{'s' if others > 1 else ''}."
    else:
        other = label(representative)
        same = own["parsed_hash"] == representative["parsed_hash"]
        alike = f"{'the same text' if same else 'nearly the same text'} (similarity {own['similarity']:.3f})"
        if is_collapsed(own):
            yield f"{name} is not indexed: {other} has {alike} and stands for it."
            yield f"Everyone who may read {name} may read {other}."
        else:
            yield f"{name} is indexed and marked: {other} has {alike}."
    for reason in (cluster.why(own), *cluster.apart(own)):
        if reason is not None:
            yield f"It {reason}."


def _staleness(workspace: Workspace, config: IndexConfig, document: Row, own: Row) -> Iterator[str]:
    """What was true at the last sync and is not of the present content or settings."""
    for row in reports.refusals(workspace.catalog, config.index, document["doc_id"]):
        if row["index_name"] == "":
            yield f"Its newest content is quarantined ({row['reason']}); the text before it was compared."
    source = workspace.configuration.sources.get(document["source"])
    if source is None:
        return
    wanted = duplicates_fingerprint(config, source)
    with reading(workspace.catalog.engine) as tx:
        found = marks.stage_marks(tx, "dedup", config.index).get(source.source, {})
    settled = all(fingerprint == wanted for fingerprint, _ in found.values())
    if own["parsed_hash"] != document["parsed_hash"] or not settled:
        yield "Its text or the settings changed since; the next sync compares it again."


def _shown(cluster: Cluster, row: Row) -> dict[str, Any]:
    """A member as scripts read it."""
    representative = cluster.members[row["representative"]]
    return {
        **{name: row[name] for name in (*IDENTITY, "policy")},
        "collapsed": is_collapsed(row),
        "representative": None if is_kept(row) else {name: representative[name] for name in IDENTITY},
        "similarity": None if is_kept(row) else row["similarity"],
        "revised_at": row["revised_at"],
        **{name: row[name] for name in RIGHTS},
        "why": cluster.why(row),
        "apart": list(cluster.apart(row)),
    }
