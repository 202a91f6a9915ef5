"""Looks at a project before, while and after it is killed, and says what must be seen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rag_pipelines.core.filters import Condition
from rag_pipelines.core.ports import CollectionReader, SearchRequest
from rag_pipelines.retrieval.search import Searcher
from rag_pipelines_tests.pipeline.remains import assert_consistent, kept_rows
from rag_pipelines_tests.pipeline.templates import Facts, Zygote
from rag_pipelines_tests.pipeline.views import Seen, View, assert_same, look, views
from rag_pipelines_tests.pipeline.zygote import INDEX, Order, Report
from rag_pipelines_tests.project import Project

RIGHTS = ("tenant", "classification", "classification_rank", "acl")


@dataclass(frozen=True)
class Watch:
    """A reader that was open before, and one that follows the pointer."""

    facts: Facts
    searcher: Searcher
    held: tuple[CollectionReader, Condition]
    at_first: View
    answer: list[str]

    def check(self) -> None:
        """What was open before shows what it always did; what is live now shows one whole version."""
        assert_same(look(*self.held), self.at_first)
        assert ask(*self.held, self.at_first) == self.answer
        self.searcher.refresh()
        number, reader, shown = self.searcher.scroll_reader(None)
        check_live(self.facts, number, look(reader, shown))


def ask(reader: CollectionReader, shown: Condition, view: View) -> list[str]:
    """Points of the answer to one question, which is the text of a point."""
    question = view[min(view)].dense
    return [hit.point_id for hit in reader.search(SearchRequest(limit=5, dense=question, condition=shown))]


@contextlib.contextmanager
def watched(project: Project, facts: Facts) -> Iterator[Watch | None]:
    """A watch over the version that is live before the scenario, or None where there is none."""
    if facts.live_before is None:
        yield None
        return
    with project.searchers() as searchers:
        searcher = searchers.get(INDEX)
        number, reader, shown = searcher.scroll_reader(None)
        assert number == facts.live_before
        at_first = look(reader, shown)
        assert_same(at_first, facts.before[number])
        watch = Watch(facts, searcher, (reader, shown), at_first, ask(reader, shown, at_first))
        yield watch
        watch.check()
        reader.close()


def run_watched(zygote: Zygote, order: Order, watch: Watch | None) -> Report:
    """Carry out the order, reading all the while."""
    zygote.start(order)
    while not zygote.has_ended(0.15):
        if watch is not None:
            watch.check()
    if watch is not None:
        watch.check()
    return zygote.report()


def check_version(facts: Facts, number: int, view: View) -> None:
    """As before or as in the end; rights change in place, and a pinned version loses what its source lost."""
    final = facts.final.get(number, facts.before.get(number, {}))
    known = {**final, **facts.before.get(number, {})}
    kept = {seen.payload["uri"] for seen in final.values()}
    assert set(view) <= set(known)
    assert not {known[name].payload["uri"] for name in set(known) - set(view)} & kept
    for name, seen in view.items():
        assert _without_rights(seen) == _without_rights(known[name])
        alike = [known[name], *([final[name]] if name in final else [])]
        assert any(_rights(seen) == _rights(one) for one in alike)


def check_live(facts: Facts, number: int, view: View) -> None:
    """A version that went live by the run, forward or back, never shows what its sources have lost."""
    check_version(facts, number, view)
    if number != facts.live_before:
        assert set(view) == set(facts.final[number])


def assert_readable(project: Project, facts: Facts) -> None:
    """Right after a crash a new reader finds what was live, whole, or what has just gone live."""
    found = views(project)
    assert set(facts.final) & set(facts.before) <= set(found) <= set(facts.final) | set(facts.before)
    for number, view in found.items():
        check_version(facts, number, view)
    if found:
        live = project.live()
        assert live is not None
        assert live in (facts.live_before, facts.live)
        check_live(facts, live, found[live])


def assert_final(project: Project, facts: Facts) -> None:
    """As an undisturbed run leaves it in every version, and the live one as a clean build has it."""
    assert project.live() == facts.live
    found = views(project)
    assert set(found) == set(facts.final)
    for number, view in found.items():
        assert_same(view, facts.final[number])
    assert_same(found[facts.live], facts.clean)
    assert kept_rows(project) == facts.rows
    assert_consistent(project)


def _rights(seen: Seen) -> list[Any]:
    return [seen.payload[name] for name in RIGHTS]


def _without_rights(seen: Seen) -> dict[str, Any]:
    return {name: value for name, value in seen.payload.items() if name not in RIGHTS}
