"""Every verb that decides something leaves a line of the audit log, in the transaction that does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_pipelines.catalog import approvals, audit
from rag_pipelines.catalog import searches as search_rows
from rag_pipelines.catalog.memory_tables import searches
from rag_pipelines.catalog.searches import Search
from rag_pipelines.catalog.store import rows_of
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.faults import arm
from rag_pipelines.core.ids import content_hash, document_id
from rag_pipelines.pipeline import forgetting
from rag_pipelines.pipeline import operator as operators
from rag_pipelines.pipeline.approve import approve
from rag_pipelines.pipeline.forgetting import Forgotten, erase_person, forget_old
from rag_pipelines.pipeline.reindex import reindex
from rag_pipelines.pipeline.rollback import pin, rollback, unpin
from rag_pipelines.pipeline.vacuum import vacuum
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.pipeline.conftest import LEAVE, TRAVEL
from rag_pipelines_tests.project import Parts, Project, scratch_folder

ME = "operator:me"
TRAVEL_ID = document_id("docs", "travel.md")


@pytest.fixture(scope="module")
def template(parts: Parts) -> Iterator[Project]:
    """Two pages at version 1, an edit at version 2."""
    with scratch_folder() as folder:
        made = Project(folder / "project", parts=parts)
        made.write("leave.md", LEAVE)
        made.write("travel.md", TRAVEL)
        made.sync()
        made.write("leave.md", LEAVE.replace("Seven", "Nine"))
        made.sync()
        yield made.copied(folder / "copy")


@pytest.fixture
def grown(
    template: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A copy of it; the system user is called me."""
    monkeypatch.setattr(operators, "system_user", lambda: "me")
    return template.copied(tmp_path_factory.mktemp("grown") / "project")


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm(None)


def lines(project: Project, *actions: str) -> list[tuple[str, str, str, dict[str, Any]]]:
    """(action, actor, target, details) of these actions, oldest first; the whole chain is verified."""
    with project.workspace() as workspace:
        result = audit.verify_log(workspace.catalog, workspace.audit)
        rows = list(audit.lines_since(workspace.catalog))
    assert result.right, result.problem
    return [
        (row["action"], row["actor"], row["target"], json.loads(row["details"]))
        for row in rows
        if row["action"] in actions
    ]


def with_workspace(project: Project, verb: Callable[[Workspace], object]) -> None:
    with project.workspace() as workspace:
        verb(workspace)


def test_publishing_and_moving_back(grown: Project) -> None:
    with_workspace(grown, lambda workspace: rollback(workspace, "knowledge"))
    with_workspace(grown, lambda workspace: unpin(workspace, "knowledge"))
    with_workspace(grown, lambda workspace: unpin(workspace, "knowledge"))
    with_workspace(grown, lambda workspace: pin(workspace, "knowledge", 2))
    published = [(target, told) for _, _, target, told in lines(grown, "publish")]
    assert published == [
        ("knowledge", {"version": 1, "before": None, "documents": 2, "chunks": published[0][1]["chunks"]}),
        ("knowledge", {"version": 2, "before": 1, "documents": 2, "chunks": published[1][1]["chunks"]}),
    ]
    assert lines(grown, "rollback", "pin", "unpin") == [
        ("rollback", ME, "knowledge", {"version": 1, "before": 2, "hidden": 0}),
        ("unpin", ME, "knowledge", {"version": 1}),
        ("pin", ME, "knowledge", {"version": 2, "before": 1, "hidden": 0}),
    ]


class Stopped(BaseException):
    """As if killed."""


@pytest.mark.parametrize(
    ("place", "action"), [("rollback.moving", "rollback"), ("publish.moving", "publish")]
)
def test_what_did_not_happen_has_no_line(grown: Project, place: str, action: str) -> None:
    before = lines(grown, "publish", "rollback")
    grown.write("leave.md", LEAVE.replace("Seven", "Eleven"))

    def stop(name: str) -> None:
        if name == place:
            raise Stopped

    arm(stop)
    with pytest.raises(Stopped):
        grown.sync() if action == "publish" else with_workspace(grown, lambda one: rollback(one, "knowledge"))
    arm(None)
    assert lines(grown, "publish", "rollback") == before
    assert grown.live() == 2


