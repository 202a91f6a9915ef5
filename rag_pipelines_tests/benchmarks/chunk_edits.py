"""How many chunks one edit of a Markdown page makes new, for the structural strategy and for plain windows.

    python -m rag_pipelines_tests.benchmarks.chunk_edits PATH [--pages N] [--edits N] [--json]

Each edit is made at a random paragraph of a page's source: a sentence put at its end, a paragraph put before it,
or the paragraph taken out. A chunk is new if the page had no chunk of that text before: that is what would have
to be embedded. Pages that make fewer than three chunks are left out, since there an edit can only reach all.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rag_pipelines.chunking import chunk_documents
from rag_pipelines.config.models import ChunkingRule, EmbeddingConfig
from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.ports import Tokenizer
from rag_pipelines.core.types import Chunk
from rag_pipelines.embedding import open_tokenizer
from rag_pipelines.parsing import markdown

SENTENCE = "The change described here was approved by the maintainers in spring."
RULES = {"headings": ChunkingRule(strategy="headings"), "tokens": ChunkingRule(strategy="tokens")}
FEWEST_CHUNKS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """`mean`, `p95` and `most` count new chunks of one edit."""

    strategy: str
    edit: str
    edits: int
    chunks_a_page: float
    mean: float
    p95: float
    most: int


def insert_sentence(paragraphs: list[str], at: int) -> list[str]:
    """At the end of a paragraph."""
    return [*paragraphs[:at], f"{paragraphs[at]} {SENTENCE}", *paragraphs[at + 1 :]]


def insert_paragraph(paragraphs: list[str], at: int) -> list[str]:
    """Before a paragraph."""
    return [*paragraphs[:at], f"{SENTENCE} {SENTENCE}", *paragraphs[at:]]


def remove_paragraph(paragraphs: list[str], at: int) -> list[str]:
    """The paragraph itself."""
    return paragraphs[:at] + paragraphs[at + 1 :]


EDITS: dict[str, Callable[[list[str], int], list[str]]] = {
    "sentence inserted": insert_sentence,
    "paragraph inserted": insert_paragraph,
    "paragraph removed": remove_paragraph,
}


def measure(pages: Sequence[str], edits: int, tokenizer: Tokenizer, seed: int = 1) -> list[Result]:
    """Every strategy and kind of edit on the same pages and places."""
    results = []
    for strategy, rule in RULES.items():
        before = {page: cut(page, rule, tokenizer) for page in dict.fromkeys(pages)}
        usable = [page for page, chunks in before.items() if len(chunks) >= FEWEST_CHUNKS]
        for name, edit in EDITS.items():
            draw = random.Random(seed)
            new: list[int] = []
            sizes: list[int] = []
            for _ in range(edits if usable else 0):
                page = draw.choice(usable)
                paragraphs = page.split("\n\n")
                edited = "\n\n".join(edit(paragraphs, draw.randrange(len(paragraphs))))
                known = {chunk.text_hash for chunk in before[page]}
                new.append(sum(chunk.text_hash not in known for chunk in cut(edited, rule, tokenizer)))
                sizes.append(len(before[page]))
            if new:
                spread = float(np.percentile(new, 95))
                results.append(
                    Result(
                        strategy, name, len(new), float(np.mean(sizes)), float(np.mean(new)), spread, max(new)
                    )
                )
    return results


def cut(page: str, rule: ChunkingRule, tokenizer: Tokenizer) -> list[Chunk]:
    """The chunks of a page; none where it cannot be read."""
    try:
        parsed = markdown.parse(page.encode(), "page.md")
    except ParseError:
        return []
    return chunk_documents([("00000000-0000-5000-8000-000000000000", parsed)], rule, tokenizer)[0]


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| strategy | edit | edits | chunks a page | new chunks: mean | p95 | most |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r.strategy} | {r.edit} | {r.edits} | {r.chunks_a_page:.1f} | {r.mean:.2f} | {r.p95:.0f} | {r.most} |"
        for r in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("path", type=Path, help="a folder with Markdown pages")
    parser.add_argument("--pages", type=int, default=300, help="at most so many of them")
    parser.add_argument("--edits", type=int, default=300, help="of each kind")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = sorted(options.path.rglob("*.md"))[: options.pages]
    if not files:
        sys.exit(f"there is no .md file below {options.path}")
    pages = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    results = measure(pages, options.edits, open_tokenizer(EmbeddingConfig(), Path()))
    print(json.dumps({"results": [asdict(r) for r in results]}) if options.json else table(results))


if __name__ == "__main__":
    main()
