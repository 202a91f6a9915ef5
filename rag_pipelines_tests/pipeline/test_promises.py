"""Any sequence of changes, syncs, interruptions and rollbacks keeps the promises that it touches.

`RAG_TEST_EXAMPLES=50 pytest ...` looks longer and elsewhere, and makes what it finds small.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rag_pipelines.core.faults import FAULT_POINTS
from rag_pipelines.core.types import Access, Classification
from rag_pipelines_tests.pipeline.model import DOCS, NOTES, SOURCES, File, Key
from rag_pipelines_tests.pipeline.world import World
from rag_pipelines_tests.project import Parts, scratch_folder

EXAMPLES = int(os.environ.get("RAG_TEST_EXAMPLES", "0"))
SENTENCES = (
    "The inlet valve of the pump is blocked by sand from the river.",
    "Everyone has thirty days of paid leave in every calendar year.",
    "Book trains before flights, and hotels at most for three nights.",
    "The gear ratio of the second machine is three point two to one.",
    "Compressors are serviced in spring by the people who built them.",
    "Nobody enters the hall while the red lamp above the door is lit.",
)
NAMES = ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt")
OTHERS = ("rollback", "approve", "reindex", "vacuum", "reconcile", "gates")
PLACES = sorted(name for name in FAULT_POINTS if not name.startswith(OTHERS))
UPKEEP = {
    verb: st.none() | st.sampled_from(sorted(name for name in FAULT_POINTS if name.startswith(verb)))
    for verb in ("vacuum", "reconcile")
}

texts = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4).map("\n\n".join)
rights = st.builds(
    Access,
    st.just("acme"),
    st.sampled_from((Classification.INTERNAL, Classification.CONFIDENTIAL)),
    st.sampled_from((("group:staff",), ("group:board",), ("group:board", "group:staff"), ())),
)
sources = st.sampled_from(SOURCES)
keys = st.tuples(sources, st.sampled_from(NAMES))
limits = st.sampled_from(
    (
        {},
        {"max_delete_fraction": 0.3, "max_delete_floor": 2},
        {"max_delete_fraction": 0.0, "max_delete_floor": 0},
        {"max_delete_fraction": 1.0, "max_delete_floor": 0},
    )
)


class Promises(RuleBasedStateMachine):
    """One project, changed and synced."""

    parts: Parts

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.world = World(self.stack.enter_context(scratch_folder()) / "project", self.parts)
        self.stack.callback(self.world.close)

    def teardown(self) -> None:
        self.stack.close()

    def some(self, data: st.DataObject, source: str | None = None) -> Key:
        there = sorted(key for key in self.world.model.files if source in (None, key[0]))
        return data.draw(st.sampled_from(there))

    @initialize(first=st.dictionaries(keys, st.tuples(texts, rights), min_size=3, max_size=8))
    def begin(self, first: dict[Key, tuple[str, Access]]) -> None:
        for key, (text, access) in first.items():
            self.world.put(key, File(text, access))
        self.world.sync()

    @rule(key=keys, text=texts, access=rights)
    def add_or_edit(self, key: Key, text: str, access: Access) -> None:
        before = self.world.model.files.get(key)
        self.world.put(key, File(text, before.rights if before else access))

    @precondition(lambda self: self.world.model.files)
    @rule(data=st.data(), key=keys)
    def copy(self, data: st.DataObject, key: Key) -> None:
        original = self.world.model.files[self.some(data)]
        if original.text is not None:
            self.world.put(key, original)

    @precondition(lambda self: self.world.model.files)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def move(self, data: st.DataObject, name: str) -> None:
        key = self.some(data)
        self.world.put((key[0], name), self.world.take(key))

    @precondition(lambda self: self.world.model.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.world.take(self.some(data))

    @precondition(lambda self: self.world.model.files)
    @rule(data=st.data())
    def delete_most(self, data: st.DataObject) -> None:
        source = data.draw(sources)
        for key in self.world.model.in_source(source)[data.draw(st.integers(0, 1)) :]:
            self.world.take(key)

    @precondition(lambda self: self.world.model.files)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        self.world.touch(self.some(data))

    @rule(key=keys.filter(lambda key: key[0] == DOCS))
    def break_file(self, key: Key) -> None:
        self.world.put(key, File(None, self.world.model.docs_rights))

    @rule(access=rights)
    def change_rights_of_a_source(self, access: Access) -> None:
        self.world.model.docs_rights = access
        self.world.configure()

    @precondition(lambda self: self.world.model.in_source(NOTES))
    @rule(data=st.data(), access=rights)
    def change_rights_of_a_document(self, data: st.DataObject, access: Access) -> None:
        key = self.some(data, NOTES)
        self.world.put(key, File(self.world.model.files[key].text, access))

    @rule(source=sources, size=st.sampled_from((16, 220)))
    def change_chunk_size(self, source: str, size: int) -> None:
        self.world.model.settings[source]["chunking"] = {"max_tokens": size}
        self.world.configure()

    @rule(source=sources, chosen=limits)
    def change_limits(self, source: str, chosen: dict[str, Any]) -> None:
        self.world.model.settings[source]["limits"] = chosen
        self.world.configure()

    @rule(analyzer=st.sampled_from(("english", "none")))
    def change_vector_space(self, analyzer: str) -> None:
        self.world.model.analyzer = analyzer
        self.world.configure()

    @rule(manual=st.booleans())
    def change_publish_mode(self, manual: bool) -> None:
        self.world.model.manual = manual
        self.world.configure()

    @rule()
    def sync(self) -> None:
        self.world.sync()

    @rule()
    def sync_twice(self) -> None:
        self.world.sync_twice()

    @rule(place=st.sampled_from(PLACES), count=st.integers(1, 3))
    def interrupted_sync(self, place: str, count: int) -> None:
        self.world.interrupted_sync(place, count)

    @rule(source=sources)
    def unlistable_sync(self, source: str) -> None:
        self.world.unlistable_sync(source)

    @rule()
    def approve(self) -> None:
        self.world.approve()

    @precondition(lambda self: self.world.model.versions)
    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        self.world.rollback(data.draw(st.sampled_from(sorted(self.world.model.versions))))

    @precondition(lambda self: self.world.model.pinned is not None)
    @rule()
    def unpin(self) -> None:
        self.world.unpin()

    @precondition(lambda self: not self.world.model.dirty)
    @rule()
    def publish(self) -> None:
        self.world.publish()

    @rule(place=UPKEEP["vacuum"])
    def vacuum(self, place: str | None) -> None:
        self.world.vacuum(place)

    @rule(place=UPKEEP["reconcile"])
    def reconcile(self, place: str | None) -> None:
        self.world.reconcile(place)


@pytest.mark.slow
@pytest.mark.timeout(0 if EXAMPLES else 300)
def test_any_sequence_of_changes_keeps_the_promises(parts: Parts) -> None:
    machine = type("Machine", (Promises,), {"parts": parts})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES or 8,
            stateful_step_count=40 if EXAMPLES else 30,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink) if EXAMPLES else (Phase.generate,),
        ),
    )
