"""Which hits say the same, and how often the engine is asked for other ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.core.filters import All, Match, MatchAny, Not
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit
from rag_pipelines.retrieval.grouping import Group, capped, distinct, grouped
from rag_pipelines_tests.index.oracle import matches

SETTINGS = DedupConfig(ngram=2, threshold=0.6)
RULE = "one two three four five six seven eight nine"
EDITED = "one two three four five six seven eight ten"
"""Seven of nine pairs of words are in both texts: similarity 7 / 9."""
SOME = Match("source", "docs")


def hit(doc_id: str, text: str, score: float = 0.5) -> Hit:
    """A hit whose point is named by document and text."""
    return Hit(f"{doc_id}/{text}", score, {"doc_id": doc_id, "text": text, "text_hash": content_hash(text)})


def said(groups: Sequence[Group]) -> list[tuple[str, list[tuple[str, float]]]]:
    """Documents and similarities of groups."""
    return [
        (
            group.best.payload["doc_id"],
            [(other.payload["doc_id"], round(similarity, 3)) for other, similarity in group.others],
        )
        for group in groups
    ]


@pytest.mark.parametrize("clusters", [{}, {"a": "a", "b": "b", "c": "a"}])
def test_equal_texts_are_one_whatever_their_documents(clusters: dict[str, str]) -> None:
    hits = [hit("a", "same"), hit("c", "other"), hit("b", "same"), hit("a", "same"), hit("c", "same")]

    assert said(grouped(hits, clusters, SETTINGS)) == [("a", [("b", 1.0), ("a", 1.0), ("c", 1.0)]), ("c", [])]


def test_near_texts_are_one_only_in_two_documents_of_one_cluster() -> None:
    hits = [hit("a", RULE), hit("b", EDITED)]

    assert said(grouped(hits, {"a": "a", "b": "a"}, SETTINGS)) == [("a", [("b", 0.778)])]
    assert said(grouped(hits, {"a": "a", "b": "b"}, SETTINGS)) == [("a", []), ("b", [])]
    assert said(grouped(hits, {}, SETTINGS)) == [("a", []), ("b", [])]
    in_one = [hit("a", RULE), hit("a", EDITED)]
    assert said(grouped(in_one, {"a": "a"}, SETTINGS)) == [("a", []), ("a", [])]


def test_the_threshold_is_the_index_s_own_and_belongs_to_the_near() -> None:
    hits, clusters = [hit("a", RULE), hit("b", EDITED)], {"a": "a", "b": "a"}

    assert len(grouped(hits, clusters, DedupConfig(ngram=2, threshold=7 / 9))) == 1
    assert len(grouped(hits, clusters, DedupConfig(ngram=2, threshold=0.78))) == 2


def test_nearness_is_to_the_best_and_makes_no_chain() -> None:
    further = "zero two three four five six seven eight ten"
    clusters = dict.fromkeys("abc", "a")
    hits = [hit("a", RULE), hit("b", EDITED), hit("c", further)]

    assert said(grouped(hits, clusters, DedupConfig(ngram=2, threshold=0.7))) == [
        ("a", [("b", 0.778)]),
        ("c", []),
    ]
    assert said(grouped(hits[1:], clusters, DedupConfig(ngram=2, threshold=0.7))) == [("b", [("c", 0.778)])]


def test_a_text_joins_where_the_same_text_is_already() -> None:
    """So that no text is told twice, whatever cluster its documents lie in."""
    hits = [hit("a", RULE), hit("b", EDITED), hit("x", EDITED), hit("y", RULE), hit("z", EDITED)]

    assert said(grouped(hits, {"a": "a", "b": "a", "z": "z"}, SETTINGS)) == [
        ("a", [("b", 0.778), ("x", 0.778), ("y", 1.0), ("z", 0.778)])
    ]


def test_near_texts_join_through_any_document_that_has_the_best_one_s_text() -> None:
    hits = [hit("x", RULE), hit("a", RULE), hit("b", EDITED), hit("a", EDITED.replace("one", "zero"))]

    assert said(grouped(hits, {"a": "a", "b": "a", "x": "x"}, SETTINGS)) == [
        ("x", [("a", 1.0), ("b", 0.778)]),
        ("a", []),
    ]


def test_texts_of_few_words_are_the_same_only_where_they_are_equal() -> None:
    hits, clusters = [hit("a", "Yes, always"), hit("b", "yes always")], {"a": "a", "b": "a"}

    assert len(grouped(hits, clusters, SETTINGS)) == 2
    longer = [hit("a", "Yes, now and always"), hit("b", "yes now and always")]
    assert said(grouped(longer, clusters, SETTINGS)) == [("a", [("b", 1.0)])]


def test_scores_of_a_later_round_go_on_from_the_one_before() -> None:
    first = [hit("a", "one", 0.9), hit("b", "two", 0.4)]
    second = [hit("c", "three", 1.3), hit("d", "four", 0.4), hit("e", "five", 0.2)]

    assert capped(second, []) == second
    assert [found.score for found in capped(second, first)] == [0.4, 0.4, 0.2]
    assert second[0].score == 1.3


class Engine:
    """Answers from a list of hits in their order, and remembers what it was asked."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self.hits = hits
        self.asked: list[SearchRequest] = []

    def ask(self, request: SearchRequest) -> list[Hit]:
        """Those that match, up to the limit."""
        self.asked.append(request)
        found = [
            h for h in self.hits if matches(request.condition, h.point_id, {**h.payload, "source": "docs"})
        ]
        return found[: request.limit]

    def texts(self, k: int, clusters: dict[str, str] | None = None, candidates: int = 100) -> list[str]:
        """The texts of k groups."""
        request = SearchRequest(limit=k, condition=SOME, candidates=candidates)
        groups = distinct(self.ask, request, lambda doc_ids: clusters or {}, SETTINGS)
        return [group.best.payload["text"] for group in groups]


