"""`keys` and `groups`, and what `doctor` says of authentication."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rag_pipelines.governance.identity import InvalidCredential
from rag_pipelines.governance.keys import recognise
from rag_pipelines_tests.cli.conftest import Commands
from rag_pipelines_tests.governance.issuer import serve
from rag_pipelines_tests.project import Project

CREATE = ("keys", "create", "--subject", "bot", "--tenant", "acme", "--group", "staff", "--scope", "search")


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A project without documents, whose service authenticates."""
    project = Project(tmp_path_factory.mktemp("keys"))
    project.configure("service", {"auth": {"mode": "authenticated", "groups_from": ["credential", "table"]}})
    return Commands(project)


def recognised(commands: Commands, text: str) -> Any:
    with commands.project.workspace() as workspace:
        return recognise(workspace.catalog, text)


def test_a_key_is_shown_once_alone_on_standard_output(commands: Commands) -> None:
    done = commands.run(*CREATE, "--description", "wiki bot")
    assert done.exit_code == 0, done.output
    text = done.stdout.strip()
    assert re.fullmatch(r"rag_\w{12}_\w{43}", text)
    assert "of bot (acme) is valid until" in done.stderr
    found = recognised(commands, text)
    assert (found.principal.subject, found.principal.groups, found.scopes) == ("bot", ("staff",), {"search"})
    shown = commands.run("keys", "list").stdout
    assert text.split("_")[1] in shown
    assert text.split("_")[2] not in shown + commands.run("keys", "list", "--json").stdout


def test_keys_are_rotated_and_revoked(commands: Commands) -> None:
    made = commands.json(*CREATE, "--days", "30", "--by", "ops")
    key = made["key"]
    assert key.keys() >= {"id", "state", "subject", "tenant", "scopes", "expires_at", "last_used_at"}
    assert "secret_hash" not in key
    left = datetime.fromisoformat(key["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert (key["state"], key["created_by"]) == ("valid", "ops")
    new = commands.json("keys", "rotate", key["id"], "--overlap-hours", "1", "--never-expires")
    assert (new["key"]["rotated_from"], new["key"]["expires_at"]) == (key["id"], None)
    assert recognised(commands, made["secret"]).principal == recognised(commands, new["secret"]).principal
    assert commands.json("keys", "revoke", f"rag_{key['id']}")["key"]["state"] == "revoked"
    with pytest.raises(InvalidCredential):
        recognised(commands, made["secret"])
    assert key["id"] not in {row["id"] for row in commands.json("keys", "list")["keys"]}
    states = {row["id"]: row["state"] for row in commands.json("keys", "list", "--all")["keys"]}
    assert (states[key["id"]], states[new["key"]["id"]]) == ("revoked", "valid")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["keys", "revoke", "nosuchkey"], 1, "there is no key 'nosuchkey'; `rag-pipelines keys list --all`"),
        (["keys", "rotate", "nosuchkey"], 1, "there is no key 'nosuchkey'"),
        ([*CREATE, "--scope", "serch"], 1, "there is no scope 'serch'; valid: search"),
        ([*CREATE, "--clearance", "secret"], 2, "--clearance"),
        ([*CREATE, "--days", "0"], 2, "--days"),
        (["keys", "create", "--subject", "a", "--tenant", "acme"], 2, "--scope"),
        (
            ["keys", "create", "--subject", "a", "--tenant", "*", "--scope", "search"],
            1,
            "tenant '*' is no name",
        ),
        (["groups", "import", "nowhere.yaml"], 1, "nowhere.yaml: cannot be read"),
        (["groups", "list", "--subject", "ana"], 2, "needs --tenant"),
    ],
)
def test_mistakes(commands: Commands, args: list[str], code: int, words: str) -> None:
    done = commands.run(*args)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_tenant_of_no_source_is_pointed_out(commands: Commands) -> None:
    done = commands.run("keys", "create", "--subject", "a", "--tenant", "acne", "--scope", "search")
    assert done.exit_code == 0
    assert "no source is configured with the tenant 'acne' (there are: acme)" in done.stderr


def test_groups_are_imported_and_shown(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "groups.yaml"
    file.write_text("acme: {staff: ['user:ana', 'group:board'], board: ['user:cy']}", encoding="utf-8")
    assert commands.json("groups", "import", str(file)) == {
        "tenants": ["acme"],
        "memberships": 3,
        "added": 3,
        "removed": 0,
    }
    assert "3 memberships of acme: 0 added, 0 removed" in commands.run("groups", "import", str(file)).stdout
    listed = commands.json("groups", "list")["memberships"]
    assert {(row["group"], row["member"]) for row in listed} == {
        ("staff", "user:ana"),
        ("staff", "group:board"),
        ("board", "user:cy"),
    }
    of_cy = commands.json("groups", "list", "--tenant", "acme", "--subject", "cy")["memberships"]
    assert [row["group"] for row in of_cy] == ["board", "staff"]


def findings(project: Project) -> dict[str, tuple[str, str]]:
    done = Commands(project).run("doctor", "--json")
    return {check["name"]: (check["level"], check["detail"]) for check in json.loads(done.stdout)["checks"]}


def test_doctor_says_who_may_ask(tmp_path: Path) -> None:
    project = Project(tmp_path / "one")
    level, detail = findings(project)["authentication"]
    assert (level, detail) == (
        "warning",
        "none: whoever reaches 127.0.0.1:8600 asks as local of tenant acme",
    )
    project.configure("service", {"auth": {"mode": "authenticated"}, "host": "0.0.0.0"})
    found = findings(project)
    assert found["authentication"] == ("warning", "there is no valid API key")
    assert found["TLS"][0] == "warning"
    with serve() as issuer:
        auth = {"mode": "authenticated", "issuers": [issuer.settings()]}
        auth |= {"groups_from": ["file"], "groups_file": "groups.yaml"}
        project.configure("service", {"auth": auth})
        found = findings(project)
        assert found["authentication"] == ("ok", "0 valid API keys, 1 issuers of tokens")
        assert found[f"issuer {issuer.url}"] == ("ok", "1 keys")
        assert found["groups file"][0] == "failed"
        assert "TLS" not in found
        issuer.status = 500
        assert findings(project)[f"issuer {issuer.url}"][0] == "failed"
