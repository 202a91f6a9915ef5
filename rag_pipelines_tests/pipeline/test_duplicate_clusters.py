"""Clusters after any sequence of changes are those of one comparison of everything, and hide no text from anyone."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from rag_pipelines.core.types import Access, Classification, Principal
from rag_pipelines_tests.pipeline.copies import SOURCES, Corpus, Key, Page, Settings
from rag_pipelines_tests.project import scratch_folder

EXAMPLES = int(os.environ.get("RAG_TEST_EXAMPLES", "0")) or 12
PHASES = tuple(Phase) if "RAG_TEST_EXAMPLES" in os.environ else (Phase.explicit, Phase.generate)
WORDS = (
    "alpha valve pump river sand stone bridge",
    "bravo leave year holiday paid calendar desk",
    "charlie train flight hotel night ticket city",
    "delta gear ratio oil machine grade second",
    "echo lamp hall door red enter nobody",
)
NAMES = tuple(f"{number}.txt" for number in range(6))
RIGHTS = tuple(
    Access(tenant, tier, acl)
    for tenant in ("acme", "other")
    for tier in (Classification.INTERNAL, Classification.CONFIDENTIAL)
    for acl in (("group:a",), ("group:a", "group:b"), ("*",), ())
)
PRINCIPALS = tuple(
    Principal("ana", tenant, groups, clearance)
    for tenant in ("acme", "other")
    for groups in ((), ("a",), ("b",), ("a", "b"))
    for clearance in (Classification.INTERNAL, Classification.RESTRICTED)
)
MOMENTS = (None, "2026-01-01T00:00:00+00:00", "2026-05-01T00:00:00+00:00")
POLICIES = ("collapse", "mark", "off")

texts = st.lists(st.sampled_from(WORDS), min_size=0, max_size=5, unique=True).map(" ".join)
keys = st.tuples(st.sampled_from(SOURCES), st.sampled_from(NAMES))
pages = st.builds(
    Page, texts, st.sampled_from(RIGHTS), st.sampled_from(MOMENTS), st.sampled_from(("3.4", "3.5"))
)
configurations = st.builds(
    Settings,
    st.tuples(st.sampled_from(POLICIES), st.sampled_from(POLICIES)),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.sampled_from((0.4, 0.6, 1.0)),
    st.sampled_from(((), ("release",))),
)


class Copies(RuleBasedStateMachine):
    """A corpus that is changed, compared, and held against a fresh one."""

    empty: Path

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.root = self.stack.enter_context(scratch_folder())
        self.checks = 0
        self.corpus = self.opened("corpus")

    def opened(self, name: str) -> Corpus:
        catalog = shutil.copy(self.empty, self.root / f"{name}.sqlite")
        made = Corpus(self.root / name, f"sqlite:///{catalog}")
        self.stack.callback(made.close)
        return made

    def teardown(self) -> None:
        self.stack.close()

    @rule(key=keys, page=pages)
    def put(self, key: Key, page: Page) -> None:
        self.corpus.put(key, page)

    @precondition(lambda self: self.corpus.pages)
    @rule(data=st.data(), key=keys)
    def copy(self, data: st.DataObject, key: Key) -> None:
        """The text of another page under other rights, or another text under the same."""
        page = self.corpus.pages[data.draw(st.sampled_from(sorted(self.corpus.pages)))]
        other = data.draw(pages)
        self.corpus.put(key, Page(page.text, other.rights, other.revised_at, other.release))

    @precondition(lambda self: self.corpus.pages)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        self.corpus.take(data.draw(st.sampled_from(sorted(self.corpus.pages))))

    @rule(configuration=configurations)
    def configure(self, configuration: Settings) -> None:
        self.corpus.configure(configuration)

    @rule(source=st.sampled_from(SOURCES), shards=st.sampled_from(((0,), (1,), (0, 1))))
    def compare(self, source: str, shards: tuple[int, ...]) -> None:
        self.corpus.compare(source, shards)

    @rule()
    def compare_all(self) -> None:
        self.corpus.compare_all()
        self.checks += 1
        self.corpus.check(self.opened(f"fresh{self.checks}"), PRINCIPALS)


@pytest.mark.slow
def test_any_order_of_changes_ends_in_the_clusters_of_one_batch(empty_sqlite: Path) -> None:
    class OfThisRun(Copies):
        empty = empty_sqlite

    run_state_machine_as_test(
        OfThisRun,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("seed", range(2))
def test_the_same_on_both_databases(tmp_path: Path, database_url: str, empty_sqlite: Path, seed: int) -> None:
    draw = random.Random(seed)
    corpus = Corpus(tmp_path / "corpus", database_url)
    for step in range(40):
        key = (draw.choice(SOURCES), draw.choice(NAMES))
        if draw.random() < 0.2 and key in corpus.pages:
            corpus.take(key)
        else:
            text = " ".join(draw.sample(WORDS, draw.randint(2, 3)))
            corpus.put(key, Page(text, draw.choice(RIGHTS), draw.choice(MOMENTS)))
        if step % 3 == 0:
            corpus.compare(draw.choice(SOURCES), draw.choice(((0,), (0, 1))))
    corpus.compare_all()
    fresh = Corpus(tmp_path / "fresh", f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'fresh.sqlite')}")
    corpus.check(fresh, PRINCIPALS)
    fresh.close()
    corpus.close()


def test_a_text_connects_others_only_while_a_document_has_it(tmp_path: Path, empty_sqlite: Path) -> None:
    """Three texts in a chain; without the middle one the ends are apart."""
    corpus = Corpus(tmp_path / "corpus", f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'one.sqlite')}")
    corpus.configure(Settings(threshold=0.4))
    everyone = Access("acme", Classification.INTERNAL, ("*",))
    first, second, third, *_ = WORDS
    chain = (first, f"{first} {second}", f"{first} {second} {third}")
    for name, text in zip(NAMES, chain, strict=False):
        corpus.put(("docs", name), Page(text, everyone))
    corpus.compare_all()
    assert len({row["cluster"] for row in corpus.members()}) == 1

    corpus.take(("docs", NAMES[1]))
    corpus.compare_all()

    assert len({row["cluster"] for row in corpus.members()}) == 2
    corpus.close()