def test_different_texts_cost_one_request() -> None:
    engine = Engine([hit(f"d{n}", f"text {n}") for n in range(50)])

    assert engine.texts(3) == ["text 0", "text 1", "text 2"]
    assert [(asked.limit, asked.condition, asked.candidates) for asked in engine.asked] == [(9, SOME, 100)]


def test_no_more_is_asked_for_at_once_than_there_are_candidates() -> None:
    """More would fuse other candidates and so change scores."""
    engine = Engine([hit(f"d{n}", f"text {n}") for n in range(50)])

    assert len(engine.texts(8, candidates=10)) == 8
    assert [asked.limit for asked in engine.asked] == [10]


def test_nothing_more_is_asked_where_the_engine_has_no_more() -> None:
    engine = Engine([hit(f"d{n}", f"text {n % 2}") for n in range(8)])

    assert engine.texts(3) == ["text 0", "text 1"]
    assert len(engine.asked) == 1


def test_copies_do_not_crowd_out_other_texts() -> None:
    copied = [hit(f"{text}{n}", f"text {text}") for text in "abcdefg" for n in range(500)]
    engine = Engine([*copied, hit("x", "text x")])

    assert engine.texts(8) == [f"text {text}" for text in "abcdefgx"]
    assert len(engine.asked) == 8
    seen = tuple(sorted(content_hash(f"text {text}") for text in "ab"))
    assert engine.asked[2].condition == All((SOME, Not(MatchAny("text_hash", seen))))


def test_near_copies_are_looked_through_in_growing_rounds() -> None:
    near = [hit(f"d{n}", f"{RULE} ten eleven twelve number {n}") for n in range(150)]
    clusters = {found.payload["doc_id"]: "d0" for found in near}
    engine = Engine([*near, hit("x", "text x"), hit("y", "text y")])

    assert engine.texts(2, clusters) == [near[0].payload["text"], "text x"]
    assert [asked.limit for asked in engine.asked] == [6, 6, 12, 24, 48, 96]


def test_endless_near_copies_end() -> None:
    near = [hit(f"d{n}", f"{RULE} ten eleven twelve number {n}") for n in range(1000)]
    engine = Engine(near)

    assert engine.texts(2, {found.payload["doc_id"]: "d0" for found in near}) == [near[0].payload["text"]]
    assert [asked.limit for asked in engine.asked] == [6, 6, 12, 24, 48, 96]
