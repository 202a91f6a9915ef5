"""The audit chain on both databases: how a line is hashed, and what is found when somebody tampers with one."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import audit
from rag_pipelines.catalog.audit import AuditLog, open_log
from rag_pipelines.catalog.audit_chain import COLUMNS, GENESIS, Entry, Verified, entry, line_hash, verify
from rag_pipelines.catalog.memory_tables import audit_head, audit_lines
from rag_pipelines.catalog.store import Catalog, open_catalog
from rag_pipelines.config.memory import AuditConfig
from rag_pipelines.core.errors import CatalogError, ConfigError
from rag_pipelines.core.events import Event

PLAIN = AuditLog()
KEY = b"0123456789abcdef0123456789abcdef"
SIGNED = AuditLog((KEY,))
FIRST = (
    '[1,"2026-11-01T00:00:00.000+00:00","search","user:an\\u00e1","acme",null,"knowledge","r1",'
    '"{\\"documents\\":[\\"d1\\"],\\"passages\\":1}","' + "0" * 64 + '"]'
)
"""The first line of a log as it is hashed, written by hand."""

WRITER = """
import sys
from rag_pipelines.catalog.audit import AuditLog
from rag_pipelines.catalog.store import open_catalog
from rag_pipelines.core.events import Event

url, name, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
catalog, log = open_catalog(url), AuditLog()
print("ready", flush=True)
sys.stdin.readline()
for batch in range(batches):
    with catalog.begin() as tx:
        log.append(tx, *(Event("search", name, "k", details={"n": batch * 5 + n}) for n in range(5)))
    print(batch, flush=True)
