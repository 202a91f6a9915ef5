"""The oracle notices each part of the filter that any one path leaves out."""

from __future__ import annotations

import contextlib
import contextvars
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any
from unittest.mock import patch

import pytest

from rag_pipelines.config.limits import CacheConfig
from rag_pipelines.core.filters import EVERYTHING, All, Condition, Match, MatchAny, Not, Range
from rag_pipelines.retrieval import locations, search, suggestions
from rag_pipelines.retrieval.locations import Reach
from rag_pipelines.service import documents, standing
from rag_pipelines.service.caching import ResultCache
from rag_pipelines_tests.access.corpus import SOURCES, Corpus, Rights, draw_case, draw_corpus, draw_paper
from rag_pipelines_tests.access.oracle import judge
from rag_pipelines_tests.access.world import World, built
from rag_pipelines_tests.project import Parts

CASES = 40
dropping: contextvars.ContextVar[str] = contextvars.ContextVar("dropping", default="")

PATHS: dict[str, tuple[Any, str]] = {
    "search": (search.Searcher, "search"),
    "locations": (locations, "_same_texts"),
    "documents": (documents, "list_documents"),
    "document": (documents, "read_document"),
    "facets": (documents, "count_values"),
    "suggestions": (suggestions.Suggestions, "find"),
    "totals": (standing, "count_readable"),
    "sources": (standing, "_read_in"),
}
"""Every function that reads points for somebody, where it is looked up."""


def less(condition: Condition, part: str) -> Condition:
    """The condition without one part of the filter."""
    match condition:
        case Match("tenant", _) if part == "tenant":
            return EVERYTHING
        case Range("classification_rank") if part == "rank":
            return EVERYTHING
        case MatchAny("acl", _) if part == "acl":
            return EVERYTHING
        case Not(MatchAny("doc_id", _)) if part == "hidden":
            return EVERYTHING
        case All(conditions):
            return All(tuple(less(one, part) for one in conditions))
    return condition


@contextlib.contextmanager
def mutated(path: str, part: str) -> Iterator[None]:
    """One path reads without one part of the filter, all others as ever."""
    owner, name = PATHS[path]
    original: Callable[..., Any] = getattr(owner, name)
    readable = Reach.readable.fget  # type: ignore[attr-defined]

    @wraps(original)
    def mutant(*args: Any, **kwargs: Any) -> Any:
        token = dropping.set(part)
        try:
            return original(*args, **kwargs)
        finally:
            dropping.reset(token)

    def seen(reach: Reach) -> Condition:
        found: Condition = less(readable(reach), dropping.get())
        return found

    scope = Reach.scope

    def scoped(reach: Reach) -> locations.Scope:
        generation, condition = scope(reach)
        return generation, less(condition, dropping.get())

    with (
        patch.object(owner, name, mutant),
        patch.object(Reach, "readable", property(seen)),
        patch.object(Reach, "scope", scoped),
    ):
        yield


def with_one_of_each() -> Corpus:
    """Nothing that somebody of acme without clearance may read, each for one reason."""
    rights = {
        0: Rights("globex", "public", ("*",)),
        1: Rights("acme", "restricted", ("*",)),
        2: Rights("acme", "public", ("*",)),  # goes
        3: Rights("acme", "public", ()),
    }
    papers = {
        number: replace(
            draw_paper(random.Random(number), number), rights=own, source="first" if number < 2 else "second"
        )
        for number, own in rights.items()
    }
    # What changes makes a second version, from which the index goes back.
    later = {number: paper for number, paper in papers.items() if number != 2}
    return Corpus(papers, later, dict.fromkeys(SOURCES, rights[3]), rolled_back=True)


@pytest.fixture(scope="module")
def worlds() -> Iterator[list[World]]:
    """Corpora that went back to their first version after documents had gone."""
    parts = Parts()
    with contextlib.ExitStack() as closing:
        closing.callback(parts.close)
        found = [closing.enter_context(built(with_one_of_each(), parts))]
        seed = 0
        while len(found) < 4:
            drawn = draw_corpus(random.Random(seed))
            corpus = Corpus(drawn.first, drawn.second, drawn.defaults, rolled_back=True)
            seed += 1
            if len(corpus.first.keys() - corpus.second.keys()) >= 2:
                found.append(closing.enter_context(built(corpus, parts)))
        for world in found:
            forget(world)
        yield found


def forget(world: World) -> None:
    """No result is kept: one that a mutant gave would be taken for the next one's."""
    for served in world.served.values():
        app: Any = served.client.app
        kept = app.state.parts
        cache = ResultCache(CacheConfig(result_megabytes=0), kept.searchers)
        app.state.parts = replace(kept, cache=cache)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["tenant", "rank", "acl", "hidden"])
@pytest.mark.parametrize("path", PATHS)
def test_a_path_without_a_part_of_the_filter_is_noticed(worlds: list[World], path: str, part: str) -> None:
    rng = random.Random(path)
    with mutated(path, part):
        for number in range(CASES):
            if judge(worlds[number % len(worlds)], draw_case(rng)):
                return
    raise AssertionError(f"{path} without {part} answered as it should")


@pytest.mark.slow
def test_without_a_mutant_nothing_is_noticed(worlds: list[World]) -> None:
    rng = random.Random("none")
    for number in range(CASES):
        assert judge(worlds[number % len(worlds)], draw_case(rng)) == []
