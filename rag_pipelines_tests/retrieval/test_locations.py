"""One passage for all copies of a text, with the places where it stands as far as whoever asks may read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rag_pipelines.core.filters import All, MatchAny, Not
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.ports import CollectionReader
from rag_pipelines.core.types import OPERATOR, Classification, Hit, Passage, Principal
from rag_pipelines.index.points import INDEXED_KEYWORDS, TEXT_HASH
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines.retrieval import locations
from rag_pipelines.retrieval.grouping import Group
from rag_pipelines.retrieval.locations import Reach, find_locations
from rag_pipelines.retrieval.ranking import to_request
from rag_pipelines_tests.project import STAFF, Parts, Project
from rag_pipelines_tests.retrieval.conftest import GATE, NEARLY, RULES, with_copies

BOARD = Principal("bo", "acme", ("board",), Classification.CONFIDENTIAL)
QUESTION = "travel costs are refunded within thirty days"


def _points(reader: CollectionReader) -> list[Hit]:
    return [Hit(point.point_id, 1.0, point.payload) for point in reader.scroll()]


def about_travel(project: Project, **options: Any) -> Passage:
    """The one passage on travel costs of an answer."""
    found = project.search(QUESTION, **{"k": 5, "principal": STAFF, **options}).passages
    (passage,) = [passage for passage in found if passage.text.startswith("Travel")]
    return passage


def places(passage: Passage) -> dict[str, tuple[int | None, int | None, float]]:
    """Where else the passage stands."""
    return {
        f"{place.source}/{place.uri}": (place.start, place.end, round(place.similarity, 2))
        for place in passage.locations
    }


def test_copies_are_one_passage_that_lists_the_readable_ones(synced: Project) -> None:
    passage = about_travel(synced)
    assert passage.citation.uri == "travel.md"
    assert places(passage) == {
        "mirror/copy.md": (None, None, 1.0),
        "archive/old.md": (0, len(NEARLY.strip()), 0.84),
    }
    assert "board/secret.md" in places(about_travel(synced, principal=OPERATOR))

    alone = about_travel(synced, principal=BOARD)
    assert (alone.citation.uri, alone.locations) == ("secret.md", ())


def test_an_answer_needs_no_catalog(copies: Project, caplog: pytest.LogCaptureFixture) -> None:
    with copies.searchers() as searchers:
        searcher = searchers.get("knowledge")
        searcher.warm()
        searchers.catalog.engine.dispose()
        for name in ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"):
            path = copies.home / name
            if path.exists():
                path.rename(path.with_name(f"{name}.away"))
        found = searcher.search(QUESTION, 5, STAFF).passages
    assert found[0].text.startswith("Travel")
    assert not any(place.start is None for passage in found for place in passage.locations)
    assert "answers list none" in caplog.text


def test_locations_are_the_most_similar_first_and_at_most_as_many_as_asked_for(copies: Project) -> None:
    asked = {"filters": {"source": "docs"}, "principal": OPERATOR}
    passage = about_travel(copies, **asked)
    assert passage.citation.uri == "travel.md"
    assert list(places(passage)) == ["board/secret.md", "mirror/copy.md", "archive/old.md"]

    copies.index("knowledge", retrieval={"locations": 2})
    assert list(places(about_travel(copies, **asked))) == ["board/secret.md", "mirror/copy.md"]
    copies.index("knowledge", retrieval={"locations": 0})
    assert about_travel(copies, **asked).locations == ()


def test_a_filter_narrows_passages_and_not_their_locations(synced: Project) -> None:
    passage = about_travel(synced, filters={"source": "archive"})

    assert passage.citation.uri == "old.md"
    assert list(places(passage)) == ["docs/travel.md", "mirror/copy.md"]
    assert set(places(passage).values()) == {(None, None, 0.84)}


@pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
def test_without_distinct_an_answer_is_the_engine_s(copies: Project, mode: str) -> None:
    once = {"mode": mode, "feedback": {"passages": 0}}
    copies.index("knowledge", retrieval={**once, "distinct": False, "locations": 0})
    with copies.searchers() as searchers:
        searcher = searchers.get("knowledge")
        searcher.refresh()
        opened = searcher._current()
        request = to_request(opened.encoder, QUESTION, 4, opened.shown(1), searcher.config)
        hits = opened.reader.search(request)
        plain = searcher.search(QUESTION, 4, OPERATOR).passages
    assert [hit.payload["uri"] for hit in hits] == [passage.citation.uri for passage in plain]
    assert [round(hit.score, 6) for hit in hits] == [passage.score for passage in plain]
    assert sum(passage.text.startswith("Travel") for passage in plain) == 3
    assert not any(passage.locations for passage in plain)

    copies.index("knowledge", retrieval=once)
    grouped = copies.search(QUESTION, k=4).passages
    assert [passage.text.split()[0] for passage in grouped] == ["Travel", "The"][: len(grouped)]
    assert (grouped[0].score, grouped[0].citation) == (plain[0].score, plain[0].citation)


def test_copies_leave_room_for_other_texts(tmp_path: Any, parts: Parts) -> None:
    project = Project(tmp_path / "project", parts=parts)
    project.index("knowledge", retrieval={"candidates": 5, "locations": 100})
    for number in range(60):
        project.write(f"copy{number:02}.md", RULES)
    project.write("hotel.md", "Hotels abroad are refunded up to the rates of the country's own table.\n")
    project.write("gate.md", GATE)
    project.sync()

    found = project.search(QUESTION, k=3).passages
    assert [passage.text.split()[0] for passage in found] == ["Travel", "Hotels", "The"]
    assert [len(passage.locations) for passage in found] == [59, 0, 0]
    assert [place.uri for place in found[0].locations] == sorted(place.uri for place in found[0].locations)
    assert [passage.score for passage in found] == sorted((p.score for p in found), reverse=True)
    assert len(project.search(QUESTION, k=3, filters={"uri": ["copy01.md", "copy02.md"]}).passages) == 1


def test_a_text_in_many_places_does_not_take_the_room_of_others(
    copies: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"principal": OPERATOR, "filters": {"source": "docs"}}
    expected = copies.search(QUESTION, **asked)
    assert len(expected.passages) == 2
    for count in (1, 2):
        monkeypatch.setattr(locations, "PAGE", count)
        assert copies.search(QUESTION, **asked) == expected


def test_a_hidden_document_is_no_location(synced: Project) -> None:
    """One that is gone stays in the engine for a while, and may have come back to its source by then."""
    with synced.searchers() as searchers:
        searcher = searchers.get("knowledge")
        searcher.refresh()
        opened, best = searcher._current(), about_travel(synced).citation
        (hit,) = [hit for hit in _points(opened.reader) if hit.payload["chunk_id"] == best.chunk_id]
        old = document_id("archive", "old.md")
        shown = All((opened.shown(1), Not(MatchAny("doc_id", (old,)))))
        reach = Reach(searcher._catalog, "knowledge", opened.reader, shown, {old}, STAFF)
        (found,) = find_locations([Group(hit)], reach, 10)
        assert [place.uri for place in found] == ["copy.md"]
        (found,) = find_locations([Group(hit)], replace(reach, hidden=set()), 10)
        assert [place.uri for place in found] == ["copy.md", "old.md"]


def test_a_deleted_copy_is_no_location_before_the_next_version(copies: Project) -> None:
    copies.index("knowledge", publish="manual")
    copies.remove("copy.md", source="mirror")
    copies.write("other.md", GATE, "mirror")
    copies.sync()

    assert list(places(about_travel(copies, filters={"source": "docs"}))) == ["archive/old.md"]


def test_what_is_near_to_a_later_text_is_no_location_of_the_published_one(copies: Project) -> None:
    copies.index("knowledge", publish="manual")
    copies.write("travel.md", GATE)
    copies.sync()

    passage = about_travel(copies, filters={"source": "docs"})
    assert "docs/gate.md" not in places(passage)


def test_a_collection_without_the_index_on_texts_answers_too(
    tmp_path: Any, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = with_copies(Project(tmp_path / "project", parts=parts))
    with monkeypatch.context() as before:
        kept = tuple(field for field in INDEXED_KEYWORDS if field != TEXT_HASH)
        before.setattr("rag_pipelines.index.payload_indexes.INDEXED_KEYWORDS", kept)
        project.sync()
    expected = about_travel(project, principal=OPERATOR)
    assert {"mirror/copy.md", "board/secret.md"} <= {*places(expected), f"board/{expected.citation.uri}"}

    with project.workspace() as workspace:
        found = reconcile(workspace, "knowledge").collections[0]
        assert found.missing_payload_indexes == (TEXT_HASH,)
        assert reconcile(workspace, "knowledge").right
    assert about_travel(project, principal=OPERATOR) == expected
