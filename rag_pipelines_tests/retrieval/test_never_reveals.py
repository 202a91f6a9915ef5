"""For any rights: an answer names every readable document that has its texts, and no other.

`RAG_TEST_EXAMPLES=50 pytest ...` looks longer and elsewhere, and makes what it finds small.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import OPERATOR, Access, Classification, Passage, Principal
from rag_pipelines.dedup import jaccard, shingle
from rag_pipelines_tests.project import Parts, Project, scratch_folder

EXAMPLES = int(os.environ.get("RAG_TEST_EXAMPLES", "0"))
QUESTION = "what does the accounting office say about tickets?"
THRESHOLD = 0.6
RULE = (
    "Tickets of the first class need the consent of the head of the department before they are bought and "
    "the accounting office refunds them within thirty days after it has received"
)
SENTENCES = (
    f"{RULE} the receipts.",
    f"{RULE} all the bills.",
    f"{RULE} the receipts and all of the forms that belong to them.",
    "The gate of the car park opens at six in the morning and closes at ten at night for all of the staff.",
    "Nobody enters the hall of the presses while the red lamp above the door to the yard is lit or blinks.",
)
TIERS = (Classification.INTERNAL, Classification.CONFIDENTIAL)
GROUPS = ("group:staff", "group:board", "*")
FIELDS = {"id": "id", "text": "text", "acl": "acl", "tenant": "tenant", "classification": "classification"}


@dataclass(frozen=True)
class Paper:
    """One document, by what decides who may read it and what it is a copy of."""

    source: str
    sentences: tuple[int, ...]
    access: Access

    @property
    def text(self) -> str:
        """What the document says."""
        return "\n\n".join(SENTENCES[number] for number in self.sentences)

    def readable(self, principal: Principal) -> bool:
        """The rule of rights, in a few words of its own."""
        held = {"*", *(f"group:{group}" for group in principal.groups)}
        return principal == OPERATOR or (
            self.access.tenant == principal.tenant
            and TIERS.index(self.access.classification) <= TIERS.index(principal.clearance)
            and bool(held & set(self.access.acl))
        )


tenants = st.sampled_from(("acme", "acme", "globex"))
papers = st.builds(
    Paper,
    st.sampled_from(("first", "second")),
    st.lists(st.integers(0, len(SENTENCES) - 1), min_size=1, max_size=3, unique=True).map(tuple),
    st.builds(
        Access,
        tenants,
        st.sampled_from(TIERS),
        st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple),
    ),
)
principals = st.builds(
    Principal,
    st.just("ana"),
    tenants,
    st.lists(st.sampled_from(("staff", "board")), max_size=2, unique=True).map(tuple),
    st.sampled_from(TIERS),
)
policies = st.sampled_from(("collapse", "collapse", "mark", "off"))


def written(project: Project, found: list[Paper], rules: tuple[str, str]) -> dict[str, Paper]:
    """Two sources of records with rights of their own; returns the papers by their doc_ids."""
    by_id: dict[str, Paper] = {}
    for source, policy in zip(("first", "second"), rules, strict=True):
        lines = []
        for number, paper in enumerate(found):
            if paper.source == source:
                by_id[document_id(source, str(number))] = paper
                rights = paper.access
                lines.append(
                    {
                        "id": str(number),
                        "text": paper.text,
                        "acl": list(rights.acl),
                        "tenant": rights.tenant,
                        "classification": rights.classification.value,
                    }
                )
        (project.root / f"{source}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
        )
        project.source(
            source,
            connector="records",
            params={"url": f"{source}.jsonl", "fields": FIELDS},
            chunking={"max_tokens": 48},
            dedup={"policy": policy},
        )
    return by_id


def alike(one: str, other: str) -> bool:
    """Whether two texts say the same."""
    return one == other or jaccard(shingle(one), shingle(other)) >= THRESHOLD


class Oracle:
    """What an answer must be, from the papers and from everything that the index holds."""

    def __init__(self, by_id: dict[str, Paper], points: list[dict[str, Any]]) -> None:
        self.by_id = by_id
        self.points = points

    def check(self, principal: Principal, passages: tuple[Passage, ...], plain: tuple[Passage, ...]) -> None:
        """Compare the grouped answer with the oracle, and with the answer that is not grouped."""
        readable = {doc_id for doc_id, paper in self.by_id.items() if paper.readable(principal)}
        told = {passage.citation.doc_id for passage in passages}
        for passage in passages:
            told |= {place.doc_id for place in passage.locations}
            self.check_locations(passage, readable)
        assert told == readable

        assert len({passage.text for passage in passages}) == len(passages)
        order = [p.citation.chunk_id for p in plain]
        places = [order.index(passage.citation.chunk_id) for passage in passages]
        assert places == sorted(places)
        assert [p.score for p in passages] == [plain[place].score for place in places]
        for passage in plain:
            assert any(alike(passage.text, other.text) for other in passages)

    def check_locations(self, passage: Passage, readable: set[str]) -> None:
        """One location a document, with the right place, and none that must not or need not be there."""
        own = passage.citation.doc_id
        by_document = {place.doc_id: place for place in passage.locations}
        assert len(by_document) == len(passage.locations)
        assert own not in by_document
        equal = {
            doc_id
            for doc_id, place in by_document.items()
            if place.start is not None and place.similarity == 1
        }
        texts = {(p["doc_id"], p["start"], p["end"]): p["text"] for p in self.points}
        expected = {doc_id for (doc_id, _, _), text in texts.items() if text == passage.text}
        assert equal == expected & readable - {own}
        for doc_id, place in by_document.items():
            paper = self.by_id[doc_id]
            assert place.source == paper.source
            if place.start is not None and place.end is not None:
                text = texts[doc_id, place.start, place.end]
                assert text == paper.text[place.start : place.end]
                assert place.similarity == round(jaccard(shingle(text), shingle(passage.text)), 6)
            else:
                near = [self.by_id[other].text for other in (own, *by_document) if other != doc_id]
                assert any(alike(paper.text, text) for text in near)


def test_every_readable_place_is_named_and_no_other(parts: Parts) -> None:
    @settings(
        max_examples=EXAMPLES or 12,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if EXAMPLES else (Phase.generate,),
    )
    @given(
        st.lists(papers, min_size=2, max_size=10),
        st.tuples(policies, policies),
        st.lists(principals, min_size=4, max_size=8, unique=True),
    )
    def named(found: list[Paper], rules: tuple[str, str], askers: list[Principal]) -> None:
        with scratch_folder() as folder:
            project = Project(folder / "project", parts=parts)
            (project.root / "configs/sources/docs.yaml").unlink()
            by_id = written(project, found, rules)
            answers = []
            for distinct in (False, True):
                project.index(
                    "knowledge",
                    dedup={"threshold": THRESHOLD, "bands": 32, "rows": 4},
                    retrieval={"distinct": distinct, "locations": 100},
                )
                if not distinct:
                    project.sync()
                with project.searchers() as searchers:
                    searcher = searchers.get("knowledge")
                    answers.append(
                        {who: searcher.search(QUESTION, 50, who).passages for who in (*askers, OPERATOR)}
                    )
            oracle = Oracle(by_id, list(project.visible().values()))
            for who in (*askers, OPERATOR):
                oracle.check(who, answers[1][who], answers[0][who])

    named()
