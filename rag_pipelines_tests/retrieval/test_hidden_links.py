"""A hidden document that resembles two readable ones joins no passages of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag_pipelines.dedup import jaccard, shingle
from rag_pipelines_tests.project import STAFF, Parts, Project

RULE = "Tickets of the first class need the consent of the head of the department before they are bought by anybody"
PARTS = (
    "The gate of the car park opens at six in the morning and closes at ten at night for all of the staff.",
    "Nobody enters the hall of the presses while the red lamp above the door to the yard is lit or blinks.",
    "Bills that are older than a quarter go to the accounting office in the main building on the second floor.",
)
OTHERS = (
    "Whoever finds a lost badge brings it to the porter, who keeps it for a month and then destroys it.",
    "The canteen closes at two on days before holidays and does not sell warm meals on the day between.",
)


def paper(first: str, *rest: str) -> str:
    return "\n\n".join((f"{RULE} {first}.", *rest)) + "\n"


LEFT = paper("at all", *PARTS)
MIDDLE = paper("at all", PARTS[0], PARTS[1], OTHERS[0])
RIGHT = paper("whatsoever", PARTS[0], OTHERS[1], OTHERS[0])
THRESHOLD = 0.45
DEDUP = {"threshold": THRESHOLD, "bands": 64, "rows": 2}


def made(folder: Path, parts: Parts, *, middle: str | None) -> Project:
    """The middle paper for these readers, or not there."""
    project = Project(folder, parts=parts)
    project.index("knowledge", retrieval={"mode": "dense", "locations": 10}, dedup=DEDUP)
    project.source("docs", chunking={"max_tokens": 32})
    project.write("left.md", LEFT)
    project.write("right.md", RIGHT)
    if middle is not None:
        project.source("between", acl=[middle], chunking={"max_tokens": 32})
        project.write("middle.md", MIDDLE, "between")
    project.sync()
    return project


def told(project: Project) -> list[dict[str, Any]]:
    """Texts and places of an answer in their order; vectors of quantised models differ a little with their batch."""
    found = project.search(
        "consent of the head of the department for tickets", k=10, principal=STAFF
    ).as_json()
    passages: list[dict[str, Any]] = found["passages"]
    return [
        {name: passage[name] for name in ("text", "uri")}
        | {"places": [(place["uri"], place["similarity"]) for place in passage["locations"]]}
        for passage in passages
    ]


def test_a_hidden_document_between_two_joins_none_of_their_passages(tmp_path: Path, parts: Parts) -> None:
    left, middle, right = map(shingle, (LEFT, MIDDLE, RIGHT))
    assert jaccard(left, middle) >= THRESHOLD
    assert jaccard(middle, right) >= THRESHOLD
    assert jaccard(left, right) < THRESHOLD

    without = told(made(tmp_path / "without", parts, middle=None))
    hidden = told(made(tmp_path / "hidden", parts, middle="group:board"))
    shown = told(made(tmp_path / "shown", parts, middle="group:staff"))

    assert hidden == without
    rules = [passage for passage in hidden if passage["text"].startswith("Tickets")]
    assert sorted(passage["uri"] for passage in rules) == ["left.md", "right.md"]
    (together,) = [passage for passage in shown if passage["text"].startswith("Tickets")]
    assert {together["uri"], *(uri for uri, _ in together["places"])} == {"left.md", "middle.md", "right.md"}
