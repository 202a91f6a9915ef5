"""Who may read what. Anything that these tests do not grant is denied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_pipelines.core.errors import AccessDenied
from rag_pipelines.core.filters import EVERYTHING
from rag_pipelines.core.types import OPERATOR, Access, Classification, Principal
from rag_pipelines.governance.access import (
    access_condition,
    grants,
    may_read,
    own_entry,
    principal_from_json,
    read_principal,
)
from rag_pipelines.pipeline.payload import access_payload
from rag_pipelines_tests.governance.evaluator import holds

PUBLIC, INTERNAL, CONFIDENTIAL, RESTRICTED = Classification
ANA = Principal("ana", "acme", ("staff", "board"), CONFIDENTIAL)


@pytest.mark.parametrize(
    ("tenant", "classification", "acl", "allowed"),
    [
        ("acme", INTERNAL, ("group:staff",), True),
        ("acme", INTERNAL, ("group:board", "group:nobody"), True),
        ("acme", INTERNAL, ("user:ana",), True),
        ("acme", INTERNAL, ("*",), True),
        ("acme", CONFIDENTIAL, ("group:staff",), True),
        ("acme", PUBLIC, ("group:staff",), True),
        ("acme", RESTRICTED, ("group:staff",), False),
        ("acme", RESTRICTED, ("user:ana", "*"), False),
        ("acme", PUBLIC, (), False),
        ("acme", PUBLIC, ("group:sales",), False),
        ("acme", PUBLIC, ("user:bob",), False),
        ("acme", PUBLIC, ("group:ana",), False),
        ("acme", PUBLIC, ("user:staff",), False),
        ("acme", PUBLIC, ("staff",), False),
        ("acme", PUBLIC, ("ana",), False),
        ("acme", PUBLIC, ("group:Staff",), False),
        ("acme", PUBLIC, ("group:*",), False),
        ("globex", PUBLIC, ("*",), False),
        ("globex", PUBLIC, ("user:ana", "group:staff"), False),
        ("ACME", PUBLIC, ("*",), False),
        ("*", PUBLIC, ("*",), False),
        ("", PUBLIC, ("*",), False),
    ],
)
def test_the_table_of_rights(
    tenant: str, classification: Classification, acl: tuple[str, ...], allowed: bool
) -> None:
    access = Access(tenant, classification, acl)
    assert may_read(ANA, access) is allowed
    assert holds(access_condition(ANA), payload_of(access)) is allowed
    assert may_read(OPERATOR, access)


@pytest.mark.parametrize("clearance", list(Classification))
def test_a_clearance_reads_its_own_tier_and_those_below(clearance: Classification) -> None:
    readable = [
        tier
        for tier in Classification
        if may_read(replace(ANA, clearance=clearance), Access("acme", tier, ("*",)))
    ]
    assert readable == list(Classification)[: list(Classification).index(clearance) + 1]


def test_the_tiers_and_their_ranks_stay_as_they_are_stored() -> None:
    assert {tier.value: tier.rank for tier in Classification} == {
        "public": 0,
        "internal": 1,
        "confidential": 2,
        "restricted": 3,
    }


def test_a_principal_holds_itself_its_groups_and_everyone() -> None:
    assert grants(ANA) == ("*", "user:ana", "group:staff", "group:board")
    assert grants(Principal("bob", "acme")) == ("*", "user:bob")


@given(st.data())
def test_less_what_is_granted_by_name_is_what_a_stranger_of_the_groups_reads(data: st.DataObject) -> None:
    principal, access = data.draw(PRINCIPALS), data.draw(ACCESSES)
    unnamed = Access(
        access.tenant, access.classification, tuple(e for e in access.acl if e != own_entry(principal))
    )
    found = holds(access_condition(principal, by_name=False), payload_of(access))
    assert found == may_read(principal, unnamed)


def test_only_the_operator_reads_everything() -> None:
    assert access_condition(OPERATOR) == EVERYTHING
    assert access_condition(replace(OPERATOR, unrestricted=False)) != EVERYTHING
    assert not may_read(replace(OPERATOR, unrestricted=False), Access("acme", PUBLIC, ("*",)))


NAMES = st.sampled_from(["a", "b", "*", "", "staff", "user:a", "group:a"])
ENTRIES = st.one_of(
    st.just("*"), NAMES.map("user:{}".format), NAMES.map("group:{}".format), NAMES, st.text(max_size=3)
)
TIERS = st.sampled_from(list(Classification))
PRINCIPALS = st.builds(
    Principal,
    NAMES,
    NAMES,
    st.lists(NAMES, max_size=3).map(tuple),
    TIERS,
    st.sampled_from([False] * 4 + [True]),
)
ACCESSES = st.builds(Access, NAMES, TIERS, st.lists(ENTRIES, max_size=4).map(tuple))


def payload_of(access: Access) -> dict[str, Any]:
    """The rights as points carry them."""
    row = {"tenant": access.tenant, "classification": access.classification.value, "acl": list(access.acl)}
    return access_payload(row)


@given(PRINCIPALS, ACCESSES)
@example(Principal("a", "a"), Access("a", INTERNAL, ("user:a",)))
@example(Principal("a", "a"), Access("a", CONFIDENTIAL, ("user:a",)))
def test_the_filter_is_the_rule(principal: Principal, access: Access) -> None:
    assert holds(access_condition(principal), payload_of(access)) == may_read(principal, access)


def test_a_principal_from_json() -> None:
    data = {"subject": "ana", "tenant": "acme", "groups": ["staff", "board"], "clearance": "confidential"}
    assert principal_from_json(data, "request") == ANA


def test_what_json_leaves_out_is_the_least() -> None:
    found = principal_from_json({"tenant": "acme"}, "request")
    assert found == Principal("anonymous", "acme", (), INTERNAL)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "a principal is an object with subject, tenant, groups and clearance"),
        ([], "a principal is an object"),
        ("ana", "a principal is an object"),
        ({}, "a principal is an object"),
        ({"subject": "ana"}, "a principal is an object"),
        ({"tenant": ""}, "a principal is an object"),
        ({"tenant": 7}, "a principal is an object"),
        ({"tenant": "acme", "unrestricted": True}, "a principal has no field 'unrestricted', only clearance"),
        ({"tenant": "acme", "unrestricted": False}, "a principal has no field 'unrestricted'"),
        ({"tenant": "acme", "group": ["staff"]}, "a principal has no field 'group'"),
        ({"tenant": "acme", "subject": ""}, "subject must be a name"),
        ({"tenant": "acme", "subject": None}, "subject must be a name"),
        ({"tenant": "acme", "subject": ["ana"]}, "subject must be a name"),
        ({"tenant": "acme", "groups": "staff"}, "groups must be a list of names"),
        ({"tenant": "acme", "groups": [1]}, "groups must be a list of names"),
        ({"tenant": "acme", "groups": None}, "groups must be a list of names"),
        (
            {"tenant": "acme", "clearance": "top"},
            "clearance must be one of public, internal, confidential, restr",
        ),
        ({"tenant": "acme", "clearance": 3}, "clearance must be one of"),
        ({"tenant": "acme", "clearance": None}, "clearance must be one of"),
        ({"tenant": "acme", "clearance": ["internal"]}, "clearance must be one of"),
        ({"tenant": "acme", "clearance": "INTERNAL"}, "clearance must be one of"),
    ],
)
def test_what_is_no_principal_is_denied(data: Any, message: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        principal_from_json(data, "request 7")
    assert str(caught.value).startswith(f"request 7: {message}")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=2),
    max_leaves=3,
)
FIELDS = st.sampled_from(["subject", "tenant", "groups", "clearance", "unrestricted", "admin"])


@given(
    st.dictionaries(FIELDS, VALUES)
    | st.fixed_dictionaries(
        {"tenant": st.just("acme")}, optional={"subject": st.just("operator"), "unrestricted": st.just(True)}
    )
)
@example({"tenant": "*", "subject": "operator", "clearance": "restricted"})
def test_nothing_in_json_makes_an_operator(data: dict[str, Any]) -> None:
    try:
        found = principal_from_json(json.loads(json.dumps(data)), "request")
    except AccessDenied:
        return
    assert not found.unrestricted
    assert not may_read(found, Access("another tenant", PUBLIC, ("*",)))


def test_a_principal_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ana.json"
    path.write_text(
        '{"subject": "ana", "tenant": "acme", "groups": ["staff", "board"], "clearance": "confidential"}'
    )
    assert read_principal(path) == ANA


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "a principal is an object"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_holds_none_is_denied(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "ana.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AccessDenied) as caught:
        read_principal(path)
    assert str(caught.value).startswith(f"{path}: {message}")
