"""What only the embedded engine does: locks, crashes, a full disk, and when it builds a graph."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Point
from rag_pipelines.index import edge_storage, open_engine
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.index.edge_shard import EdgeTuning, stored_links
from rag_pipelines_tests.index.edge_process import BATCH, start
from rag_pipelines_tests.index.sample import SPACE, make_id, make_points, unit


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EdgeEngine]:
    engine = EdgeEngine(tmp_path)
    yield engine
    engine.close()


def test_a_killed_writer_loses_nothing_and_blocks_nobody(tmp_path: Path) -> None:
    """While it lives, the error names it; after SIGKILL every flushed batch is there, point for point."""
    engine = EdgeEngine(tmp_path)
    child = start(tmp_path, "write")
    assert child.stdout is not None
    flushed = int(child.stdout.readline())
    with pytest.raises(EngineError, match=f"process {child.pid} on .*edge_process.py write") as locked:
        engine.writer("c", SPACE)
    assert locked.value.transient
    with pytest.raises(EngineError, match=f"process {child.pid}"):
        engine.drop("c")
    while flushed < 7:
        flushed = int(child.stdout.readline())
    child.kill()
    assert child.wait() < 0
    flushed += len(child.stdout.read().split())
    child.stdout.close()

    writer = engine.writer("c", SPACE)
    stored = {p.point_id: p for p in writer.scroll(with_vectors=True)}
    for batch in range(1, flushed + 1):
        points = make_points(BATCH, seed=batch)
        assert points[1].point_id not in stored
        assert stored[points[0].point_id].payload == {**points[0].payload, "changed": batch}
        for point in points[2:]:
            found = stored[point.point_id]
            assert found.payload == point.payload
            assert found.dense is not None
            np.testing.assert_allclose(found.dense, point.dense, atol=1e-6)
    writer.upsert(make_points(3, seed=9999))
    assert len(writer.search(SearchRequest(limit=5, dense=unit(1)))) == 5
    writer.close()


def test_one_writer_in_a_process(engine: EdgeEngine, tmp_path: Path) -> None:
    writer = engine.writer("c", SPACE)
    for other in (engine, EdgeEngine(tmp_path)):
        with pytest.raises(EngineError, match=f"process {os.getpid()}") as locked:
            other.writer("c", SPACE)
        assert locked.value.transient
    engine.writer("d", SPACE).close()
    writer.close()
    writer.close()
    EdgeEngine(tmp_path).writer("c", SPACE).close()


def test_a_refused_writer_leaves_no_lock(engine: EdgeEngine, tmp_path: Path) -> None:
    engine.writer("c", SPACE).close()
    (tmp_path / "c" / "space.json").write_text("{")
    with pytest.raises(EngineError, match="damaged"):
        engine.writer("c", SPACE)
    engine.drop("c")
    engine.writer("c", SPACE).close()


def test_the_graph_comes_and_goes_with_the_number_of_points(tmp_path: Path) -> None:
    engine = EdgeEngine(tmp_path, tuning=EdgeTuning(graph_above=300))
    writer = engine.writer("c", SPACE)
    points = make_points(400)
    links = []
    steps: tuple[Callable[[], None], ...] = (
        lambda: writer.upsert(points[:300]),
        lambda: writer.upsert(points[300:]),
        lambda: writer.delete([p.point_id for p in points[:200]]),
        lambda: writer.delete([p.point_id for p in points[200:260]]),
    )
    for action in steps:
        action()
        writer.optimize()
        links.append(stored_links(tmp_path / "c" / "writer"))
        assert (
            writer.search(SearchRequest(limit=1, dense=points[280].dense))[0].point_id == points[280].point_id
        )
    assert links == [0, 16, 16, 0]
    assert writer.count() == 140
    writer.close()
    reopened = engine.writer("c", SPACE)
    assert reopened.count() == 140
    engine.close()


def test_payload_indexes_are_there_from_the_start(engine: EdgeEngine) -> None:
    writer = engine.writer("c", SPACE)
    with writer._using("reading") as shard:
        indexed = {
            field: str(info.data_type).rsplit(".")[-1] for field, info in shard.info().payload_schema.items()
        }
    assert indexed == {
        **dict.fromkeys(["tenant", "acl", "doc_id", "source", "text_hash"], "Keyword"),
        **dict.fromkeys(["meta.language", "meta.tags"], "Keyword"),
        **dict.fromkeys(["added", "removed", "classification_rank", "ordinal", "meta.year"], "Integer"),
        **dict.fromkeys(["injection.score", "ratio"], "Float"),
        "meta.draft": "Bool",
        "modified_at": "Datetime",
    }
    writer.close()


def test_a_creation_cut_short_is_done_again(engine: EdgeEngine, tmp_path: Path) -> None:
    (tmp_path / "c" / "writer" / "segments").mkdir(parents=True)
    (tmp_path / "c" / ".partial-writer-1").mkdir()
    writer = engine.writer("c", SPACE)
    writer.upsert(make_points(2))
    assert writer.count() == 2
    writer.close()
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["space.json", "writer", "writer.lock"]


def test_a_full_disk_is_refused_before_it_is_hit(engine: EdgeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = engine.writer("c", SPACE)
    writer.upsert(make_points(5))
    monkeypatch.setattr(edge_storage, "RESERVE_BYTES", 2**60)
    with pytest.raises(EngineError, match="MiB free"):
        writer.upsert(make_points(6))
    with pytest.raises(EngineError, match="MiB free"):
        engine.snapshot("c")
    assert writer.count() == 5
    writer.close()


def test_names_stay_below_the_root(engine: EdgeEngine) -> None:
    for name in ("../c", "a/b", "", ".hidden"):
        with pytest.raises(EngineError, match="is not a name"):
            engine.writer(name, SPACE)


def test_check_names_the_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot write to"):
        EdgeEngine(tmp_path / "file").check()
    assert str(tmp_path / "new") in EdgeEngine(tmp_path / "new").check()
    assert list((tmp_path / "new").iterdir()) == []


def test_open_engine_chooses_by_url(tmp_path: Path) -> None:
    assert open_engine(tmp_path, None, None).name == "edge"
    assert open_engine(tmp_path, "https://qdrant.example:6333", "key").name == "server"
    assert list(tmp_path.iterdir()) == []


def test_replaced_vectors_are_what_is_searched(engine: EdgeEngine) -> None:
    writer = engine.writer("c", SPACE)
    writer.upsert([Point(make_id(n), unit(n), None, {}) for n in range(50)])
    writer.optimize()
    writer.upsert([Point(make_id(3), unit(1000), None, {"new": True})])
    (hit,) = writer.search(SearchRequest(limit=1, dense=unit(1000)))
    assert (hit.point_id, hit.payload) == (make_id(3), {"new": True})
    writer.close()


def test_a_lost_payload_index_is_found_and_made_again(engine: EdgeEngine) -> None:
    writer = engine.writer("c", SPACE)
    writer.upsert(make_points(20))
    for field in ("acl", "meta.year"):
        writer._opened().update(edge.UpdateOperation.delete_field_index(field))
    writer.close()

    writer = engine.writer("c", SPACE)
    assert writer.missing_indexes() == ["acl", "meta.year"]
    writer.create_indexes()
    assert writer.missing_indexes() == []
    kind = writer._opened().info().payload_schema["meta.year"].data_type
    assert kind == edge.PayloadSchemaType.Integer
    writer.close()


def test_a_collection_without_its_shard_or_its_space_is_not_listed(
    engine: EdgeEngine, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        engine.writer(name, SPACE).close()
    shutil.rmtree(tmp_path / "a" / "writer")
    (tmp_path / "b" / "space.json").unlink()
    (tmp_path / "stray file").touch()
    assert engine.collections() == ["c"]
    assert EdgeEngine(tmp_path / "nowhere").collections() == []
