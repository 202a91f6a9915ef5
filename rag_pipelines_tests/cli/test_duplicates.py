"""`rag-pipelines duplicates`: totals and clusters of an index, and why a document is collapsed or is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.cli.conftest import Commands
from rag_pipelines_tests.project import Project

COLLAPSE = {"policy": "collapse"}
TEXT = (
    "Travel costs are refunded within thirty days after the receipts have reached the accounting office. Tickets of "
    "the first class need the consent of the head of the department before they are bought. Hotels are booked through "
    "the agency named in the annex, and every night costs at most one hundred and forty euros unless a fair takes "
    "place in the city. Private cars may be used where no train arrives before nine in the morning of the first day."
)
OTHER = (
    "The gate of the car park opens at six in the morning and closes at ten at night for all of the staff.\n"
)
ROW = {
    "doc_id", "uri", "source", "policy", "collapsed", "representative", "similarity", "revised_at", "tenant",
    "classification", "acl", "why", "apart",
}  # fmt: skip


def edited(*places: int) -> str:
    """The page with another word at each place; a word lies in five of its n-grams."""
    return (
        " ".join(f"x{place}" if place in places else word for place, word in enumerate(TEXT.split())) + "\n"
    )


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A page of `docs` with copies under every policy and right, and what takes no part."""
    project = Project(tmp_path_factory.mktemp("copied"))
    project.source("docs", dedup={**COLLAPSE, "authority": 1})
    project.source("mirror", dedup=COLLAPSE)
    project.source("mail", dedup={"policy": "mark"})
    project.source("board", acl=["group:board"], classification="public", dedup=COLLAPSE)
    project.source("beta", tenant="beta", classification="public", dedup=COLLAPSE)
    project.source("tickets", dedup={"policy": "off"})
    project.write("travel.md", edited())
    project.write("parking.md", OTHER)
    project.write("copy.md", edited(), "mirror")
    project.write("far.md", edited(30), "mirror")
    project.write("letter.md", edited(10), "mail")
    project.write("farther.md", edited(10, 30), "mail")
    project.write("secret.md", edited(), "board")
    project.write("abroad.md", edited(), "beta")
    project.write("one.md", edited(), "tickets")
    project.write("parking.md", OTHER, "tickets")
    project.write("dashes.md", "-----\n\n- - -\n\n. . .\n")
    project.write("broken.md", b"\x00\x01\x02\x03" * 500)
    commands = Commands(project)
    commands.json("sync")
    return commands


def said(commands: Commands, *args: str) -> str:
    """What a person reads, in one line."""
    done = commands.run("duplicates", *args)
    assert done.exit_code == 0, done.output
    return " ".join(done.stdout.split())


def members(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["uri"]: row for row in found["cluster"]}


def test_overview_names_totals_clusters_and_sizes(copied: Commands) -> None:
    found = copied.json("duplicates")

    assert found.keys() == {"index", "threshold", "sources", "clusters", "largest", "histogram"}
    totals = {row.pop("source"): row for row in found["sources"]}
    assert totals["mirror"] == {
        "policy": "collapse", "compared": 2, "duplicates": 2, "collapsed": 2, "marked": 0, "off": 0,
    }  # fmt: skip
    assert totals["mail"]["marked"] == totals["mail"]["duplicates"] == 1
    assert (totals["tickets"]["compared"], totals["tickets"]["off"]) == (0, 2)
    assert totals["board"]["duplicates"] == totals["beta"]["duplicates"] == 0
    (cluster,) = found["largest"]
    assert (cluster["uri"], cluster["source"], cluster["documents"]) == ("travel.md", "docs", 7)
    assert (cluster["indexed"], cluster["sources"], found["clusters"]) == (5, 5, 1)
    assert 0.8 < cluster["least_similarity"] < 0.9
    assert found["histogram"][-1] == {"documents": "5-8", "clusters": 1}
    shown = said(copied)
    assert "travel.md" in shown
    assert "█" in shown


def test_source_narrows_the_overview(copied: Commands) -> None:
    found = copied.json("duplicates", "--source", "tickets")
    assert ([row["source"] for row in found["sources"]], found["largest"], found["clusters"]) == (
        ["tickets"], [], 0,
    )  # fmt: skip
    assert "no two documents are as similar as 0.8" in said(copied, "--source", "tickets")
    assert copied.json("duplicates", "--source", "mail")["clusters"] == 1


def test_collapsed_document_is_told_its_representative_and_the_reason(copied: Commands) -> None:
    found = copied.json("duplicates", "copy.md")

    assert (found["takes_part"], found["collapsed"], found["similarity"], found["documents"]) == (
        True, True, 1.0, 7,
    )  # fmt: skip
    travel = {"doc_id": document_id("docs", "travel.md"), "uri": "travel.md", "source": "docs"}
    assert found["representative"] == travel
    assert found["explanation"] == [
        "copy.md of mirror is not indexed: travel.md of docs has the same text (similarity 1.000) and stands for it.",
        "Everyone who may read copy.md of mirror may read travel.md of docs.",
        "It is collapsed into travel.md of docs: the authority of docs is 1, that of mirror 0.",
    ]
    assert all(row.keys() == ROW for row in found["cluster"])
    assert next(iter(members(found))) == "travel.md"
    assert copied.json("duplicates", document_id("mirror", "copy.md")) == found
    assert copied.json("duplicates", "mirror:copy.md") == found


