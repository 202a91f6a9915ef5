"""Whether the comparison of a replay notices what is not equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag_pipelines.config.models import SparseConfig
from rag_pipelines.core.types import StoredPoint
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines.pipeline.workspace import open_workspace
from rag_pipelines_tests.benchmarks import replay as replaying
from rag_pipelines_tests.benchmarks.provenance import check_provenance
from rag_pipelines_tests.benchmarks.small_history import commit_states
from rag_pipelines_tests.benchmarks.streams import Commit, Cutter, Stream, open_stream
from rag_pipelines_tests.benchmarks.visible import Difference, Visible, compare
from rag_pipelines_tests.project import shared_models_dir


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    """A clone of the small history."""
    return open_stream(str(commit_states(tmp_path / "repository")), tmp_path)


@pytest.fixture(scope="module")
def parser() -> Iterator[SandboxedParser]:
    """The real one."""
    with SandboxedParser(workers=1) as opened:
        yield opened


def made_point(name: str, text: str, direction: tuple[float, float] = (1.0, 0.0)) -> StoredPoint:
    """A point of document `a.md` with BM25 weights for an average length of 4."""
    payload = {"chunk_id": name, "uri": "a.md", "ordinal": 0, "text": text, "added": 1, "revision": "r1"}
    (sparse,) = Bm25Encoder(SparseConfig()).encode([text], 4.0)
    return StoredPoint(name, payload, np.array(direction, np.float32), sparse)


def made(**changes: object) -> Visible:
    """An index of two points."""
    points = {"c1": made_point("c1", "open the inlet valve"), "c2": made_point("c2", "close it")}
    whole = Visible(3, points, (), frozenset({"broken.md"}), 4.0)
    return replace(whole, **changes)  # type: ignore[arg-type]


def with_point(point: StoredPoint) -> Visible:
    """The index with another point c1."""
    return made(points={**made().points, "c1": point})


def with_payload(**values: object) -> Visible:
    """The index with other values in the payload of c1."""
    point = made().points["c1"]
    return with_point(replace(point, payload={**point.payload, **values}))


def test_equal_indexes_do_not_differ() -> None:
    other = with_payload(added=7, revision="r2", link="x", modified_at="2026", removed=9)

    difference = compare(other, made())

    assert (difference.total, difference.least_cosine) == (0, 1.0)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (made(points={"c1": made().points["c1"]}), "missing"),
        (made(points={**made().points, "c3": made_point("c3", "old text")}), "stray"),
        (made(twice=("c1",)), "more than one visible point"),
        (made(refused=frozenset()), "quarantine"),
        (with_payload(title="Valves"), "payload"),
        (with_point(made_point("c1", "open the inlet valve", (0.9, 0.1))), "vector"),
        (with_point(replace(made().points["c1"], dense=None)), "no vector"),
        (with_point(replace(made().points["c1"], sparse=made().points["c2"].sparse)), "sparse vector"),
        (made(average_length=40.0), "sparse vector"),
    ],
)
def test_each_difference_is_named(found: Visible, kind: str) -> None:
    difference = compare(found, made())

    assert set(difference.kinds) == {kind}
    assert difference.examples[0].startswith(f"{kind}: ")


def test_stale_documents_are_left_out() -> None:
    assert compare(with_payload(title="Valves"), made(), frozenset({"a.md"})).total == 0


VALVE = "valve.html"


def facts_of(stream: Stream, commit: Commit, day: int) -> dict[str, str]:
    """What a document read at the commit says of itself."""
    return {
        "revision": stream.tree(commit.sha)[VALVE],
        "link": f"{stream.folder}@{commit.sha}:{VALVE}",
        "modified_at": f"2026-01-{day:02d}T12:00:00+00:00",
    }


def valve(parsed_hash: str, facts: dict[str, str]) -> Visible:
    """An index of the one page."""
    payload = {"uri": VALVE, "ordinal": 0, "chunk_id": "c", "text": "", "parsed_hash": parsed_hash, **facts}
    return Visible(1, {"c": StoredPoint("c", payload)}, (), frozenset(), 1.0)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda facts: facts, None),
        (lambda facts: {**facts, "link": facts["link"].replace("@", "@f00")}, "link"),
        (lambda facts: {**facts, "revision": "f00"}, "revision"),
        (lambda facts: {**facts, "modified_at": "2026-01-02T12:00:00+00:00"}, "modified_at"),
        (lambda facts: {**facts, "parsed_hash": "f00"}, "text"),
    ],
)
def test_provenance_before_a_comment_is_true_or_named(
    stream: Stream,
    tmp_path: Path,
    parser: SandboxedParser,
    change: Callable[[dict[str, str]], dict[str, str]],
    kind: str | None,
) -> None:
    first, _, commented, *_ = stream.commits(100)
    configs = replaying.make_project(tmp_path, stream)
    with open_workspace(replaying.make_home(tmp_path / "home", configs)) as workspace:
        ((_, _, document),) = Cutter(stream, parser, shared_models_dir()).read(
            [(VALVE, stream.tree(first.sha)[VALVE])]
        )
        name = workspace.blobs.put_parsed(document)
        difference = Difference()
        check_provenance(
            stream,
            commented.sha,
            valve(name, change(facts_of(stream, first, 1))),
            valve(name, facts_of(stream, commented, 3)),
            difference,
            stale=frozenset(),
            parser=parser,
            workspace=workspace,
        )

    assert set(difference.kinds) == ({kind} if kind else set())
