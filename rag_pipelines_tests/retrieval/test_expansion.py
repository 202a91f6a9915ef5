"""Parents, neighbours and few passages of each document, through real indexes and against stored texts."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest

from rag_pipelines.blobs import open_blobs
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import Hit, Passage
from rag_pipelines.retrieval.expansion import folded, plain, stitched
from rag_pipelines.retrieval.grouping import Group
from rag_pipelines.retrieval.options import Options
from rag_pipelines_tests.project import STAFF, Parts, Project

PARENTS = Options(parents=True)
STAFF_RULES = (
    "Everyone has thirty days of paid leave a year. Seven days move into the next year at most. "
    "The head of the department signs the form.\n\n"
    "Leave in June needs notice in March. Leave in winter needs no notice at all.\n\n"
    "Sick leave is reported before nine in the morning. A note is due on the third day."
)
TRAVEL = (
    "Trains are booked before flights. First class needs consent.\n\n"
    "Hotels cost at most one hundred and forty euros a night unless a fair takes place."
)
GARAGE = "The garage opens at six in the morning. It closes at ten at night.\n\nBicycles stand in the yard."
HANDBOOK = f"# Leave\n\n{STAFF_RULES}\n\n# Travel\n\n{TRAVEL}\n\n# Garage\n\n{GARAGE}\n"
CUTS = {"strategy": "hierarchical", "max_tokens": 24, "parent_tokens": 90}


@pytest.fixture
def handbook(parts: Parts, tmp_path: Any) -> Project:
    """Two sections of several chunks (a short one joins the one before it), and a short page."""
    project = Project(tmp_path / "project", parts=parts)
    project.source("docs", chunking=CUTS)
    project.write("handbook.md", HANDBOOK)
    project.write("note.md", "Leave the inlet valve open.\n")
    project.sync()
    return project


def section(passage: Passage) -> str:
    """The first line of what a passage shows."""
    return passage.text.splitlines()[0]


def stored(project: Project, passage: Passage) -> str:
    """The cited span of the stored text."""
    text = open_blobs(project.environment.blobs_url).get_parsed(passage.citation.parsed_hash).text
    return text[passage.citation.start : passage.citation.end]


def test_children_of_one_section_count_once_and_its_citation_is_exact(handbook: Project) -> None:
    question = "leave"
    children = handbook.search(question, k=4).passages
    assert sum(passage.citation.uri == "handbook.md" for passage in children) >= 3
    assert all(not passage.matched for passage in children)

    found = handbook.search(question, k=4, options=PARENTS).passages
    assert sorted(map(section, found)) == ["Leave", "Leave the inlet valve open.", "Travel"]
    leave = next(passage for passage in found if section(passage) == "Leave")
    assert leave.text == f"Leave\n\n{STAFF_RULES}"
    for passage in found:
        assert stored(handbook, passage) == passage.text
    assert len(leave.matched) >= 3
    assert leave.matched[0].chunk_id == leave.citation.chunk_id
    text = open_blobs(handbook.environment.blobs_url).get_parsed(leave.citation.parsed_hash).text
    points = handbook.visible()
    for span in leave.matched:
        assert text[span.start : span.end] == points[span.chunk_id]["text"]
    note = next(passage for passage in found if passage.citation.uri == "note.md")
    assert note.matched == ()
    told = handbook.search(question, k=4, options=PARENTS).as_json()["passages"]
    assert [("matched" in passage) for passage in told] == [bool(passage.matched) for passage in found]


def test_an_index_without_sections_answers_its_chunks(parts: Parts, tmp_path: Any) -> None:
    project = Project(tmp_path / "project", parts=parts)
    project.source("docs", chunking={"max_tokens": 24})
    project.write("handbook.md", HANDBOOK)
    project.sync()
    assert project.search("leave", k=3, options=PARENTS).passages == project.search("leave", k=3).passages


def test_neighbours_are_those_of_the_text_and_end_with_it(handbook: Project) -> None:
    points = sorted(
        (point for point in handbook.visible().values() if point["uri"] == "handbook.md"),
        key=lambda point: point["start"],
    )
    reached = set()
    for question in ("garage opens", "sick leave", "days of paid leave", "bicycles"):
        for count in (1, 2, 20):
            (found,) = handbook.search(
                question, k=1, filters={"uri": "handbook.md"}, options=Options(neighbours=count)
            ).passages
            place = [point["chunk_id"] for point in points].index(found.citation.chunk_id)
            first, last = points[max(0, place - count)], points[min(len(points) - 1, place + count)]
            assert (found.citation.start, found.citation.end) == (first["start"], last["end"])
            assert stored(handbook, found) == found.text
            assert [span.start for span in found.matched] == [points[place]["start"]]
            reached.add(place)
    assert len(reached) >= 3
    whole = handbook.search("garage", k=5, options=Options(neighbours=20)).passages
    assert sorted(passage.citation.uri for passage in whole) == ["handbook.md", "note.md"]


def test_passages_that_would_overlap_are_one(handbook: Project) -> None:
    found = handbook.search("leave in June", k=6, options=Options(neighbours=1)).passages
    spans = sorted(
        (passage.citation.start, passage.citation.end)
        for passage in found
        if passage.citation.uri == "handbook.md"
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    for passage in found:
        assert stored(handbook, passage) == passage.text


def test_an_earlier_version_shows_what_its_section_said_then(handbook: Project) -> None:
    before = handbook.search("how many days of leave", k=1, options=PARENTS).passages
    handbook.write("handbook.md", HANDBOOK.replace("notice in March", "a letter to the queen"))
    handbook.sync()

    now = handbook.search("how many days of leave", k=1, options=PARENTS).passages[0]
    assert "a letter to the queen" in now.text
    assert now.citation.version == 2
    then = handbook.search("how many days of leave", k=1, version=1, options=PARENTS).passages
    assert [(passage.text, passage.citation) for passage in then] == [
        (passage.text, passage.citation) for passage in before
    ]
    assert "notice in March" in then[0].text
    beside = handbook.search("how many days of leave", k=1, version=1, options=Options(neighbours=20))
    assert "notice in March" in beside.passages[0].text
    assert "queen" not in beside.passages[0].text


def test_what_is_not_stored_any_more_is_answered_as_it_was_found(
    handbook: Project, caplog: pytest.LogCaptureFixture
) -> None:
    plain_answer = handbook.search("days of leave", k=1).passages
    open_blobs(handbook.environment.blobs_url).delete(plain_answer[0].citation.parsed_hash)
    with caplog.at_level(logging.WARNING):
        assert handbook.search("days of leave", k=1, options=PARENTS).passages == plain_answer
    assert "passage not expanded" in caplog.text


def test_sections_that_say_the_same_in_two_documents_count_once(parts: Parts, tmp_path: Any) -> None:
    project = Project(tmp_path / "project", parts=parts)
    for source in ("docs", "copies"):
        project.source(source, chunking=CUTS)
        project.write("handbook.md", HANDBOOK, source)
    project.sync()
    found = project.search("leave", k=6, options=PARENTS).passages
    assert sorted(map(section, found)) == ["Leave", "Travel"]
    for passage in found:
        other = document_id("copies" if passage.citation.source == "docs" else "docs", "handbook.md")
        assert [place.doc_id for place in passage.locations] == [other]

    project.index("knowledge", retrieval={"distinct": False})
    twice = project.search("leave", k=6, options=PARENTS).passages
    assert sorted(map(section, twice)) == ["Leave", "Leave", "Travel", "Travel"]


def test_a_document_has_its_share_and_others_fill_the_answer(parts: Parts, tmp_path: Any) -> None:
    project = Project(tmp_path / "project", parts=parts)
    project.index("knowledge", retrieval={"candidates": 4})
    project.source("docs", chunking={"max_tokens": 16})
    long = "\n\n".join(f"Valve {number} of the pump is opened on day {number}." for number in range(30))
    project.write("valves.md", long)
    project.write("gate.md", "The gate opens at six in the morning.\n")
    project.write("press.md", "Nobody enters the hall of the presses at night.\n")
    project.sync()

    question = "valve of the pump"
    assert set(project.uris(question, k=4)) == {"valves.md"}
    few = project.search(question, k=4, options=Options(per_document=2)).passages
    assert [passage.citation.uri for passage in few[:2]] == ["valves.md"] * 2
    assert sorted(passage.citation.uri for passage in few[2:]) == ["gate.md", "press.md"]
    assert [passage.score for passage in few] == sorted((p.score for p in few), reverse=True)
    assert project.search(question, k=1, options=Options(per_document=2)).passages == few[:1]
    explained = project.search(question, k=4, options=Options(per_document=2), explained=True)
    assert explained.passages == few
    assert explained.explanations is not None
    assert explained.explanations[0].fused is not None
    assert explained.explanations[0].fused.rank == 1


def test_the_index_says_what_requests_do_not(handbook: Project) -> None:
    handbook.index("knowledge", retrieval={"context": {"parents": True, "per_document": 1}})
    found = handbook.search("leave", k=4).passages
    assert sorted(passage.citation.uri for passage in found) == ["handbook.md", "note.md"]
    own = handbook.search("leave", k=4, options=Options(parents=False, per_document=0)).passages
    assert len(own) == 4
    assert all(not passage.matched for passage in own)


def test_rights_and_filters_bound_what_is_expanded(handbook: Project) -> None:
    handbook.source("board", acl=["group:board"], chunking=CUTS)
    handbook.write("handbook.md", HANDBOOK.replace("thirty", "ninety"), "board")
    handbook.sync()
    for options in (PARENTS, Options(neighbours=20), Options(parents=True, neighbours=1)):
        found = handbook.search("days of leave", k=10, principal=STAFF, options=options).passages
        assert {passage.citation.source for passage in found} == {"docs"}
        assert all("ninety" not in passage.text for passage in found)
        only = handbook.search("leave", k=10, filters={"uri": "note.md"}, options=options).passages
        assert [passage.text for passage in only] == ["Leave the inlet valve open."]


def hit(doc_id: str, start: int, text: str, page: int) -> Group:
    payload = {"doc_id": doc_id, "start": start, "end": start + len(text), "text": text, "page": page}
    return Group(Hit(f"{doc_id}{start}", 1.0, payload))


def test_overlapping_spans_join_in_the_place_of_the_best() -> None:
    sections = [
        plain(hit("a", 4, "efgh", 2)),
        plain(hit("b", 0, "abcdef", 1)),
        plain(hit("a", 10, "klmn", 3)),
        plain(hit("a", 0, "abcde", 1)),
        plain(hit("a", 7, "hijk", 2)),
        plain(hit("a", 14, "op", 3)),
    ]
    one, other, touching = folded(sections)
    assert (one.start, one.end, one.text, one.page) == (0, 14, "abcdefghijklmn", 1)
    assert [found.point_id for found in one.hits] == ["a4", "a0", "a10", "a7"]
    assert one.group is sections[0].group
    assert other == sections[1]
    assert touching == sections[5]


def test_stitching_keeps_every_character_once() -> None:
    assert stitched(3, "defg", 0, "abcde") == (0, "abcdefg")
    assert stitched(0, "abcdefg", 2, "cd") == (0, "abcdefg")
    assert stitched(0, "abc", 3, "de") == (0, "abcde")
