"""What goes over the wire to a Qdrant server, and what happens when it fails: against a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rag_pipelines.core.errors import EngineError
from rag_pipelines.index.server import ServerEngine
from rag_pipelines_tests.index.sample import SPACE, make_id, make_points

INFO = {
    "status": "green",
    "optimizer_status": "ok",
    "segments_count": 1,
    "config": {
        "params": {"vectors": {"dense": {"size": 24, "distance": "Cosine"}}},
        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 2000},
        "optimizer_config": {
            "deleted_threshold": 0.2,
            "vacuum_min_vector_number": 1000,
            "default_segment_number": 0,
            "flush_interval_sec": 5,
        },
        "metadata": {"rag_pipelines_space": asdict(SPACE)},
    },
    "payload_schema": {"acl": {"data_type": "keyword", "points": 0}},
}


@dataclass
class Wire:
    """What the server was asked, and what it answers: a status and a result by method and path."""

    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    url: str = ""

    def bodies(self, method: str, path: str) -> list[Any]:
        return [body for m, p, body in self.asked if (m, p) == (method, path)]


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.split("?")[0]
            wire.asked.append((self.command, self.path, json.loads(body) if body else None))
            status, result = wire.answers.get((self.command, path), (200, True))
            if wire.failures:
                status, result = wire.failures.pop(0), None
            text = json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    wire.url = f"http://127.0.0.1:{server.server_port}"
    yield wire
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def engine(wire: Wire) -> Iterator[ServerEngine]:
    wire.answers[("GET", "/collections/c/exists")] = (200, {"exists": True})
    wire.answers[("GET", "/collections/c")] = (200, INFO)
    wire.answers[("POST", "/collections/c/points/count")] = (200, {"count": 7})
    for path in ("index", "points"):
        wire.answers[("PUT", f"/collections/c/{path}")] = (200, {"operation_id": 1, "status": "completed"})
    engine = ServerEngine(wire.url, attempts=3, backoff_seconds=0)
    yield engine
    engine.close()


def test_transient_failures_are_tried_again(engine: ServerEngine, wire: Wire) -> None:
    reader = engine.reader("c", engine.snapshot("c"))
    wire.asked.clear()
    wire.failures += [503, 502]
    assert reader.count() == 7
    assert len(wire.asked) == 3


def test_retries_end_with_an_error_that_says_where_and_what(engine: ServerEngine, wire: Wire) -> None:
    reader = engine.reader("c", "")
    wire.asked.clear()
    wire.failures += [500] * 10
    with pytest.raises(
        EngineError, match=f"{wire.url} failed while counting in collection c: .*500"
    ) as failed:
        reader.count()
    assert failed.value.transient
    assert len(wire.asked) == 3


def test_a_refused_request_is_not_tried_again(engine: ServerEngine, wire: Wire) -> None:
    reader = engine.reader("c", "")
    wire.asked.clear()
    wire.failures += [400]
    with pytest.raises(EngineError) as failed:
        reader.count()
    assert not failed.value.transient
    assert len(wire.asked) == 1


def test_an_answer_that_is_not_understood_is_not_tried_again(engine: ServerEngine, wire: Wire) -> None:
    reader = engine.reader("c", "")
    wire.answers[("POST", "/collections/c/points/count")] = (200, {"number": 7})
    wire.asked.clear()
    with pytest.raises(EngineError, match="see its log and its version") as failed:
        reader.count()
    assert not failed.value.transient
    assert len(wire.asked) == 1


def test_nobody_listening(wire: Wire) -> None:
    engine = ServerEngine("http://127.0.0.1:1", attempts=2, backoff_seconds=0)
    with pytest.raises(EngineError, match="is it running and reachable") as failed:
        engine.check()
    assert failed.value.transient


def test_creating_records_the_space_and_indexes_the_payload(engine: ServerEngine, wire: Wire) -> None:
    wire.answers[("GET", "/collections/c/exists")] = (200, {"exists": False})
    engine.writer("c", SPACE)
    (created,) = [
        body for method, path, body in wire.asked if (method, path.split("?")[0]) == ("PUT", "/collections/c")
    ]
    assert created["vectors"]["dense"]["size"] == 24
    assert created["vectors"]["dense"]["distance"] == "Cosine"
    assert created["sparse_vectors"]["sparse"]["modifier"] == "idf"
    assert created["hnsw_config"]["full_scan_threshold"] == 100_000
    assert created["metadata"]["rag_pipelines_space"]["keyword_fields"] == ["meta.language", "meta.tags"]
    indexed = {
        b["field_name"]: b["field_schema"] for b in wire.bodies("PUT", "/collections/c/index?wait=true")
    }
    assert indexed == {
        "tenant": {"type": "keyword", "is_tenant": True},
        **dict.fromkeys(["doc_id", "source", "text_hash", "meta.language", "meta.tags"], "keyword"),
        **dict.fromkeys(["added", "removed", "classification_rank", "ordinal", "meta.year"], "integer"),
        **dict.fromkeys(["injection.score", "ratio"], "float"),
        "meta.draft": "bool",
        "modified_at": "datetime",
    }, "acl is there already"


def test_a_creation_whose_answer_got_lost_is_no_error(engine: ServerEngine, wire: Wire) -> None:
    wire.answers[("GET", "/collections/c/exists")] = (200, {"exists": False})
    wire.answers[("PUT", "/collections/c")] = (409, None)
    engine.writer("c", SPACE)


def test_a_foreign_collection_is_left_alone(engine: ServerEngine, wire: Wire) -> None:
    wire.answers[("GET", "/collections/c")] = (200, {**INFO, "config": {**INFO["config"], "metadata": None}})  # type: ignore[dict-item]
    with pytest.raises(EngineError, match="not made by this program"):
        engine.writer("c", SPACE)
    assert [method for method, _, _ in wire.asked] == ["GET", "GET"]


def test_points_go_in_batches_and_are_waited_for(engine: ServerEngine, wire: Wire) -> None:
    engine.writer("c", SPACE).upsert(make_points(600))
    batches = wire.bodies("PUT", "/collections/c/points?wait=true")
    assert [len(batch["points"]) for batch in batches] == [256, 256, 88]
    assert batches[0]["points"][1]["id"] == make_id(1_000_001)


def test_payload_and_deletes_name_the_points(engine: ServerEngine, wire: Wire) -> None:
    done = (200, {"operation_id": 1, "status": "completed"})
    wire.answers[("POST", "/collections/c/points/payload")] = done
    wire.answers[("POST", "/collections/c/points/delete")] = done
    writer = engine.writer("c", SPACE)
    writer.set_payload([make_id(1)], {"removed": 4})
    writer.delete([make_id(2)])
    (payload,) = wire.bodies("POST", "/collections/c/points/payload?wait=true")
    (deleted,) = wire.bodies("POST", "/collections/c/points/delete?wait=true")
    assert payload["payload"] == {"removed": 4}
    assert payload["filter"]["must"] == [{"has_id": [make_id(1)]}]
    assert deleted["points"] == [make_id(2)]


def test_opening_a_filled_collection_makes_no_index_and_reports_the_missing_ones(
    engine: ServerEngine, wire: Wire
) -> None:
    """An index over millions of points takes minutes: it is made on request."""
    wire.answers[("GET", "/collections/c")] = (200, {**INFO, "points_count": 7})
    writer = engine.writer("c", SPACE)
    assert wire.bodies("PUT", "/collections/c/index?wait=true") == []
    wanted = ["tenant", "doc_id", "source", "text_hash", "meta.language", "meta.tags", "added", "removed"]
    assert writer.missing_indexes() == [
        *wanted,
        "classification_rank",
        "ordinal",
        "meta.year",
        "injection.score",
        "ratio",
        "meta.draft",
        "modified_at",
    ]
    writer.create_indexes()
    made = [body["field_name"] for body in wire.bodies("PUT", "/collections/c/index?wait=true")]
    assert made == writer.missing_indexes()


def test_only_collections_of_this_program_are_listed(engine: ServerEngine, wire: Wire) -> None:
    foreign = {**INFO, "config": {**INFO["config"], "metadata": None}}  # type: ignore[dict-item]
    wire.answers[("GET", "/collections")] = (200, {"collections": [{"name": "d"}, {"name": "c"}]})
    wire.answers[("GET", "/collections/d")] = (200, foreign)
    assert engine.collections() == ["c"]