"""


def write(catalog: Catalog, log: AuditLog, count: int, at: str = "2026-11-01") -> None:
    """So many searches, in one transaction."""
    with catalog.begin() as tx:
        start, _ = audit.head(catalog) or (0, "")
        names = range(start, start + count)
        log.append(tx, *(Entry(at, "search", f"user:{n}", "acme", "key:1", "k", "r", "{}") for n in names))


def tamper(catalog: Catalog, *statements: str) -> None:
    """As somebody who owns the database: the triggers are out of their way."""
    with catalog.begin() as tx:
        if catalog.dialect == "sqlite":
            for name in ("audit_lines_stay", "audit_lines_last", "audit_head_forward", "audit_head_stays"):
                tx.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        else:
            tx.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for statement in statements:
            tx.execute(sa.text(statement))


def found(catalog: Catalog, log: AuditLog = PLAIN, **anchors: str) -> Verified:
    return audit.verify_log(catalog, log, {int(name[1:]): told for name, told in anchors.items()})


def test_a_line_is_hashed_with_the_one_before(catalog: Catalog) -> None:
    event = Event("search", "user:aná", "knowledge", "acme", None, "r1", {"passages": 1, "documents": ["d1"]})
    with catalog.begin() as tx:
        one = Entry(
            "2026-11-01T00:00:00.000+00:00", "search", "user:aná", "acme", None, "knowledge", "r1", "{}"
        )
        assert entry(event, one.at).details == '{"documents":["d1"],"passages":1}'
        PLAIN.append(tx, entry(event, one.at), one)
    newest, first = audit.newest_lines(catalog, 2)
    assert first["hash"] == hashlib.sha256(FIRST.encode()).hexdigest()
    assert (first["seq"], first["previous"]) == (1, GENESIS)
    assert (newest["seq"], newest["previous"]) == (2, first["hash"])
    assert audit.head(catalog) == (2, newest["hash"])
    result = found(catalog)
    assert (result.lines, result.first, result.last, result.hash, result.problem) == (
        2,
        1,
        2,
        newest["hash"],
        None,
    )


def test_a_signed_line_needs_the_key(catalog: Catalog) -> None:
    event = Event("search", "user:aná", "knowledge", "acme", None, "r1", {"passages": 1, "documents": ["d1"]})
    with catalog.begin() as tx:
        SIGNED.append(tx, entry(event, "2026-11-01T00:00:00.000+00:00"))
    (line,) = audit.newest_lines(catalog, 9)
    assert line["hash"] == hmac.new(KEY, FIRST.encode(), "sha256").hexdigest()
    assert found(catalog, SIGNED).right
    assert (found(catalog).bad, found(catalog, AuditLog((b"x" * 32,))).bad) == (1, 1)
    assert "0123" not in repr(SIGNED)


def test_what_no_database_stores_is_replaced_before_it_is_hashed(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        PLAIN.append(
            tx, Event("search", "user:\x00\ud800", "k", details={"a\x00": float("nan"), "b": "\ud800"})
        )
    (line,) = audit.newest_lines(catalog, 1)
    assert (line["actor"], line["details"]) == ("user:\ufffd\ufffd", '{"a\\ufffd":null,"b":"\\ufffd"}')
    assert found(catalog).right


def test_nothing_is_nothing_wrong(catalog: Catalog) -> None:
    assert found(catalog) == Verified(0, None, None, None)
    assert audit.head(catalog) is None


def test_a_line_stands_and_falls_with_its_transaction(catalog: Catalog) -> None:
    write(catalog, PLAIN, 1)

    def fail() -> None:
        with catalog.begin() as tx:
            PLAIN.append(tx, Event("publish", "operator", "k"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    write(catalog, PLAIN, 1)
    assert [row["seq"] for row in audit.newest_lines(catalog, 9)] == [2, 1]
    assert found(catalog).lines == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_lines SET actor = 'nobody' WHERE seq = 2",
        "DELETE FROM audit_lines WHERE seq = 2",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = 1",
        "UPDATE audit_head SET first = 4",
    ],
)
def test_the_database_refuses_to_change_what_was_written(catalog: Catalog, statement: str) -> None:
    write(catalog, PLAIN, 3)
    with pytest.raises(sa.exc.DBAPIError, match=r"append-only|only moves forward"), catalog.begin() as tx:
        tx.execute(sa.text(statement))
    assert found(catalog).right


REHASHED = "UPDATE audit_lines SET actor = 'x', hash = '{hash}' WHERE seq = 3"
INSERTED = (
    "INSERT INTO audit_lines SELECT 4, at, action, 'user:me', tenant, credential, target, request, details,"
    " previous, hash FROM audit_lines WHERE seq = 3"
)


@pytest.mark.parametrize(
    ("statements", "bad", "problem"),
    [
        (["UPDATE audit_lines SET actor = 'user:bo' WHERE seq = 3"], 3, "was changed"),
        (["UPDATE audit_lines SET details = '{ }' WHERE seq = 5"], 5, "was changed"),
        (["UPDATE audit_lines SET tenant = NULL WHERE seq = 1"], 1, "was changed"),
        ([REHASHED], 4, "does not follow from the line before"),
        (["DELETE FROM audit_lines WHERE seq = 3"], 3, "is missing"),
        (["DELETE FROM audit_lines WHERE seq = 1"], 1, "is missing"),
        (
            ["DELETE FROM audit_lines WHERE seq = 3", "UPDATE audit_lines SET seq = seq - 1 WHERE seq > 3"],
            3,
            "",
        ),
        (
            [
                "UPDATE audit_lines SET seq = 99 WHERE seq = 2",
                "UPDATE audit_lines SET seq = 2 WHERE seq = 3",
                "UPDATE audit_lines SET seq = 3 WHERE seq = 99",
            ],
            2,
            "does not follow",
        ),
        (["UPDATE audit_lines SET seq = seq + 10 WHERE seq > 3", INSERTED], 4, "does not follow"),
        ([INSERTED.replace("SELECT 4", "SELECT 6")], 6, "does not follow"),
        (["DELETE FROM audit_lines WHERE seq > 3"], 4, "is missing: the log was 5 lines long"),
        (["DELETE FROM audit_lines"], 1, "is missing: the log was 5 lines long"),
        (["DELETE FROM audit_head"], 1, "is not of this log, which has 0 lines"),
        (["UPDATE audit_head SET seq = 4"], 5, "is not of this log, which has 4 lines"),
        (["UPDATE audit_head SET first = 3"], 2, "no line says that they were trimmed"),
        (
            ["UPDATE audit_head SET first = 3", "DELETE FROM audit_lines WHERE seq < 3"],
            2,
            "no line says that they were trimmed",
        ),
    ],
)
def test_tampering_is_found_and_the_first_bad_line_named(
    catalog: Catalog, statements: list[str], bad: int, problem: str
) -> None:
    write(catalog, PLAIN, 5)
    lines = {row["seq"]: row for row in audit.newest_lines(catalog, 9)}
    changed = [{**lines[3], "actor": "x"}[name] for name in COLUMNS[:10]]
    tamper(catalog, *(one.replace("{hash}", line_hash(changed, None)) for one in statements))
    result = found(catalog)
    assert (result.bad, result.right) == (bad, False)
    assert problem in str(result.problem)


def test_a_log_cut_off_with_its_head_needs_an_anchor(catalog: Catalog) -> None:
    write(catalog, PLAIN, 5)
    lines = {row["seq"]: row for row in audit.newest_lines(catalog, 9)}
    tamper(
        catalog,
        "DELETE FROM audit_lines WHERE seq > 3",
        f"UPDATE audit_head SET seq = 3, hash = '{lines[3]['hash']}'",
    )
    assert found(catalog).right, "it cannot be seen from the log alone"
    cut = found(catalog, a5=lines[5]["hash"], a2=lines[2]["hash"])
    assert (cut.bad, cut.problem) == (4, "is missing: line 5 was anchored")
    assert found(catalog, a2=lines[2]["hash"]).right


def rewritten(catalog: Catalog, log: AuditLog) -> None:
    """Every line anew after one is changed, as somebody who has the database would do it."""
    with catalog.begin() as tx:
        rows = [tuple(row) for row in tx.execute(sa.select(audit_lines).order_by(audit_lines.c.seq))]
    statements, previous = [], GENESIS
    key = log.keys[-1] if log.keys else None
    for row in rows:
        actor = "user:me" if row[0] == 2 else row[3]
        fields = (*row[:3], actor, *row[4:9], previous)
        digest = line_hash(fields, key)
        statements.append(
            f"UPDATE audit_lines SET actor='{actor}', previous='{previous}', hash='{digest}' WHERE seq={row[0]}"
        )
        previous = digest
    tamper(catalog, *statements, f"UPDATE audit_head SET hash = '{previous}'")


def test_a_log_made_anew_is_found_by_an_anchor_or_by_the_key(catalog: Catalog) -> None:
    write(catalog, PLAIN, 4)
    (_, old) = audit.head(catalog) or (0, "")
    rewritten(catalog, PLAIN)
    assert found(catalog).right, "without key and anchor nothing tells it apart"
    result = found(catalog, a4=old)
    assert (result.bad, result.right) == (4, False)
    assert "anchored" in str(result.problem)


def test_without_the_key_nobody_makes_a_signed_log_anew(catalog: Catalog) -> None:
    write(catalog, SIGNED, 4)
    rewritten(catalog, PLAIN)
    result = found(catalog, SIGNED)
    assert (result.bad, result.right) == (4, False)
    assert "not signed with the present key" in str(result.problem)


def test_keys_follow_one_another_and_never_go_back(catalog: Catalog) -> None:
    second = AuditLog((KEY, b"fedcba9876543210fedcba9876543210"))
    write(catalog, PLAIN, 2)
    write(catalog, SIGNED, 2)
    write(catalog, second, 2)
    assert found(catalog, second).lines == 6
    assert found(catalog, SIGNED).bad == 5
    write(catalog, SIGNED, 1)
    assert (found(catalog, second).bad, found(catalog, second).lines) == (7, 6)


def test_a_trimmed_log_says_so_itself(catalog: Catalog) -> None:
    write(catalog, SIGNED, 3, "2026-01-01")
    lines = {row["seq"]: row for row in audit.newest_lines(catalog, 9)}
    write(catalog, SIGNED, 2, "2026-06-01")
    with catalog.begin() as tx:
        assert audit.trim(tx, SIGNED, "2026-03-01", "operator") == 3
    half = found(catalog, SIGNED)
    assert (half.first, half.last, half.right) == (4, 6, True), "declared, and not deleted yet"
    with catalog.begin() as tx:
        assert [audit.forget_trimmed(tx, 2), audit.forget_trimmed(tx, 2), audit.forget_trimmed(tx)] == [
            2,
            1,
            0,
        ]
    assert found(catalog, SIGNED).lines == 3
    (told,) = audit.newest_lines(catalog, 1, "audit.trim")
    assert told["details"] == f'{{"hash":"{lines[3]["hash"]}","lines":3,"through":3}}'
    assert found(catalog, SIGNED, a3=lines[3]["hash"]).right
    assert found(catalog, SIGNED, a3=lines[2]["hash"]).bad == 3
    assert found(catalog, SIGNED, a2=lines[2]["hash"]).unchecked == (2,)
    with catalog.begin() as tx:
        assert audit.trim(tx, SIGNED, "2026-03-01", "operator") == 0
        assert audit.trim(tx, SIGNED, "2026-07-01", "operator") == 2
    assert (found(catalog, SIGNED).first, found(catalog, SIGNED).right) == (6, True)
    tamper(catalog, "UPDATE audit_head SET first = 7", "DELETE FROM audit_lines WHERE seq < 7")
    assert (found(catalog, SIGNED).bad, found(catalog, SIGNED).right) == (6, False)


def test_a_log_without_its_head_takes_no_line(catalog: Catalog) -> None:
    write(catalog, PLAIN, 1)
    tamper(catalog, "DELETE FROM audit_head")
    with pytest.raises(CatalogError, match="audit verify"):
        write(catalog, PLAIN, 1)


def test_a_part_of_a_log_is_verified_by_itself(catalog: Catalog) -> None:
    write(catalog, PLAIN, 3, "2026-01-01")
    write(catalog, PLAIN, 3, "2026-02-01")
    rows = [[row[name] for name in COLUMNS] for row in audit.lines_since(catalog, "2026-02-01")]
    assert [row[0] for row in rows] == [4, 5, 6]
    assert [row["seq"] for row in audit.lines_since(catalog, until="2026-02-01")] == [1, 2, 3]
    assert verify(rows, whole=False).right
    assert verify(rows).bad == 3
    assert verify([rows[0], rows[2]], whole=False).bad == 5
    rows[1][3] = "user:me"
    assert verify(rows, whole=False).bad == 5


@pytest.mark.parametrize(
    ("variables", "message"),
    [({}, "AUDIT_KEY, which is not set"), ({"AUDIT_KEY": "short"}, "shorter than 32 characters")],
)
def test_a_key_that_is_missing_or_short_is_refused(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_log(AuditConfig(key_env="AUDIT_KEY"), variables)
    assert "short " not in str(caught.value)


def test_keys_are_read_oldest_first() -> None:
    config = AuditConfig(key_env="NEW", old_key_envs=("OLD",))
    assert open_log(config, {"NEW": "n" * 32, "OLD": "o" * 32}).keys == (b"o" * 32, b"n" * 32)
    assert open_log(AuditConfig(), {}).keys == ()


def test_the_chain_does_not_fork_under_four_writers_one_of_which_is_killed(database_url: str) -> None:
    catalog = open_catalog(database_url)
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, database_url, name, "20" if name != "killed" else "100000"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("ana", "bo", "cy", "killed")
    }
    for writer in writers.values():
        assert writer.stdout is not None
        assert writer.stdin is not None
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("\n")
        writer.stdin.flush()
    victim = writers.pop("killed")
    assert victim.stdout is not None
    assert [victim.stdout.readline() for _ in range(5)][-1] == "4\n"
    os.kill(victim.pid, signal.SIGKILL)
    answered = 5 + len([line for line in victim.communicate()[0].splitlines() if line])
    assert [writer.wait(120) for writer in writers.values()] == [0, 0, 0]

    result = found(catalog)
    with catalog.begin() as tx:
        lines = tx.execute(
            sa.select(audit_lines.c.actor, audit_lines.c.details).order_by(audit_lines.c.seq)
        ).all()
        assert tx.execute(sa.select(audit_head.c.seq)).scalar() == len(lines)
    counts = Counter(line[0] for line in lines)
    catalog.close()

    assert result.right, result.problem
    assert result.lines == len(lines)
    assert {name: counts[name] for name in writers} == {"ana": 100, "bo": 100, "cy": 100}
    for name in ("ana", "bo", "cy", "killed"):
        told = [details for actor, details in lines if actor == name]
        assert told == [f'{{"n":{number}}}' for number in range(len(told))]
    assert counts["killed"] in (answered * 5, answered * 5 + 5), "what was told as written is there, whole"
