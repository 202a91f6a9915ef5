"""How well and how fast near-duplicates are found, on labelled pairs of pages and beside plain datasketch.

    python -m rag_pipelines_tests.benchmarks.near_duplicates [FOLDER] [--plot FILE] [--rounds N] [--json]

FOLDER holds pages (`*.md`) and `pairs.jsonl`, one `{"a": path, "b": path, "jaccard5": exact similarity}` a line. A
pair counts as found where the two texts share a band and are verified. Besides the labelled pairs every pair of
pages is compared exactly, since pages can be alike that nobody labelled. `--plot` writes estimates against exact
values as SVG.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines_tests.benchmarks.near_duplicate_quality import (
    Agreement,
    Collapse,
    Error,
    Quality,
    measure_agreement,
    measure_collapse,
    measure_errors,
    measure_quality,
    plot,
    read_pages,
)
from rag_pipelines_tests.benchmarks.near_duplicate_speed import Speed, measure_speed
from rag_pipelines_tests.shared_data import shared_data_or_none


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured."""

    documents: int
    characters: int
    agreement: Agreement
    quality: list[Quality]
    errors: list[Error]
    collapse: list[Collapse]
    speed: list[Speed]


def measure(folder: Path, rounds: int, plot_file: Path | None = None) -> Report:
    """Everything, with the default settings but for thresholds and bands."""
    settings = DedupConfig()
    pages = read_pages(folder, settings)
    if plot_file is not None:
        plot_file.write_text(plot(pages, settings), encoding="utf-8")
    texts = list(pages.texts.values())
    return Report(
        len(texts),
        sum(map(len, texts)),
        measure_agreement(pages),
        measure_quality(pages, settings),
        measure_errors(pages, settings),
        measure_collapse(pages, settings),
        measure_speed(texts, settings, rounds),
    )


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def tables(report: Report) -> str:
    """The report as Markdown."""
    agreement = report.agreement
    quality = markdown_table(
        [
            "pairs",
            "threshold",
            "bands x rows",
            "verified",
            "positive",
            "candidates right",
            "precision",
            "recall",
            "compared",
        ],
        [
            [
                row.pairs,
                f"{row.threshold}",
                f"{row.bands} x {row.rows}",
                "exactly" if row.exact else "near the threshold",
                f"{row.positives}",
                f"{row.candidate_precision:.3f}",
                f"{row.precision:.4f}",
                f"{row.recall:.4f}",
                f"{row.compared:.0%}",
            ]
            for row in report.quality
        ],
    )
    errors = markdown_table(
        ["estimate", "pairs", "count", "RMSE", "bias", "largest"],
        [
            [e.who, e.pairs, f"{e.count}", f"{e.rmse:.4f}", f"{e.bias:+.4f}", f"{e.largest:.3f}"]
            for e in report.errors
        ],
    )
    collapse = markdown_table(
        ["a document collapses into", "documents", "kept", "unlike their representative", "least similarity"],
        [
            [c.rule, f"{c.documents}", f"{c.kept}", f"{c.unlike_representative}", f"{c.least_similarity:.3f}"]
            for c in report.collapse
        ],
    )
    speed = markdown_table(
        ["documents a second", "rag-pipelines", "datasketch", "datasketch with xxhash", "times as fast"],
        [
            [
                s.what,
                f"{s.ours:,.0f}",
                f"{s.datasketch:,.0f}",
                f"{s.datasketch_xxhash:,.0f}" if s.datasketch_xxhash else "",
                f"{s.factor:.1f}",
            ]
            for s in report.speed
        ],
    )
    return "\n\n".join(
        [
            f"{report.documents} documents of {report.characters / max(1, report.documents):,.0f} characters",
            f"exact similarity beside {agreement.pairs} labels: largest difference "
            f"{agreement.largest_difference:.6f}, beyond rounding {agreement.beyond_rounding}",
            quality,
            errors,
            collapse,
            speed,
        ]
    )


def main() -> None:
    """Print the tables, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?", default=shared_data_or_none("neardup", "etcd"))
    parser.add_argument("--plot", type=Path, help="where to write the SVG")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest of so many counts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.folder is None or not (options.folder / "pairs.jsonl").is_file():
        sys.exit(f"there is no pairs.jsonl in {options.folder}; name a folder of labelled pages")
    report = measure(options.folder, max(1, options.rounds), options.plot)
    print(json.dumps(asdict(report)) if options.json else tables(report))


if __name__ == "__main__":
    main()
