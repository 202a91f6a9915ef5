"""How the answer to a question reads in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import zip_longest

from rich.padding import Padding
from rich.text import Text

from rag_pipelines.cli.output import out, say, tell
from rag_pipelines.core.places import Location
from rag_pipelines.core.types import Passage
from rag_pipelines.retrieval.context import Context
from rag_pipelines.retrieval.explain import Explanation
from rag_pipelines.retrieval.result import SearchResult

EXCERPT = 300
INDENT = "   "


def print_answer(result: SearchResult) -> None:
    """Every passage with where it stands, and why it stands there where the search was explained."""
    if result.reranking is not None and not result.reranking.applied:
        read = result.reranking.passages
        say(
            f"not reranked: time ran out after {read} passages; raise retrieval.rerank.seconds or lower top_n"
        )
    if result.understanding is not None and result.understanding.corrections:
        say(f"asked: {result.understanding.question}", "cyan")
    if result.answerable is False:
        say(f"this is not answered here (confidence {result.confidence:.2f})")
    elif not result.passages:
        say("nothing was found")
    for passage, explanation in zip_longest(result.passages, result.explanations or ()):
        _print_passage(passage, explanation)


def print_context(context: Context) -> None:
    """The text alone, as a prompt would have it; what it counts goes to standard error."""
    sys.stdout.write(f"{context.text}\n")
    tell(f"{context.tokens} tokens in {len(context.citations)} parts")


def _print_passage(passage: Passage, explanation: Explanation | None) -> None:
    citation = passage.citation
    where = f"{citation.source}/{citation.uri}"
    if citation.page is not None:
        where += f", page {citation.page}"
    say(f"{passage.rank}. {passage.title}  [{passage.score:.3f}]", "bold")
    say(f"{INDENT}{where}, characters {citation.start}-{citation.end}, version {citation.version}", "cyan")
    if passage.matched:
        found = ", ".join(f"{span.start}-{span.end}" for span in passage.matched)
        say(f"{INDENT}found in it: {found}", "cyan")
    if passage.locations:
        say(f"{INDENT}also in: {', '.join(map(_also, passage.locations))}", "cyan")
    if passage.injection:
        told = ", ".join(passage.injection["reasons"])
        say(
            f"{INDENT}may hold instructions for a machine ({passage.injection['score']:.2f}): {told}",
            "yellow",
        )
    for line in _reasons(explanation) if explanation is not None else ():
        say(f"{INDENT}{line}", "magenta")
    shown = " ".join(passage.text.split())
    excerpt = Text(shown if len(shown) <= EXCERPT else shown[: EXCERPT - 1] + "…")
    out.print(Padding(excerpt, (0, 0, 0, len(INDENT))))


def _also(location: Location) -> str:
    where = f"{location.source}/{location.uri}"
    return where if location.similarity == 1 else f"{where} ({int(100 * location.similarity)}% alike)"


def _reasons(explanation: Explanation) -> Iterator[str]:
    rankings = {
        "dense": explanation.dense,
        "sparse": explanation.sparse,
        "fused": explanation.fused,
        "reranked": explanation.rerank,
    }
    placed = [f"{name} #{at.rank} ({at.score:.3f})" for name, at in rankings.items() if at is not None]
    yield "why: " + (", ".join(placed) or "no ranking holds it within its depth")
    yield "matched terms: " + (", ".join(explanation.matched) or "none")
