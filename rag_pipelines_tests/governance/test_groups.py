"""Groups from the catalog and from files: nested, one tenant at a time, and gone when they are taken away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipelines.catalog.memberships import Membership, memberships_of
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.events import Event
from rag_pipelines.governance.group_files import read_groups
from rag_pipelines.governance.groups import Directory, FileDirectory, TableDirectory, groups_of, import_groups
from rag_pipelines.governance.identity import NotEntitled, Unjudged

GROUPS = """\
acme:
  staff: [user:ana, user:bo, group:board]
  board: [user:cy]
  everybody: [group:staff, group:everybody]
  empty: []
globex:
  staff: [user:cy]
"""


def ignore(event: Event) -> None:
    """No audit."""


def written(path: Path, text: str) -> Path:
    """As a careful writer replaces a file: at once."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The groups of two tenants."""
    return written(tmp_path / "groups.yaml", GROUPS)


EXPECTED = {
    ("acme", "ana"): ("everybody", "staff"),
    ("acme", "cy"): ("board", "everybody", "staff"),
    ("globex", "cy"): ("staff",),
    ("globex", "ana"): (),
    ("acme", "nobody"): (),
}


def test_groups_within_groups_of_a_file(file: Path) -> None:
    directory = FileDirectory(file)
    assert {who: groups_of([directory], *who) for who in EXPECTED} == EXPECTED
    assert groups_of([directory], "acme", "nobody", ["board"]) == ("board", "everybody", "staff")
    assert directory.check() == f"7 memberships of 2 tenants in {file}"


def test_groups_within_groups_of_the_catalog(catalog: Catalog, file: Path) -> None:
    tenants, rows = read_groups(file)
    assert import_groups(catalog, tenants, rows, by="ops", audit=ignore) == (7, 0)
    directory = TableDirectory(catalog)
    assert {who: groups_of([directory], *who) for who in EXPECTED} == EXPECTED
    assert groups_of([directory], "acme", "nobody", ["board"]) == ("board", "everybody", "staff")


def test_an_import_replaces_the_tenants_it_names_and_no_other(catalog: Catalog, tmp_path: Path) -> None:
    events: list[Event] = []
    for text, expected in (
        (GROUPS, (7, 0)),
        (GROUPS, (0, 0)),
        ("acme:\n  staff: [user:bo, user:di]\n", (1, 5)),
        ("acme: {}\n", (0, 2)),
    ):
        tenants, rows = read_groups(written(tmp_path / "groups.yaml", text))
        assert import_groups(catalog, tenants, rows, by="ops", audit=events.append) == expected
    left = [(row["tenant"], row["group_name"], row["member"]) for row in memberships_of(catalog)]
    assert left == [("globex", "staff", "user:cy")]
    assert memberships_of(catalog, "acme") == []
    assert [(event.action, event.target) for event in events] == [
        ("groups.import", "groups:acme"),
        ("groups.import", "groups:globex"),
        ("groups.import", "groups:acme"),
        ("groups.import", "groups:acme"),
    ]


def test_somebody_who_is_gone_from_the_file_has_no_groups_at_the_next_question(file: Path) -> None:
    directory = FileDirectory(file)
    assert groups_of([directory], "acme", "bo") == ("everybody", "staff")
    written(file, GROUPS.replace(", user:bo", ""))
    assert groups_of([directory], "acme", "bo") == ()


@pytest.mark.parametrize("text", [None, "acme: [", "acme: {staff: [ana]}"])
def test_a_file_that_cannot_be_read_gives_and_refuses_nothing(file: Path, text: str | None) -> None:
    directory = FileDirectory(file)
    groups_of([directory], "acme", "ana")
    if text is None:
        file.unlink()
    else:
        written(file, text)
    for _ in range(2):
        with pytest.raises(Unjudged, match="the groups of the caller cannot be read now"):
            groups_of([directory], "acme", "ana")
    written(file, GROUPS)
    assert groups_of([directory], "acme", "ana") == ("everybody", "staff")


def test_file_and_catalog_add_to_one_another(catalog: Catalog, file: Path) -> None:
    rows: frozenset[Membership] = frozenset({("acme", "all", "group:everybody"), ("acme", "x", "user:ana")})
    import_groups(catalog, frozenset({"acme"}), rows, by="ops", audit=ignore)
    both: list[Directory] = [TableDirectory(catalog), FileDirectory(file)]
    assert groups_of(both, "acme", "ana") == ("all", "everybody", "staff", "x")


def test_too_many_groups_are_refused(file: Path) -> None:
    with pytest.raises(NotEntitled, match="more than 1000 groups"):
        groups_of([], "acme", "ana", [f"g{number}" for number in range(1001)])


def test_the_same_as_csv(file: Path, tmp_path: Path) -> None:
    rows = ["tenant,group,member", *(",".join(row) for row in sorted(read_groups(file)[1])), "", " , , "]
    table = written(tmp_path / "groups.csv", "\ufeff" + "\r\n".join(rows))
    assert read_groups(table)[1] == read_groups(file)[1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.yaml", "acme: [staff]", r"g\.yaml:1: acme: must map groups to their members"),
        ("g.yaml", "acme:\n  staff: ana\n", r"g\.yaml:2: acme\.staff: must be a list of members"),
        (
            "g.yaml",
            "acme:\n  staff:\n  - user:ana\n  - ana\n",
            r"g\.yaml:4: .*'ana' is no member; write user:",
        ),
        ("g.yaml", "acme: {staff: [7]}", "7 is no member"),
        ("g.yaml", "acme: {staff: ['user:']}", "is no member"),
        ("g.yaml", "'*': {staff: ['user:ana']}", r"tenant '\*' is no name"),
        ("g.json", '{"acme": {"": ["user:ana"]}}', "group '' is no name"),
        ("g.csv", "group,member\n", "g.csv:1: the first line must be tenant,group,member"),
        ("g.csv", "", "g.csv:1: the first line"),
        ("g.csv", "tenant,group,member\nacme,staff\n", "g.csv:2: must have the columns"),
        ("g.csv", "tenant,group,member\nacme,staff,ana\n", "g.csv:2: 'ana' is no member"),
        ("g.txt", "", "is no .yaml, .yml, .json or .csv file"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_groups(written(tmp_path / name, text))


NAMES = st.sampled_from("abcdef")


@given(
    edges=st.sets(st.tuples(NAMES, st.tuples(st.sampled_from(["user", "group"]), NAMES)), max_size=20),
    own=st.sets(NAMES, max_size=2),
)
def test_membership_is_reachability(edges: set[tuple[str, tuple[str, str]]], own: set[str]) -> None:
    class Given:
        def groups_with(self, tenant: str, members: Sequence[str]) -> set[str]:
            return {group for group, (kind, name) in edges if f"{kind}:{name}" in members}

    expected = own | {group for group, member in edges if member == ("user", "a")}
    for _ in range(6):
        expected |= {group for group, (kind, name) in edges if kind == "group" and name in expected}
    assert groups_of([Given()], "acme", "a", own) == tuple(sorted(expected))
