"""The copies that readers of the embedded engine open: whole or absent, and still while the writer goes on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_edge import CountRequest, EdgeShard

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.index import edge_storage
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines_tests.index.edge_process import BATCH, start
from rag_pipelines_tests.index.sample import SPACE, make_points, unit


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EdgeEngine]:
    engine = EdgeEngine(tmp_path)
    yield engine
    engine.close()


def digest(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_a_snapshot_stands_still_while_the_writer_goes_on(engine: EdgeEngine) -> None:
    points = make_points(30)
    writer = engine.writer("c", SPACE)
    writer.upsert(points[:10])
    first = engine.snapshot("c")
    old = engine.reader("c", first)
    writer.upsert(points[10:])
    writer.delete([points[0].point_id])
    second = engine.snapshot("c")
    new = engine.reader("c", second)
    writer.upsert(make_points(5, seed=2))
    assert (first, second) == ("000001", "000002")
    assert (old.count(), new.count(), writer.count()) == (10, 29, 34)
    assert old.search(SearchRequest(limit=1, dense=points[0].dense))[0].point_id == points[0].point_id
    engine.prune("c", keep=[second])
    assert old.count() == 10
    assert len(list(old.scroll(with_vectors=True))) == 10
    with pytest.raises(EngineError, match="is gone"):
        engine.reader("c", first)
    engine.prune("c", keep=[])
    assert engine.snapshot("c") == "000003", "a number is never given twice"
    assert new.count() == 29


def test_a_snapshot_without_a_writer_includes_what_the_log_holds(tmp_path: Path) -> None:
    child = start(tmp_path, "write")
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    engine = EdgeEngine(tmp_path)
    reader = engine.reader("c", engine.snapshot("c"))
    assert reader.count() >= BATCH - 1
    reader.close()
    engine.writer("c", SPACE).close()


def test_half_made_copies_are_invisible_and_swept(engine: EdgeEngine, tmp_path: Path) -> None:
    writer = engine.writer("c", SPACE)
    snapshots = tmp_path / "c" / "snapshots"
    (snapshots / ".partial-000001-77").mkdir(parents=True)
    (snapshots / ".trash-1").mkdir()
    for name in (".partial-000001-77", "000001", "../writer"):
        with pytest.raises(EngineError):
            engine.reader("c", name)
    assert engine.snapshot("c") == "000001"
    assert sorted(p.name for p in snapshots.iterdir()) == ["000001", "last"]
    writer.close()


def test_a_copy_that_lost_points_is_not_published(
    engine: EdgeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_pipelines.index import edge

    writer = engine.writer("c", SPACE)
    writer.upsert(make_points(5))
    copy = edge._copy_shard
    monkeypatch.setattr(edge, "_copy_shard", lambda *arguments: copy(*arguments) + 1)
    with pytest.raises(EngineError, match="holds 5 points, not 6"):
        engine.snapshot("c")
    assert [p.name for p in (tmp_path / "c" / "snapshots").iterdir()] == ["last"]
    writer.close()


def test_several_processes_open_a_snapshot_at_once(engine: EdgeEngine, tmp_path: Path) -> None:
    writer = engine.writer("c", SPACE)
    writer.upsert(make_points(200))
    writer.delete([p.point_id for p in make_points(200)[:50]])
    token = engine.snapshot("c")
    before = digest(tmp_path / "c" / "snapshots" / token)
    children = [start(tmp_path, "read", token) for _ in range(3)]
    outputs = [child.communicate()[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert outputs == [["150"]] * 3
    assert digest(tmp_path / "c" / "snapshots" / token) == before
    assert not (tmp_path / "c" / "snapshots" / token / "wal").exists()
    writer.close()


def test_closing_waits_for_searches_under_way(engine: EdgeEngine) -> None:
    writer = engine.writer("c", SPACE)
    writer.upsert(make_points(300))
    reader = engine.reader("c", engine.snapshot("c"))
    begun = threading.Barrier(5)
    errors: list[EngineError] = []

    def search() -> None:
        begun.wait()
        try:
            while True:
                assert len(reader.search(SearchRequest(limit=10, dense=unit(1)))) == 10
        except EngineError as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    reader.close()
    for thread in threads:
        thread.join()
    assert [(str(e), e.transient) for e in errors] == [
        ("snapshot 000001 of collection c is closed; open it again", True)
    ] * 4
    writer.close()


def test_copying_keeps_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    with open(source / "deep" / "sparse", "wb") as file:
        file.seek(50_000_000)
        file.write(b"middle")
        file.truncate(100_000_000)
    (source / "empty").touch()
    (source / "left_out").write_text("x")
    edge_storage.copy_tree(source, tmp_path / "copy", without=frozenset({"left_out"}))
    assert (tmp_path / "copy" / "deep" / "sparse").read_bytes() == (source / "deep" / "sparse").read_bytes()
    assert sorted(p.name for p in (tmp_path / "copy").iterdir()) == ["deep", "empty"]
    assert edge_storage.allocated_bytes(tmp_path / "copy") < 1_000_000


@pytest.mark.parametrize(("flushed", "expected"), [(True, 60), (False, 40)])
def test_flush_brings_the_points_from_the_log_to_the_segments(
    engine: EdgeEngine, tmp_path: Path, flushed: bool, expected: int
) -> None:
    """A copy without the log, as a disk that lost it would be, holds what was flushed and no more."""
    points = make_points(60)
    writer = engine.writer("c", SPACE)
    writer.upsert(points[:40])
    writer.flush()
    writer.upsert(points[40:])
    if flushed:
        writer.flush()
    edge_storage.copy_tree(tmp_path / "c" / "writer", tmp_path / "copy", without=frozenset({"wal"}))
    shard = EdgeShard.load(str(tmp_path / "copy"))
    assert shard.count(CountRequest(exact=True)) == expected
    shard.close()
    writer.close()