def test_rights_that_keep_a_copy_are_named(copied: Commands) -> None:
    rows = members(copied.json("duplicates", "travel.md"))
    beyond = "is not collapsed into travel.md of docs: "
    lower = "clearance public is enough for it, the other is internal"
    assert rows["secret.md"]["apart"] == [
        f"{beyond}{lower}; group:board may read it and not the other",
        "is not collapsed into abroad.md of beta: tenant acme may not read what belongs to beta; group:board may read "
        "it and not the other",
    ]
    assert rows["abroad.md"]["apart"][0] == f"{beyond}tenant beta may not read what belongs to acme; {lower}"
    assert rows["copy.md"]["apart"] == []
    shown = said(copied, "travel.md")
    assert "travel.md of docs is indexed and stands for 3 other documents." in shown
    assert "secret.md of board is not collapsed into travel.md of docs: clearance public" in shown
    assert "acme, internal, group:staff" in shown
    own = copied.json("duplicates", "secret.md")
    assert (own["takes_part"], own["collapsed"], own["representative"], own["similarity"]) == (
        True, False, None, None,
    )  # fmt: skip
    assert own["explanation"][0] == "secret.md of board is indexed and stands for no other document."


def test_a_chain_of_edits_ends_where_the_texts_are_too_far_apart(copied: Commands) -> None:
    found = copied.json("duplicates", "farther.md")
    assert found["policy"] == "mark"
    (reason,) = members(found)["farther.md"]["apart"][:1]
    beginning, _, rest = reason.partition("is ")[2].partition(": ")
    assert beginning == "not marked as a duplicate of travel.md of docs"
    assert float(rest.split("is ")[1].split(",")[0]) < 0.8
    assert rest.endswith("below 0.8; others connect them")


def test_marked_document_stays_indexed(copied: Commands) -> None:
    found = copied.json("duplicates", "letter.md")
    assert (found["policy"], found["collapsed"], found["representative"]["uri"]) == (
        "mark",
        False,
        "travel.md",
    )
    similarity = f"{found['similarity']:.3f}"
    assert 0.8 < found["similarity"] < 1
    alike = f"travel.md of docs has nearly the same text (similarity {similarity})"
    assert found["explanation"][0] == f"letter.md of mail is indexed and marked: {alike}."


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("one.md", "one.md of tickets takes no part: the policy of tickets is off."),
        ("dashes.md", "dashes.md of docs takes no part: its text has no word to compare."),
        ("broken.md", "broken.md of docs takes no part: it is quarantined (is a binary file"),
    ],
)
def test_what_takes_no_part_is_told_why(copied: Commands, document: str, reason: str) -> None:
    found = copied.json("duplicates", document)
    assert (found["takes_part"], found["representative"], found["cluster"]) == (False, None, [])
    assert said(copied, document).startswith(reason)


def test_a_document_alone_is_told_the_threshold(copied: Commands) -> None:
    found = copied.json("duplicates", "docs:parking.md")
    assert (found["takes_part"], found["documents"], found["cluster"]) == (True, 1, [])
    assert "nothing else is as similar as 0.8 in sequences of 5 words" in found["explanation"][0]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere.md"], "there is no document 'nowhere.md'; name it by its uri"),
        (
            ["parking.md"],
            f"say which: docs:parking.md ({document_id('docs', 'parking.md')}), tickets:parking.md",
        ),
        (["travel.md", "--source", "mirror"], "there is no document 'travel.md' in source 'mirror'"),
        (["--source", "mirrow"], "did you mean 'mirror'?"),
        (["--index", "knowlege"], "did you mean 'knowledge'?"),
    ],
)
def test_errors_are_one_sentence(copied: Commands, args: list[str], words: str) -> None:
    done = copied.run("duplicates", *args)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert words in done.stderr
    assert list(json.loads(copied.run("duplicates", *args, "--json").stdout)) == ["error"]


def test_source_decides_between_documents_of_one_name(copied: Commands) -> None:
    assert copied.json("duplicates", "parking.md", "--source", "docs")["source"] == "docs"
    assert copied.json("duplicates", "parking.md", "--source", "tickets")["takes_part"] is False


def test_limit_lists_fewer_documents_and_always_the_one_asked_for(copied: Commands) -> None:
    found = copied.json("duplicates", "secret.md", "--limit", "2")
    assert ([row["uri"] for row in found["cluster"]], found["documents"]) == (["travel.md", "secret.md"], 7)
    assert "Cluster of 7 documents, 5 of them not listed" in said(copied, "secret.md", "--limit", "2")
    assert copied.run("duplicates", "--limit", "0").exit_code == 2


def test_status_counts_duplicates_of_an_index(copied: Commands) -> None:
    (index,) = copied.json("status")["indexes"]
    assert (index["duplicates"], index["collapsed"]) == (3, 2)


def test_help_has_an_example(copied: Commands) -> None:
    assert "rag-pipelines duplicates mirror:hr/leave.md" in " ".join(
        copied.run("duplicates", "--help").stdout.split()
    )


def test_before_the_first_sync_there_is_a_hint(fresh: Commands) -> None:
    assert said(fresh) == "nothing of knowledge is compared yet; run `rag-pipelines sync`"
    assert fresh.json("duplicates")["clusters"] == 0


def test_what_changed_since_the_last_sync_is_said(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.source("docs", dedup=COLLAPSE)
    project.write("a.md", edited())
    project.write("b.md", edited())
    commands = Commands(project)
    commands.json("sync")
    later = " ".join(commands.json("duplicates", "a.md")["explanation"])
    assert "was revised later" in later
    assert "since" not in later

    project.source("docs", dedup={"policy": "mark"})
    assert "the next sync compares it again" in commands.json("duplicates", "a.md")["explanation"][-1]
    project.write("a.md", b"\x00\x01\x02\x03" * 500)
    commands.json("sync")
    assert "Its newest content is quarantined" in said(commands, "a.md")
