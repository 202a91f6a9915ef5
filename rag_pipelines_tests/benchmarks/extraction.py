"""Quality and speed of the text taken from web pages, beside trafilatura and unstructured on the same pages.

    python -m rag_pipelines_tests.benchmarks.extraction [--limit N] [--only NAME ...] [--json]

The corpus is article-extraction: 181 pages of news sites and blogs with the article's body as people marked it.
The measure, token-level: a text is the multiset of its tokens (`\\w+`, case kept); overlap is the size of the
multisets' intersection; precision = overlap / tokens extracted, recall = overlap / tokens of the gold body, F1 their
harmonic mean, each per page and then averaged over pages. Tokens ignore order, so the same three are taken of
4-grams of consecutive tokens as well (a text shorter than four tokens is one gram), as the corpus' own
evaluation does. The rules were tuned on the pages at even positions in the order of ids; the others are held out and
reported apart. The page's title is no part of the body and is not counted for this package.
MB/s is uncompressed HTML over the processor time of extraction alone, in one process, after one page to warm up.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rag_pipelines.core.types import ElementKind
from rag_pipelines_tests.shared_data import shared_data_or_none

CORPUS = ("documents", "article-extraction")

Extract = Callable[[bytes], str]

_TOKEN = re.compile(r"\w+")
_GRAM = 4


@dataclass(frozen=True, slots=True)
class Page:
    """One page with its gold body."""

    page_id: str
    data: bytes
    body: str


@dataclass(frozen=True, slots=True)
class Scores:
    """Precision, recall and F1, of one page or averaged over pages."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Result:
    """One extractor; `tokens` and `grams` over all pages, `held_out` tokens over the untuned half."""

    extractor: str
    pages: int
    empty: int
    tokens: Scores
    grams: Scores
    held_out: Scores
    megabytes_per_second: float


def read_pages(folder: Path, limit: int | None = None) -> list[Page]:
    """The pages in the order of their ids."""
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    return [
        Page(
            key, gzip.decompress((folder / "html" / f"{key}.html.gz").read_bytes()), truth[key]["articleBody"]
        )
        for key in sorted(truth)[:limit]
    ]


def overlap(gold: Counter[Hashable], found: Counter[Hashable]) -> Scores:
    """Of two multisets; two empty ones agree wholly."""
    shared = (gold & found).total()
    precision = shared / found.total() if found else float(not gold)
    recall = shared / gold.total() if gold else 1.0
    return Scores(
        precision, recall, 2 * precision * recall / (precision + recall) if shared else precision * recall
    )


def token_scores(gold: str, found: str) -> Scores:
    """Of the tokens of two texts."""
    return overlap(Counter(_TOKEN.findall(gold)), Counter(_TOKEN.findall(found)))


def gram_scores(gold: str, found: str) -> Scores:
    """Of the runs of four tokens of two texts."""
    return overlap(Counter(_grams(_TOKEN.findall(gold))), Counter(_grams(_TOKEN.findall(found))))


def _grams(tokens: list[str]) -> list[Hashable]:
    if not tokens:
        return []
    return [tuple(tokens[i : i + _GRAM]) for i in range(max(1, len(tokens) - _GRAM + 1))]


def mean(scores: Sequence[Scores]) -> Scores:
    """The average of each of the three; zeros where there are none."""
    count = len(scores) or 1
    return Scores(
        sum(score.precision for score in scores) / count,
        sum(score.recall for score in scores) / count,
        sum(score.f1 for score in scores) / count,
    )


def measure(name: str, extract: Extract, pages: Sequence[Page]) -> Result:
    """Run one extractor over all pages."""
    extract(pages[0].data)
    started = time.process_time()
    texts = [extract(page.data) for page in pages]
    seconds = time.process_time() - started
    tokens = [token_scores(page.body, text) for page, text in zip(pages, texts, strict=True)]
    grams = [gram_scores(page.body, text) for page, text in zip(pages, texts, strict=True)]
    return Result(
        extractor=name,
        pages=len(pages),
        empty=sum(not text.strip() for text in texts),
        tokens=mean(tokens),
        grams=mean(grams),
        held_out=mean(tokens[1::2]),
        megabytes_per_second=sum(len(page.data) for page in pages) / 1e6 / seconds,
    )


def this_package() -> Extract:
    """The HTML parser, without the title; a page it refuses counts as empty."""
    from rag_pipelines.core.errors import ParseError
    from rag_pipelines.parsing import html

    def extract(data: bytes) -> str:
        try:
            document = html.parse(data, "page.html")
        except ParseError:
            return ""
        body = (element for element in document.elements if element.kind is not ElementKind.TITLE)
        return "\n".join(document.text[element.start : element.end] for element in body)

    return extract


def trafilatura_alone() -> Extract:
    """trafilatura with its defaults but for comments, which no body holds."""
    import trafilatura

    def extract(data: bytes) -> str:
        return trafilatura.extract(data.decode("utf-8", "replace"), include_comments=False) or ""

    return extract


def unstructured_alone() -> Extract:
    """unstructured's `partition_html`, with a blank spaCy pipeline for the model it would download."""
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"
    import spacy
    from unstructured.nlp import tokenize
    from unstructured.partition.html import partition_html

    def blank() -> spacy.language.Language:
        pipeline = spacy.blank("en")
        pipeline.add_pipe("sentencizer")
        return pipeline

    tokenize._load_spacy_model = blank

    def extract(data: bytes) -> str:
        return "\n".join(element.text for element in partition_html(text=data.decode("utf-8", "replace")))

    return extract


EXTRACTORS: dict[str, Callable[[], Extract]] = {
    "rag-pipelines": this_package,
    "trafilatura": trafilatura_alone,
    "unstructured": unstructured_alone,
}


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| extractor | precision | recall | F1 | F1 held out | 4-gram precision | 4-gram recall | 4-gram F1 | MB/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.extractor} | {r.tokens.precision:.3f} | {r.tokens.recall:.3f} | {r.tokens.f1:.3f} | "
        f"{r.held_out.f1:.3f} | {r.grams.precision:.3f} | {r.grams.recall:.3f} | {r.grams.f1:.3f} | "
        f"{r.megabytes_per_second:.1f} |"
        for r in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table or one JSON object; exit with 1 where this package's F1 is below 0.90."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", choices=sorted(EXTRACTORS), default=list(EXTRACTORS))
    parser.add_argument("--limit", type=int, help="the first pages only")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    folder = shared_data_or_none(*CORPUS)
    if folder is None:
        sys.exit(f"third-party corpus {'/'.join(CORPUS)} is not here (set RAG_SHARED_DATA)")
    pages = read_pages(folder, options.limit)
    results = [measure(name, EXTRACTORS[name](), pages) for name in options.only]
    print(json.dumps({"results": [asdict(result) for result in results]}) if options.json else table(results))
    if any(result.extractor == "rag-pipelines" and result.tokens.f1 < 0.90 for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
