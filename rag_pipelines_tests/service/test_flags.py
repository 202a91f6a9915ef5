"""Variants of retrieval: who gets which, what stands in the answer, and what a new file does while it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.flag_evaluation import Reason

from rag_pipelines.catalog.audit import newest_lines
from rag_pipelines.config.flags import FlagsFile, RetrievalFlag
from rag_pipelines.core.types import Principal
from rag_pipelines.service.flags import FileProvider, bucket, chosen, context_of
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import running

PATH = "/v1/indexes/knowledge/search"
ANA = Principal("ana", "acme", ("staff", "pilot"))
BO = Principal("bo", "acme", ("staff",))
ZOE = Principal("zoe", "globex", ("staff",))
BUCKETS = [129, 8318, 5734]
"""First 8 bytes of the SHA-256 of index, salt and key, modulo 10,000, computed by hand."""


def flag(**values: Any) -> RetrievalFlag:
    return RetrievalFlag.model_validate({"variants": {"a": {}, "b": {}}, **values})


def given_to(principal: Principal, found: RetrievalFlag, request: str = "r1") -> str | None:
    return chosen("knowledge", found, context_of(principal, request))[0]


def test_the_first_rule_that_matches_chooses() -> None:
    rules = [{"groups": ["pilot"], "variant": "a"}, {"tenants": ["acme"], "variant": "b"}]
    found = flag(rules=rules)
    assert [given_to(who, found) for who in (ANA, BO, ZOE)] == ["a", "b", None]
    assert given_to(ZOE, flag(rules=rules, default="a")) == "a"
    assert given_to(ANA, flag(rules=rules, default="a", enabled=False)) is None
    both = flag(rules=[{"tenants": ["globex"], "groups": ["pilot"], "variant": "a"}])
    assert [given_to(who, both) for who in (ANA, ZOE)] == [None, None]


def test_buckets_are_the_same_in_every_process() -> None:
    assert [bucket("knowledge", "", f"acme\0user{number}") for number in range(3)] == BUCKETS
    assert bucket("other", "", "acme\0user0") != BUCKETS[0] != bucket("knowledge", "2", "acme\0user0")


def test_shares_are_what_they_say_and_keep_to_whom_they_are_drawn_by() -> None:
    users = [Principal(f"user{number}", "acme") for number in range(4000)]
    found = flag(rules=[{"percent": {"a": 10, "b": 30}}])
    got = [given_to(user, found) for user in users]
    assert got == [given_to(user, found, "another request") for user in users]
    assert 0.08 < got.count("a") / len(users) < 0.12
    assert 0.27 < got.count("b") / len(users) < 0.33
    wider = flag(rules=[{"percent": {"a": 20, "b": 30}}])
    kept = [given_to(user, wider) for user, name in zip(users, got, strict=True) if name == "a"]
    assert set(kept) == {"a"}
    by_request = flag(rules=[{"percent": {"a": 50}, "by": "request"}])
    assert len({given_to(BO, by_request, f"r{number}") for number in range(50)}) == 2
    by_tenant = flag(rules=[{"percent": {"a": 50}, "by": "tenant"}])
    assert len({given_to(user, by_tenant) for user in users}) == 1


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20), st.sampled_from(["acme", "globex"]), st.text(max_size=5))
def test_all_of_it_is_all_and_none_of_it_is_none(subject: str, tenant: str, salt: str) -> None:
    who = Principal(subject or "x", tenant)
    assert given_to(who, flag(rules=[{"percent": {"a": 100}}], salt=salt)) == "a"
    assert given_to(who, flag(rules=[{"percent": {"a": 0}}], salt=salt)) is None


def test_the_provider_speaks_openfeature() -> None:
    provider = FileProvider(
        FlagsFile(retrieval={"knowledge": flag(rules=[{"groups": ["pilot"], "variant": "a"}])})
    )
    api.set_provider_and_wait(provider, "test-flags")
    client = api.get_client("test-flags")
    details = client.get_string_details("retrieval.knowledge", "", context_of(ANA, "r"))
    assert (details.value, details.variant, details.reason) == ("a", "a", Reason.TARGETING_MATCH)
    assert client.get_string_details("retrieval.other", "own", context_of(ANA, "r")).value == "own"
    assert client.get_boolean_details("retrieval.knowledge", True).error_code is not None
    assert provider.get_metadata().name == "rag_pipelines.file"


@contextmanager
def flagged(project: Project, data: dict[str, Any] | None) -> Iterator[TestClient]:
    path = project.root / "configs" / "flags.yaml"
    if data is not None:
        write(path, data)
    try:
        with running(project) as client:
            yield client
    finally:
        path.unlink(missing_ok=True)


def write(path: Path, data: dict[str, Any] | str) -> None:
    """As an editor or a mounted file does it: whole or not at all."""
    made = path.with_suffix(".new")
    made.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    os.replace(made, path)


def of_knowledge(**values: Any) -> dict[str, Any]:
    return {"retrieval": {"knowledge": values}}


WIDE = {"context": {"tokens": 200}, "candidates": 50, "feedback": {"passages": 0}}


def test_a_variant_answers_and_says_so_everywhere(project: Project) -> None:
    data = of_knowledge(variants={"wide": WIDE}, rules=[{"groups": ["staff"], "variant": "wide"}])
    with flagged(project, data) as client:
        parts = client.app.state.parts  # type: ignore[attr-defined]
        answer = client.post(PATH, json={"query": "leave", "k": 3})
        assert answer.status_code == 200
        metrics = client.get("/metrics").text
        variant = parts.variants.choose("knowledge", BO, "r1")
        again = parts.variants.choose("knowledge", ANA, "r2")
        own = parts.searchers.get("knowledge")
        parts.memory.flush()
        (line,) = newest_lines(parts.searchers.catalog, 1)
    assert answer.json()["variant"] == "wide"
    assert answer.headers["x-retrieval-variant"] == "wide"
    assert answer.json()["context"]["tokens"] > 10
    assert json.loads(line["details"])["variant"] == "wide"
    assert 'rag_searches_total{index="knowledge",variant="wide"} 1.0' in metrics
    assert again is variant
    assert variant.parts is own.parts
    assert variant.config.retrieval.candidates == 50
    assert own.config.retrieval.candidates == 100
    assert len(variant.fingerprint) == 16


def test_without_a_variant_nothing_is_said(project: Project) -> None:
    data = of_knowledge(variants={"wide": WIDE}, rules=[{"tenants": ["globex"], "variant": "wide"}])
    with flagged(project, data) as client:
        answer = client.post(PATH, json={"query": "leave", "k": 3})
    assert "variant" not in answer.json()
    assert "x-retrieval-variant" not in answer.headers
    assert "context" not in answer.json()


def test_a_variant_that_turns_a_half_off_ranks_as_it_says(project: Project) -> None:
    with flagged(project, of_knowledge(variants={"terms": {"mode": "sparse"}}, default="terms")) as client:
        body = {"query": "P-990", "k": 5, "explain": True}
        sparse = client.post(PATH, json=body).json()
    with flagged(project, None) as client:
        hybrid = client.post(PATH, json=body).json()
    assert all(passage["explanation"]["dense"] is None for passage in sparse["passages"])
    assert any(passage["explanation"]["dense"] is not None for passage in hybrid["passages"])


def test_another_reranker_is_opened_once_for_all_variants(project: Project) -> None:
    rerank = {"model": "nobody/none", "seconds": 0.5}
    data = of_knowledge(
        variants={"a": {"rerank": rerank}, "b": {"rerank": {**rerank, "top_n": 5}}}, default="a"
    )
    with flagged(project, data) as client:
        variants = client.app.state.parts.variants  # type: ignore[attr-defined]
        a = variants.choose("knowledge", BO, "r")
        write(project.root / "configs" / "flags.yaml", {"retrieval": {"knowledge": {
            **data["retrieval"]["knowledge"], "default": "b"}}})  # fmt: skip
        variants.flags.look()
        b = variants.choose("knowledge", BO, "r")
    assert (a.name, b.name) == ("a", "b")
    assert a.parts.reranker is b.parts.reranker is not None
    assert a.fingerprint != b.fingerprint


def test_a_new_file_counts_and_a_broken_one_does_not(project: Project) -> None:
    path = project.root / "configs" / "flags.yaml"
    first = of_knowledge(variants={"one": {}, "two": {}}, default="one")
    with flagged(project, first) as client:
        flags = client.app.state.parts.variants.flags  # type: ignore[attr-defined]

        def answered() -> Any:
            return client.post(PATH, json={"query": "leave", "k": 1}).json().get("variant")

        assert answered() == "one"
        write(path, of_knowledge(variants={"one": {}, "two": {}}, default="two"))
        flags.look()
        assert answered() == "two"
        write(path, of_knowledge(variants={"one": {}}, default="three"))
        flags.look()
        assert answered() == "two"
        assert "retrieval.knowledge.default: there is no variant 'three'" in flags.fault
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["warnings"] == ["the new flags are broken, the last good ones are in force"]
        assert "rag_flags_current 0.0" in client.get("/metrics").text
        flags.look()
        assert flags.refused == 1  # it is read once, not with every look
        write(path, "retrieval: [\n")
        flags.look()
        assert answered() == "two"
        path.unlink()
        flags.look()
        assert answered() is None
        assert client.get("/readyz").json() == {"status": "ready"}


def test_the_file_is_looked_at_while_the_service_runs(project: Project) -> None:
    import time

    from rag_pipelines_tests.service.conftest import SETTINGS

    project.configure("service", {**SETTINGS, "flags": {"poll_seconds": 0.02}})
    try:
        with flagged(project, None) as client:
            write(project.root / "configs" / "flags.yaml", of_knowledge(variants={"one": {}}, default="one"))
            deadline = time.monotonic() + 30
            while "variant" not in (found := client.post(PATH, json={"query": "leave"}).json()):
                assert time.monotonic() < deadline
            assert found["variant"] == "one"
    finally:
        project.configure("service", SETTINGS)
