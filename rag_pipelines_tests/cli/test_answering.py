"""`answer` prints what the service answers."""

from __future__ import annotations

import json

from rag_pipelines_tests.answers.llm_server import Say, Send, serve
from rag_pipelines_tests.cli.conftest import Commands

QUESTION = ("answer", "How many days of paid leave are there?")
QUOTED = "Everyone has thirty days of paid leave a year."


def test_an_answer_on_the_terminal_and_as_json(fresh: Commands) -> None:
    project = fresh.project
    project.source("board", acl=["group:board"])
    project.write("pay.md", "# Pay\n\nThe board has ninety days of paid leave.\n", "board")
    project.sync()
    (project.root / "ana.json").write_text(
        json.dumps({"subject": "ana", "tenant": "acme", "groups": ["staff"]}), encoding="utf-8"
    )
    asked = (*QUESTION, "--as", str(project.root / "ana.json"))
    shown = fresh.run(*asked)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{QUOTED} [1]\n")
    assert "[1] Leave  (docs/leave.md, characters 0-" in shown.stdout
    answer = fresh.json(*asked)
    assert (answer["sentences"][0]["text"], answer["provider"]["name"]) == (QUOTED, "extractive")
    assert "ninety" not in json.dumps(answer)
    assert "ninety" in fresh.json(*QUESTION)["text"]
    nothing = fresh.run(*asked, "--filter", "source=board")
    assert (nothing.exit_code, nothing.stdout) == (0, "no answer: the search found no passages\n")
    assert fresh.run("answer", " ").exit_code == 2

    with serve([Say("Everyone has thirty days of paid leave [1]. The canteen is shut [1].")]) as endpoint:
        provider = {"name": "chat", "base_url": endpoint.url, "model": "m"}
        service = {"principal": {"tenant": "acme"}, "answers": {"providers": [provider], "retries": 0}}
        project.configure("service", service)
        marked = fresh.run(*asked, "--mark")
        assert "The canteen is shut. [1]  (not supported)" in marked.stdout
        assert "m-exact: 1000 + 50 tokens" in marked.stderr
        endpoint.does(Send(b"{}", 401))
        failed = fresh.run(*asked)
    assert failed.exit_code == 1
    assert "no provider answered: chat: refused" in failed.stderr
