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

from rag_pipelines.catalog.duplicates import standing_with
from rag_pipelines.config.limits import CacheConfig
from rag_pipelines.core.filters import EVERYTHING, All, AnyOf, Condition, Match, MatchAny, Not, Range
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import OPERATOR, Principal
from rag_pipelines.retrieval import (
    answering,
    expansion,
    explain,
    locations,
    search,
    suggestions,
    withheld,
)
from rag_pipelines.retrieval import documents as listing
from rag_pipelines.retrieval.kept import Kept
from rag_pipelines.retrieval.locations import Reach
from rag_pipelines.retrieval.withheld import FIRST, StandIns
from rag_pipelines.service import caching, documents, standing
from rag_pipelines.service.caching import ResultCache
from rag_pipelines_tests.access.corpus import (
    CHAIN,
    SHOUTED,
    SOURCES,
    Corpus,
    Paper,
    Policy,
    Rights,
    draw_cases,
    draw_corpus,
    draw_paper,
)
from rag_pipelines_tests.access.oracle import judge
from rag_pipelines_tests.access.world import World, built
from rag_pipelines_tests.project import Parts

CASES = 40
WITHHOLDING = Policy("withhold")
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
    "neighbours": (expansion, "_read"),
    "corrections": (answering, "_understood"),
}
"""Every function that reads points for somebody, where it is looked up."""


def less(condition: Condition, part: str) -> Condition:
    """The condition without one part of the filter."""
    match condition:
        case All(conditions):
            return All(tuple(less(one, part) for one in conditions))
        case Match("tenant", _):
            named = "tenant"
        case Range("classification_rank"):
            named = "rank"
        case MatchAny("acl", _):
            named = "acl"
        case Not(MatchAny("doc_id", _)):
            named = "hidden"
        case Not(AnyOf(conditions)) if "injection.score" in repr(conditions):
            named = "withheld"
        case _:
            named = ""
    return EVERYTHING if named == part else condition


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
        4: Rights("acme", "public", ("*",)),  # is withheld
    }
    papers = {
        number: replace(
            draw_paper(random.Random(number), number), rights=own, source="first" if number < 2 else "second"
        )
        for number, own in rights.items()
    }
    papers[4] = replace(papers[4], source="first", title=SHOUTED)
    # What changes makes a second version, from which the index goes back.
    later = {number: paper for number, paper in papers.items() if number != 2}
    return Corpus(papers, later, dict.fromkeys(SOURCES, rights[3]), rolled_back=True, policy=WITHHOLDING)


def with_copies() -> Corpus:
    """Two copies for all of acme, of which one shows nothing, and what is near to both for its board."""
    text = "\n\n".join(CHAIN[0])
    near = "\n\n".join(CHAIN[1])
    everyone, board = Rights("acme", "public", ("*",)), Rights("acme", "public", ("group:board",))
    papers = {
        number: Paper(number, source, rights, title, (("Rules", words),), None, None, None)
        for number, (source, rights, title, words) in enumerate(
            (
                ("first", everyone, "Tickets", text),
                ("first", everyone, SHOUTED, text),
                ("second", board, "Tickets", near),
            )
        )
    }
    return Corpus(papers, papers, dict.fromkeys(SOURCES, everyone), policy=WITHHOLDING, dedup="mark")


@pytest.fixture(scope="module")
def worlds() -> Iterator[list[World]]:
    """Corpora that went back to their first version after documents had gone."""
    parts = Parts()
    with contextlib.ExitStack() as closing:
        closing.callback(parts.close)
        designed = (with_one_of_each(), with_copies())
        found = [closing.enter_context(built(corpus, parts)) for corpus in designed]
        seed = 0
        while len(found) < 5:
            drawn = draw_corpus(random.Random(seed))
            corpus = replace(drawn, rolled_back=True, policy=WITHHOLDING, dedup="mark")
            seed += 1
            if len(corpus.first.keys() - corpus.second.keys()) >= 2:
                found.append(closing.enter_context(built(corpus, parts)))
        for world in found:
            forget(world)
        yield found


