"""Over HTTP a request says how much its answer shows, and gets a text for a prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.retrieval.options import Options
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import SETTINGS, running
from rag_pipelines_tests.service.test_search_api import LOCAL, PATH, assert_problem

RULES = (
    "Everyone has thirty days of paid leave a year.",
    "Seven days of leave move into the next year at most.",
    "Trains are booked before flights.",
    "The garage opens at six in the morning.",
)
ALL = "\n\n".join(RULES)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One document of three chunks in one section, and one of the board that says nearly the same."""
    made = Project(tmp_path_factory.mktemp("rules"))
    made.configure("service", SETTINGS)
    made.source("docs", chunking={"strategy": "hierarchical", "max_tokens": 16, "parent_tokens": 80})
    made.source("board", acl=["group:board"])
    made.write("rules.txt", ALL)
    made.write("rules.txt", ALL.replace("thirty", "ninety"), "board")
    made.sync()
    return made


@pytest.fixture(scope="module")
def asking(rules: Project) -> Iterator[TestClient]:
    """The application over it."""
    with running(rules) as opened:
        yield opened


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    """The answer to a question about leave, which must succeed."""
    answer = client.post(PATH, json={"query": "days of paid leave", "k": 4, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_request_gets_what_it_asks_for(asking: TestClient, rules: Project) -> None:
    plain = ask(asking)
    assert plain["passages"][0]["text"] == RULES[0]
    assert len(plain["passages"]) == 3
    assert all("matched" not in passage for passage in plain["passages"])

    (section,) = ask(asking, parents=True)["passages"]
    assert (section["text"], section["start"], section["end"]) == (ALL, 0, len(ALL))
    assert section["matched"][0]["chunk_id"] == plain["passages"][0]["chunk_id"]

    (beside, *_) = ask(asking, neighbours=1)["passages"]
    assert beside["text"].startswith(f"{RULES[0]}\n\n{RULES[1]}")
    assert len(ask(asking, per_document=2)["passages"]) == 2
    mixed = {"neighbours": 1, "per_document": 3, "mmr_lambda": 0.5, "context_tokens": 60, "explain": True}
    options = Options(neighbours=1, per_document=3, mmr_lambda=0.5, tokens=60)
    expected = rules.search("days of paid leave", k=4, principal=LOCAL, options=options, explained=True)
    assert expected.context is not None
    answered = ask(asking, **mixed)
    same = json.dumps(answered).replace(answered["context"]["nonce"], str(expected.context.nonce))
    assert json.loads(same) == expected.as_json()


def test_a_context_is_numbered_cited_and_within_its_budget(asking: TestClient) -> None:
    context = ask(asking, context_tokens=128)["context"]
    before, behind = f"<untrusted-{context['nonce']}>\n", f"\n</untrusted-{context['nonce']}>"
    assert context["text"].startswith(
        f"[1]\n{before}rules.txt (docs/rules.txt)\n{RULES[0]}{behind}\n\n[2]\n{before}rules.txt"
    )
    assert context["tokens"] <= 128
    assert [cited["number"] for cited in context["citations"]] == [1, 2]
    for cited in context["citations"]:
        assert context["text"][cited["text_start"] : cited["text_end"]] == ALL[cited["start"] : cited["end"]]
    whole = ask(asking, parents=True, context_tokens=60)["context"]
    assert f"\nrules.txt (docs/rules.txt)\n{RULES[0]}\n</untrusted-" in whole["text"]
    assert "ninety" not in str(ask(asking, parents=True, neighbours=2, context_tokens=500))
    assert "context" not in ask(asking, context_tokens=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("neighbours", 21),
        ("neighbours", -1),
        ("mmr_lambda", 1.5),
        ("per_document", -1),
        ("context_tokens", -1),
        ("context_tokens", 10**9),
        ("parents", "some"),
        ("explain", 7),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(asking: TestClient, field: str, value: Any) -> None:
    assert_problem(asking.post(PATH, json={"query": "leave", field: value}), 422, field)
