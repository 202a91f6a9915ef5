"""Whether `revision`, `link` and `modified_at` of a replayed index are true, asked of git."""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import datetime
from pathlib import PurePosixPath

from rag_pipelines.core.ports import Parser, ParseTask
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.benchmarks.streams import Stream
from rag_pipelines_tests.benchmarks.visible import Difference, Visible

Facts = tuple[str, str, str]


def check_provenance(
    stream: Stream,
    commit: str,
    found: Visible,
    wanted: Visible,
    difference: Difference,
    *,
    stale: Set[str],
    parser: Parser,
    workspace: Workspace,
) -> None:
    """Add what is not true to the difference.

    The replayed document names a state of the history up to `commit` whose blob, time and text are as it says;
    the clean build (`wanted`) names the commit itself. Only documents of both that are not stale are looked at.
    """
    history = set(stream.git("rev-list", "--first-parent", commit).decode().split())
    tree = stream.tree(commit)
    clean = _facts(wanted, difference)
    named: dict[str, tuple[str, Facts]] = {}
    for uri, facts in _facts(found, difference).items():
        revision, link, _ = facts
        at = link.removeprefix(f"{stream.folder}@").removesuffix(f":{uri}")
        if uri not in clean or uri in stale:
            continue
        if at not in history:
            difference.add("link", f"{uri} links to {link}, which is no state of the history")
        else:
            named[uri] = at, facts
        if clean[uri][:2] != (tree[uri], f"{stream.folder}@{commit}:{uri}"):
            difference.add("clean build", f"{uri} is said to be {clean[uri][0]} at {clean[uri][1]}")
    blobs = _blobs_at(stream, [f"{at}:{uri}" for uri, (at, _) in named.items()])
    other_bytes: dict[str, str] = {}
    for (uri, (at, facts)), blob in zip(named.items(), blobs, strict=True):
        revision, _, modified_at = facts
        if blob != revision:
            difference.add("revision", f"{uri} is {blob} at {at}, not {revision}")
        elif revision != clean[uri][0]:
            other_bytes[uri] = revision
        if modified_at != clean[uri][2] and _seconds(modified_at) != _last_change(stream, at, uri):
            difference.add("modified_at", f"{uri} was not changed at {modified_at} (as of {at})")
    hashes = {uri: str(payload["parsed_hash"]) for uri, payload in found.documents.items()}
    raw = stream.blobs(list(other_bytes.values()))
    tasks = [
        ParseTask(uri, data, PurePosixPath(uri).name) for uri, data in zip(other_bytes, raw, strict=True)
    ]
    for outcome in parser.parse(tasks):
        parsed = outcome.document
        if parsed is None or workspace.blobs.put_parsed(parsed) != hashes[outcome.key]:
            difference.add(
                "text", f"{outcome.key} at {other_bytes[outcome.key]} reads otherwise than indexed"
            )


def _facts(side: Visible, difference: Difference) -> dict[str, Facts]:
    """uri -> (revision, link, modified_at), which all points of a document share."""
    found: dict[str, Facts] = {}
    for point in side.points.values():
        payload = point.payload
        facts = (str(payload["revision"]), str(payload["link"]), str(payload["modified_at"]))
        if found.setdefault(str(payload["uri"]), facts) != facts:
            difference.add("points of one document disagree", str(payload["uri"]))
    return found


def _blobs_at(stream: Stream, names: Iterable[str]) -> list[str]:
    """The blob id of each `commit:path`, or what git says where there is none."""
    out = stream.git("cat-file", "--batch-check", data="".join(f"{name}\n" for name in names).encode())
    return [line.rsplit(" ", 2)[0] for line in out.decode().splitlines()]


def _last_change(stream: Stream, commit: str, path: str) -> int:
    out = stream.git("log", "--first-parent", "-m", "-1", "--format=%ct", commit, "--", f":(literal){path}")
    return int(out)


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())