def forget(world: World, config: CacheConfig | None = None) -> None:
    """No result is kept: one that a mutant gave would be taken for the next one's."""
    for served in world.served.values():
        app: Any = served.client.app
        kept = app.state.parts
        cache = ResultCache(config or CacheConfig(result_megabytes=0), kept.searchers)
        app.state.parts = replace(kept, cache=cache)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["tenant", "rank", "acl", "hidden", "withheld"])
@pytest.mark.parametrize("path", PATHS)
def test_a_path_without_a_part_of_the_filter_is_noticed(worlds: list[World], path: str, part: str) -> None:
    rng = random.Random(path)
    with mutated(path, part):
        assert noticed(worlds, rng), f"{path} without {part} answered as it should"


@contextlib.contextmanager
def explaining_everything() -> Iterator[None]:
    """Ranks of an explanation are among all points."""
    original = explain._rankings

    def mutant(ask: Any, request: SearchRequest, weights: Any) -> Any:
        return original(ask, replace(request, condition=EVERYTHING), weights)

    with patch.object(explain, "_rankings", mutant):
        yield


@contextlib.contextmanager
def results_for_anybody() -> Iterator[None]:
    """A kept result is everybody's who asks the same."""
    original = caching._key

    def mutant(now: Any, _: Principal, *rest: Any) -> bytes:
        return original(now, OPERATOR, *rest)

    with patch.object(caching, "_key", mutant):
        yield


@contextlib.contextmanager
def kept_for_anybody(room: int) -> Iterator[None]:
    """What is kept for some readers of a version is given to all of them; `room` tells whose memory it is."""
    original = Kept.get

    def mutant(self: Kept[Any], key: Any, make: Callable[[], Any]) -> Any:
        generation, condition = key[1] if isinstance(key[1], tuple) else key
        known = ("mutant", generation, repr(condition.conditions[0]))
        return original(self, known if self._room == room else key, make)

    with patch.object(Kept, "get", mutant):
        yield


@contextlib.contextmanager
def standing_first() -> Iterator[None]:
    """A document stands by its first passage alone."""
    with patch.object(StandIns, "each_document", lambda *_: FIRST):
        yield


@contextlib.contextmanager
def whole_texts() -> Iterator[None]:
    """The text of a document has its withheld passages."""
    with patch.object(listing, "blanked", lambda text, _: text):
        yield


@contextlib.contextmanager
def naming_the_silent() -> Iterator[None]:
    """Copies of which everything is withheld are named."""
    with patch.object(Reach, "showing_nothing", lambda *_: set()):
        yield


@contextlib.contextmanager
def near_documents_of_all() -> Iterator[None]:
    """Near documents are named whoever may read them."""
    with (
        patch.object(locations, "may_read", lambda *_: True),
        patch.object(locations, "standing_with", lambda *args: standing_with(*args[:4])),
    ):
        yield


@contextlib.contextmanager
def clusters_of_the_catalog() -> Iterator[None]:
    """What hangs together by hidden documents is joined."""

    def mutant(reach: Reach, doc_ids: Any) -> dict[str, str]:
        return {row["doc_id"]: row["cluster"] for row in reach.members(doc_ids)}

    with patch.object(Reach, "clusters", mutant):
        yield


MUTANTS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "explain": explaining_everything,
    "result cache": results_for_anybody,
    "kept suggestions": lambda: kept_for_anybody(suggestions.KEPT),
    "kept stand-ins": lambda: kept_for_anybody(withheld.KEPT),
    "stand-ins": standing_first,
    "withheld text": whole_texts,
    "withheld copies": naming_the_silent,
    "near documents": near_documents_of_all,
    "clusters": clusters_of_the_catalog,
}


def noticed(worlds: list[World], rng: random.Random) -> bool:
    """Whether the oracle finds a difference in some cases of each world."""
    return any(judge(world, case) for world in worlds for case in draw_cases(rng, CASES // len(worlds)))


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_noticed(worlds: list[World], name: str) -> None:
    with MUTANTS[name]():
        if name == "result cache":
            for world in worlds:
                forget(world, CacheConfig())
        try:
            assert noticed(worlds, random.Random(name)), f"{name} mutated answered as it should"
        finally:
            for world in worlds:
                forget(world)


@pytest.mark.slow
def test_without_a_mutant_nothing_is_noticed(worlds: list[World]) -> None:
    assert not noticed(worlds, random.Random("none"))
