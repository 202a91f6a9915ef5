from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from rag_pipelines.config.service import PrincipalConfig
from rag_pipelines.core.types import Classification
from rag_pipelines_tests.sample.sample_files import SAMPLE, corpus, records

EVAL = SAMPLE / "eval"


def queries() -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in (EVAL / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({row["_id"] for row in rows}) == len({row["text"] for row in rows}) == len(rows)
    return {row["_id"]: row for row in rows}


def qrels() -> list[tuple[str, str, int]]:
    with (EVAL / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t"))
    assert rows[0] == ["query-id", "corpus-id", "score"]
    return [(query, document, int(score)) for query, document, score in rows[1:]]


def test_sixty_questions_have_an_answer_and_fifteen_have_none() -> None:
    answerable = [row["metadata"]["answerable"] for row in queries().values()]
    assert (answerable.count(True), answerable.count(False)) == (60, 15)


def test_exactly_the_answerable_questions_are_judged() -> None:
    rows = qrels()
    assert len({(query, document) for query, document, _ in rows}) == len(rows)
    wanted = {name for name, row in queries().items() if row["metadata"]["answerable"]}
    assert {query for query, _, _ in rows} == wanted


def test_every_judged_document_exists_and_holds_the_answer() -> None:
    known = queries()
    for query, document, score in qrels():
        assert score == 2
        assert known[query]["metadata"]["answer"] in corpus()[document], (query, document)


def test_the_questions_are_of_many_kinds_and_languages() -> None:
    metadata = [row["metadata"] for row in queries().values()]
    assert {row["language"] for row in metadata} == {"en", "de", "es"}
    assert {row["kind"] for row in metadata} == {
        *("paraphrase", "identifier", "keyword", "table", "code", "version", "near-duplicate", "moved"),
        *("cross-language", "restricted", "tenant", "unanswerable"),
    }


@pytest.mark.parametrize("name", ["staff", "board", "marrowby", "marrowby_contracts"])
def test_a_principal_is_valid(name: str) -> None:
    PrincipalConfig.model_validate_json((EVAL / "principals" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_named_principal_may_read_the_answer() -> None:
    acls = {f"support/{ticket['uri']}": ticket.get("acl") for ticket in records()}
    rights = {
        "handbook": ("veldrane", Classification.INTERNAL, ["group:staff"]),
        "engineering": ("veldrane", Classification.INTERNAL, ["group:staff"]),
        "board": ("veldrane", Classification.RESTRICTED, ["group:board"]),
        "support": ("marrowby", Classification.CONFIDENTIAL, ["group:logistics", "group:quality"]),
    }
    known = queries()
    for query, document, _ in qrels():
        name = known[query]["metadata"]["principal"]
        text = (EVAL / "principals" / f"{name}.json").read_text(encoding="utf-8")
        principal = PrincipalConfig.model_validate_json(text)
        tenant, classification, acl = rights[document.split("/")[0]]
        held = {"*", *(f"group:{group}" for group in principal.groups)}
        assert principal.tenant == tenant, query
        assert principal.clearance.rank >= classification.rank, query
        assert held & set(acls.get(document) or acl), query


def test_identifiers_of_unanswerable_questions_are_nowhere() -> None:
    everything = " ".join(corpus().values())
    assert not [
        word
        for word in ("ERR_8850", "Hoar 12", "Singapore", "blockchain", "Weihnachtsgeld")
        if word in everything
    ]
