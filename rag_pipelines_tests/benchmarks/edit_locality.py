"""How many chunks the edits of a real history make new, for our chunking and for fixed windows.

    python -m rag_pipelines_tests.benchmarks.edit_locality [--repo NAME|PATH ...] [--commits 200] [--json]

For every commit and every document that it edits (moved and edited at once included, new and deleted ones not):
the chunks whose text no earlier state of the history had, which is what has to be embedded. Texts are remembered
over the whole stream, as the catalog remembers vectors, so a text that comes back costs nothing and one that two
documents get at once counts once (the last column tells what differs from the document's own previous chunks,
without that memory). Nothing is embedded here: parser and chunker alone. Of the files, those that
parse as text (Markdown, reStructuredText, plain, HTML, CSV); drawings and JSON are no prose that people edit.

Changed lines are the larger side of each `git diff -U0` hunk, summed. Changed paragraphs are the blocks between
blank lines of the new file that a hunk touches; a hunk that only deletes touches the block that it leaves behind,
and every hunk counts one at least where it touches none. Both come from the source's text and know no chunker.

Splitters: `headings` is the default of a source; `tokens` the fixed window over the parsed text, without overlap,
whose edges move back to the start of a word; `raw window` cuts the file's own text at every 220th token exactly,
which is what a plain splitter does. All three are measured on the same edits.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines_tests.benchmarks.streams import STREAMS, Change, Commit, Cutter, Hunk, Stream, open_stream

WINDOW = 220
HEADINGS, TOKENS = ChunkingRule(strategy="headings"), ChunkingRule(strategy="tokens")
LONG = 10
"""Documents of so many chunks are reported apart: in a short one an edit can hardly miss."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edited document of one commit: `new` of its `chunks` have a text that was never seen, `differ` one
    that the document did not have before.
    """

    lines: int
    paragraphs: int
    chunks: int
    new: int
    differ: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one figure over all edited documents."""

    median: float
    p95: float
    mean: float


@dataclass(frozen=True, slots=True)
class Result:
    """`all_*` relate sums over the stream, so that large edits weigh as much as they cost."""

    stream: str
    splitter: str
    documents: str
    edits: int
    chunks: float
    new: int
    share: float
    per_document: Spread
    per_paragraph: Spread
    per_line: Spread
    differ_per_paragraph: Spread
    all_per_paragraph: float
    all_per_line: float


@dataclass(slots=True)
class Splitter:
    """A way to cut, every text that it has made so far (and of which path now), and what the edits cost it."""

    name: str
    cut: Callable[[bytes, ParsedDocument], list[str]]
    seen: set[str] = field(default_factory=set)
    held: dict[str, set[str]] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)
    moved: int = 0
    added: int = 0

    def see(self, path: str, texts: Sequence[str]) -> None:
        """These are the texts of the path from now on."""
        self.held[path] = set(texts)
        self.seen |= self.held[path]


def splitters(cutter: Cutter) -> list[Splitter]:
    """Fresh ones."""

    def ours(rule: ChunkingRule) -> Callable[[bytes, ParsedDocument], list[str]]:
        return lambda _, document: [chunk.embed_text for chunk in cutter.chunks(document, rule)]

    def raw_window(data: bytes, _: ParsedDocument) -> list[str]:
        text = data.decode("utf-8", "replace")
        starts = cutter.tokenizer.offsets([text])[0][:, 0].tolist()
        edges = [0, *starts[WINDOW::WINDOW], len(text)]
        return [text[start:end] for start, end in pairwise(edges) if text[start:end].strip()]

    return [
        Splitter("headings (default)", ours(HEADINGS)),
        Splitter("tokens", ours(TOKENS)),
        Splitter("raw window", raw_window),
    ]


def changed_paragraphs(hunks: Sequence[Hunk], new: str) -> int:
    """Blocks between blank lines that the hunks touch, as told above."""
    blocks: list[int | None] = []
    number, inside = -1, False
    for line in new.split("\n"):
        filled = bool(line.strip())
        number += filled and not inside
        blocks.append(number if filled else None)
        inside = filled
    touched: set[int] = set()
    elsewhere = 0
    for hunk in hunks:
        if hunk.added:
            lines = blocks[hunk.start - 1 : hunk.start - 1 + hunk.added]
        else:
            lines = blocks[max(hunk.start - 1, 0) : hunk.start + 1]
            lines = [next((block for block in lines if block is not None), None)]
        found = {block for block in lines if block is not None}
        elsewhere += not found
        touched |= found
    return len(touched) + elsewhere