def test_a_line_that_cannot_be_written_stops_what_it_tells(
    grown: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.configure("policy", {"audit": {"key_env": "RAG_TEST_AUDIT_KEY"}})
    with pytest.raises(ConfigError, match="RAG_TEST_AUDIT_KEY, which is not set"):
        with_workspace(grown, lambda workspace: rollback(workspace, "knowledge"))
    assert grown.live() == 2
    monkeypatch.setenv("RAG_TEST_AUDIT_KEY", "k" * 32)
    with_workspace(grown, lambda workspace: rollback(workspace, "knowledge"))
    assert [line[0] for line in lines(grown, "rollback")] == ["rollback"]


def test_rights_tell_from_what_to_what(grown: Project) -> None:
    grown.source("docs", acl=["group:board"], classification="confidential")
    grown.sync()
    old = {"tenant": "acme", "classification": "internal", "acl": ["group:staff"]}
    new = {"tenant": "acme", "classification": "confidential", "acl": ["group:board"]}
    both = sorted([document_id("docs", "leave.md"), TRAVEL_ID])
    changed = lines(grown, "rights.change")
    assert [line[:3] for line in changed] == [("rights.change", ME, "docs")]
    assert changed[0][3] == {"rights": [{"from": old, "to": new, "documents": both}]}
    applied = lines(grown, "rights.apply")
    assert {(line[1], line[2]) for line in applied} == {(ME, "knowledge")}
    told = [part for line in applied for part in line[3]["rights"]]
    assert {json.dumps(part["to"], sort_keys=True) for part in told} == {json.dumps(new, sort_keys=True)}
    assert sorted(doc_id for part in told for doc_id in part["documents"]) == both
    grown.sync()
    assert len(lines(grown, "rights.change", "rights.apply")) == len(changed) + len(applied)


def test_approved_deletions_are_told_by_number_and_hash(grown: Project) -> None:
    for number in range(20):
        grown.write(f"machine{number:02d}.md", f"# Machine {number}\n\nIt stands in hall {number}.\n")
    grown.sync()
    gone = [f"machine{number:02d}.md" for number in range(15)]
    grown.remove(*gone)
    grown.sync()
    with grown.workspace() as workspace:
        (request,) = approvals.pending_approvals(workspace.catalog)
        approve(workspace, request, "ana")
    ids = sorted(document_id("docs", name) for name in gone)
    assert lines(grown, "approve") == [
        (
            "approve",
            "operator:ana",
            "docs",
            {"approval": 1, "held": 15, "deleted": 15, "documents_hash": content_hash("\n".join(ids))},
        )
    ]


def test_vacuum_and_reindex(grown: Project) -> None:
    grown.index("knowledge", retain_versions=1)
    with grown.workspace() as workspace:
        report = vacuum(workspace, "knowledge")
        head = audit.anchor(workspace.catalog)
        reindex(workspace, "docs", "tra", run_id="run9")
    assert report.audit_head == head
    assert lines(grown, "vacuum") == [("vacuum", ME, "knowledge", {"vacuumed": [1], "kept": [2]})]
    assert lines(grown, "reindex") == [
        ("reindex", ME, "docs", {"uri_prefix": "tra", "force": False, "documents": 1})
    ]


def asked(project: Project, *searched: tuple[str, str, str | None]) -> None:
    """Searches at a time, by a subject, with a text."""
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        search_rows.save_searches(
            tx,
            [
                Search(
                    f"r{n}",
                    at,
                    "knowledge",
                    2,
                    "acme",
                    subject,
                    (),
                    query=text,
                    query_key="ab" if text else None,
                )
                for n, (at, subject, text) in enumerate(searched)
            ],
        )


def stored(project: Project) -> list[tuple[str, str | None]]:
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        rows = rows_of(tx.execute(searches.select().order_by(searches.c.id)))
    assert all((row["query"] is None) == (row["query_key"] is None) for row in rows)
    return [(row["subject"], row["query"]) for row in rows]


SEARCHED = (("2020-01-01", "ana", "old"), ("2999-01-01", "bo", "new"), ("2999-01-01", "ana", "later"))


def test_what_the_policy_does_not_keep_goes_with_the_vacuum(grown: Project) -> None:
    asked(grown, *SEARCHED)
    grown.configure("policy", {"queries": {"keep": "1d", "keep_searches": "forever"}})
    with grown.workspace() as workspace:
        assert vacuum(workspace, "knowledge").forgotten == 1
        assert vacuum(workspace, "knowledge").forgotten == 0
    assert stored(grown) == [("ana", None), ("bo", "new"), ("ana", "later")]
    grown.configure("policy", {"queries": {"keep": "none", "keep_searches": "2d"}})
    with grown.workspace() as workspace:
        assert forget_old(workspace) == Forgotten(texts=2, searches=1)
    assert stored(grown) == [("bo", None), ("ana", None)]
    assert [line[3] for line in lines(grown, "forget")] == [
        {"texts": 1, "searches": 0, "feedback": 0, "audit_lines": 0},
        {"texts": 2, "searches": 1, "feedback": 0, "audit_lines": 0},
    ]


def test_a_person_is_erased_and_the_log_says_that(grown: Project) -> None:
    asked(grown, *SEARCHED)
    with grown.workspace() as workspace:
        assert erase_person(workspace, "globex", "ana") == Forgotten()
        assert erase_person(workspace, "acme", "ana") == Forgotten(searches=2)
    assert stored(grown) == [("bo", "new")]
    assert lines(grown, "erase")[1] == ("erase", ME, "user:ana", {"searches": 2, "feedback": 0})


def test_an_old_log_is_trimmed_only_where_the_policy_says_so(
    grown: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(lines(grown, "publish"))
    with_workspace(grown, forget_old)
    assert len(lines(grown, "publish")) == before == 2
    grown.configure("policy", {"audit": {"keep": "1s"}, "queries": {"keep_searches": "forever"}})
    monkeypatch.setattr(forgetting, "_before", lambda moment, kept: None if kept is None else "2999-01-01")
    with grown.workspace() as workspace:
        found = forget_old(workspace)
    assert found.audit_lines >= 2
    assert lines(grown, "publish") == []
    assert len(lines(grown, "audit.trim", "forget")) == 2
