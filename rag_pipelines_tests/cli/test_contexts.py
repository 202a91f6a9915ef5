"""`search` shows more of a document where it is asked to, and prints a text for a prompt alone."""

from __future__ import annotations

from rag_pipelines_tests.cli.conftest import Commands

QUESTION = ("search", "days of leave that move over", "-k", "3")


def test_sections_and_shares(fresh: Commands) -> None:
    project = fresh.project
    project.source("docs", chunking={"strategy": "hierarchical", "max_tokens": 16, "parent_tokens": 80})
    project.index("knowledge", retrieval={"context": {"parents": True}})
    project.sync()

    shown = fresh.run(*QUESTION).stdout
    assert "Leave Everyone has thirty days of paid leave a year. Carry-over Seven days move over." in shown
    assert "   found in it: " in shown
    first = fresh.json(*QUESTION)["passages"][0]
    assert first["uri"] == "leave.md"
    assert len(first["matched"]) == 2
    assert all("matched" not in passage for passage in fresh.json(*QUESTION, "--no-parents")["passages"])
    assert fresh.json(*QUESTION, "--mmr-lambda", "1")["passages"][0] == first
    alone = fresh.json(*QUESTION, "--no-parents", "--per-document", "1")["passages"]
    assert len({passage["doc_id"] for passage in alone}) == len(alone) == 3
    beside = fresh.json(*QUESTION, "--no-parents", "--neighbours", "1")["passages"]
    assert beside[0]["text"] == first["text"]


def test_a_text_for_a_prompt_is_printed_alone(fresh: Commands) -> None:
    fresh.project.sync()
    asked = (*QUESTION, "--context-tokens", "60")
    context = fresh.json(*asked)["context"]
    assert context["tokens"] <= 60
    done = fresh.run(*asked)
    nonce = done.stdout.partition("<untrusted-")[2][: len(context["nonce"])]
    assert done.stdout.replace(nonce, context["nonce"]) == f"{context['text']}\n"
    assert done.stdout.startswith(f"[1]\n<untrusted-{nonce}>\nLeave (docs/leave.md)\n")
    assert f"{context['tokens']} tokens in {len(context['citations'])} parts" in done.stderr
    assert fresh.run(*QUESTION, "--context-tokens", "-1").exit_code == 2