def measure(stream: Stream, commits: Sequence[Commit], cutter: Cutter) -> list[Splitter]:
    """Walk the commits with every splitter; returns what each of them has seen and paid."""
    ways = splitters(cutter)
    for path, data, document in cutter.read(stream.tree(commits[0].parent).items()):
        for way in ways if _is_text(document) else ():
            way.see(path, way.cut(data, document))
    for commit in commits:
        by_path = {change.path: change for change in commit.changes if change.new is not None}
        for path, data, document in cutter.read((path, change.new or "") for path, change in by_path.items()):
            if not _is_text(document):
                continue
            sizes = _sizes(stream, by_path[path], data)
            for way in ways:
                texts = way.cut(data, document)
                new = len(set(texts) - way.seen)
                differ = len(set(texts) - way.held.get(by_path[path].old_path, set()))
                way.see(path, texts)
                if sizes is None:
                    way.added += new
                elif not sizes[0]:
                    way.moved += new
                else:
                    way.edits.append(Edit(*sizes, len(texts), new, differ))
    return ways


def _is_text(document: ParsedDocument) -> bool:
    return document.media_type.startswith("text/")


def _sizes(stream: Stream, change: Change, data: bytes) -> tuple[int, int] | None:
    """Changed lines and paragraphs; none of either for a plain move, None for a new document."""
    if change.old is None or change.new is None:
        return None
    if change.old == change.new:
        return 0, 0
    hunks = stream.hunks(change.old, change.new)
    if not hunks:
        return None
    lines = sum(max(hunk.removed, hunk.added) for hunk in hunks)
    return lines, changed_paragraphs(hunks, data.decode("utf-8", "replace"))


def results(name: str, ways: Sequence[Splitter]) -> list[Result]:
    """Two rows a splitter: every edit, and those of documents that every splitter cuts into ten or more."""
    long = [
        position
        for position, same in enumerate(zip(*(way.edits for way in ways), strict=True))
        if min(edit.chunks for edit in same) >= LONG
    ]
    rows = []
    for label, chosen in (("all", list(range(len(ways[0].edits)))), (f">= {LONG} chunks", long)):
        if chosen:
            rows += [_result(name, way.name, label, [way.edits[i] for i in chosen]) for way in ways]
    return rows


def _result(stream: str, splitter: str, documents: str, edits: Sequence[Edit]) -> Result:
    new = sum(edit.new for edit in edits)
    return Result(
        stream=stream,
        splitter=splitter,
        documents=documents,
        edits=len(edits),
        chunks=float(np.mean([edit.chunks for edit in edits])),
        new=new,
        share=new / max(sum(edit.chunks for edit in edits), 1),
        per_document=_spread([edit.new for edit in edits]),
        per_paragraph=_spread([edit.new / edit.paragraphs for edit in edits]),
        per_line=_spread([edit.new / edit.lines for edit in edits]),
        differ_per_paragraph=_spread([edit.differ / edit.paragraphs for edit in edits]),
        all_per_paragraph=new / sum(edit.paragraphs for edit in edits),
        all_per_line=new / sum(edit.lines for edit in edits),
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.median(values)), float(np.percentile(values, 95)), float(np.mean(values)))


def table(rows: Sequence[Result]) -> str:
    """Markdown: median / p95 / mean over edited documents, and the sums' ratio behind the bar."""
    lines = [
        "| stream | splitter | documents | edits | chunks a document | new chunks (share) | per edited document "
        "| per changed paragraph / all | per changed line / all | differing, per changed paragraph |",
        "|---|---|---|---:|---:|---:|---|---|---|---|",
    ]
    for row in rows:
        document, paragraph, line, differ = (
            f"{spread.median:.2f} / {spread.p95:.2f} / {spread.mean:.2f}"
            for spread in (row.per_document, row.per_paragraph, row.per_line, row.differ_per_paragraph)
        )
        lines.append(
            f"| {row.stream} | {row.splitter} | {row.documents} | {row.edits} | {row.chunks:.1f} "
            f"| {row.new} ({row.share:.0%}) | {document} | {paragraph} / {row.all_per_paragraph:.2f} "
            f"| {line} / {row.all_per_line:.2f} | {differ} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table and what new and moved documents cost, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--repo", nargs="+", default=list(STREAMS), help="etcd-docs, python-devguide or a path"
    )
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--from-end", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[Result] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rag-locality-") as folder, SandboxedParser() as sandbox:
        for name in options.repo:
            began = time.perf_counter()
            stream = open_stream(name, Path(folder))
            commits = stream.commits(options.commits, from_end=options.from_end)
            if not commits:
                sys.exit(f"{name} has no commit that changes a listed file")
            ways = measure(stream, commits, Cutter(stream, sandbox, Path(folder)))
            rows += results(Path(name).stem, ways)
            kinds = "; ".join(f"{way.name}: {way.added} new, {way.moved} moved" for way in ways)
            notes.append(
                f"{Path(name).stem}: {len(commits)} commits, chunks of documents that were not edited: {kinds} "
                f"({time.perf_counter() - began:.0f} s)"
            )
    if options.json:
        print(json.dumps({"results": [asdict(row) for row in rows], "notes": notes}))
    else:
        print(table(rows) + "\n\n" + "\n".join(notes))


if __name__ == "__main__":
    main()
