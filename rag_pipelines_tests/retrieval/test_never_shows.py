"""For any documents, edits and rights: what is shown around a passage is readable, and of the version asked.

`RAG_TEST_EXAMPLES=50 pytest ...` looks longer and elsewhere, and makes what it finds small.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import OPERATOR, Principal
from rag_pipelines.governance.untrusted import neutralise
from rag_pipelines.retrieval.options import Options
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines_tests.project import Parts, Project, scratch_folder
from rag_pipelines_tests.retrieval.test_never_reveals import EXAMPLES, FIELDS, Paper, papers, principals

OPTIONS = (
    Options(parents=True, tokens=150),
    Options(neighbours=1, tokens=60),
    Options(parents=True, neighbours=2, per_document=1, mmr_lambda=0.5),
    Options(neighbours=20, mmr_lambda=0.7, tokens=400),
    Options(per_document=2),
)
QUESTIONS = ("what does the accounting office say about tickets?", "red lamp")
Version = dict[str, Paper]
"""Document -> what it says and who may read it."""


def copied(paper: Paper, number: int) -> str:
    """The paper's text with a word of its own in each paragraph but the first: a leak cannot hide in a copy."""
    first, *others = paper.text.split("\n\n")
    return "\n\n".join([first, *(f"{text} Mark {number}-{at}." for at, text in enumerate(others))])


def write(project: Project, found: list[Paper | None], texts: dict[str, str]) -> Version:
    """The papers as records of one source that cuts parents and children; `texts` gets what they say."""
    by_id: Version = {}
    lines = []
    for number, paper in enumerate(found):
        if paper is None:
            continue
        doc_id = document_id("papers", str(number))
        by_id[doc_id], texts[doc_id] = paper, copied(paper, number)
        rights = paper.access
        row = {
            "id": str(number),
            "text": texts[doc_id],
            "acl": list(rights.acl),
            "tenant": rights.tenant,
            "classification": rights.classification.value,
        }
        lines.append(json.dumps(row) + "\n")
    (project.root / "papers.jsonl").write_text("".join(lines), encoding="utf-8")
    project.source(
        "papers",
        connector="records",
        params={"url": "papers.jsonl", "fields": FIELDS},
        chunking={"strategy": "hierarchical", "max_tokens": 24, "parent_tokens": 64},
        limits={"max_delete_fraction": 1.0},
    )
    return by_id


def check(
    found: SearchResult,
    who: Principal,
    rights: Version,
    texts: dict[str, str],
    options: Options,
    distinct: bool,
) -> None:
    """Every character shown is of a document that may be read now, as it was in the version."""
    for passage in found.passages:
        at = passage.citation
        assert rights[at.doc_id].readable(who)
        assert passage.text == texts[at.doc_id][at.start : at.end]
        assert at.version == found.version
        for span in passage.matched:
            assert at.start <= span.start < span.end <= at.end
    shown = [passage.text for passage in found.passages]
    assert not distinct or len(set(shown)) == len(shown)
    if options.parents or options.neighbours:
        spans = sorted((p.citation.doc_id, p.citation.start, p.citation.end) for p in found.passages)
        assert all(one[0] != two[0] or one[2] <= two[1] for one, two in pairwise(spans))
    if options.per_document:
        shares = Counter(passage.citation.doc_id for passage in found.passages)
        assert max(shares.values(), default=0) <= options.per_document
    if options.tokens and found.passages:
        assert found.context is not None
        assert found.context.tokens <= options.tokens
        for cited in found.context.citations:
            assert rights[cited.doc_id].readable(who)
            part = found.context.text[cited.text_start : cited.text_end]
            assert part == neutralise(texts[cited.doc_id][cited.start : cited.end], found.context.nonce)


edits = st.one_of(st.none(), papers.map(lambda paper: replace(paper, source="papers")))


def test_what_is_expanded_is_readable_and_of_its_version(parts: Parts) -> None:
    expanded = Counter[str]()

    @settings(
        max_examples=EXAMPLES or 8,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if EXAMPLES else (Phase.generate,),
    )
    @given(
        st.lists(papers, min_size=3, max_size=8),
        st.dictionaries(st.integers(0, 7), edits, min_size=1, max_size=4),
        st.lists(principals, min_size=2, max_size=4, unique=True),
        st.booleans(),
    )
    def shown(
        first: list[Paper], changes: dict[int, Paper | None], askers: list[Principal], distinct: bool
    ) -> None:
        with scratch_folder() as folder:
            project = Project(folder / "project", parts=parts)
            (project.root / "configs/sources/docs.yaml").unlink()
            project.index("knowledge", retrieval={"candidates": 5, "distinct": distinct})
            texts: dict[int, dict[str, str]] = {1: {}, 2: {}}
            before = write(project, list(first), texts[1])
            project.sync()
            later = [changes.get(number, paper) for number, paper in enumerate(first)]
            rights = {**before, **write(project, later, texts[2])}  # what is deleted keeps its rights
            version = project.sync()["version"]
            with project.searchers() as searchers:
                searcher = searchers.get("knowledge")
                for who in (*askers, OPERATOR):
                    for options in OPTIONS:
                        for number in {1, version}:
                            for question in QUESTIONS:
                                found = searcher.search(question, 4, who, version=number, options=options)
                                expanded[f"version {number}"] += sum(bool(p.matched) for p in found.passages)
                                check(found, who, rights, texts[number], options, distinct)

    shown()
    assert min(expanded["version 1"], expanded["version 2"]) > 20
