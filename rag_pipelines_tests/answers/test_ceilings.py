"""What is above a provider's ceiling never reaches it, whoever else may read it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rag_pipelines.answers.failures import AnswerFailed
from rag_pipelines.config.answers import AnswersConfig
from rag_pipelines.core.types import Classification
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines_tests.answers.asking import answered, config, events, found, provider
from rag_pipelines_tests.answers.llm_server import ChatEndpoint, Say, Send

TEXTS = (
    "The severance pay of directors is twelve months.",
    "Everyone has thirty days of paid leave a year.",
    "Seven days move into the next year.",
)
LEAVE = "Everyone has thirty days of paid leave a year [2]."
SECRET = "The severance pay of directors is twelve months [1]."


def classified(*tiers: str | None) -> SearchResult:
    """The texts, each of a document of this classification."""
    result = found(*TEXTS)
    pairs = zip(result.passages, tiers, strict=True)
    marked = [replace(one, classification=Classification(tier) if tier else None) for one, tier in pairs]
    return replace(result, passages=tuple(marked))


def capped(endpoint: ChatEndpoint, **values: Any) -> dict[str, Any]:
    """A provider that may read what is internal, and no more."""
    return provider(endpoint.url, max_classification="internal", **values)


def two(endpoint: ChatEndpoint, other: ChatEndpoint) -> AnswersConfig:
    """The first with a ceiling, the second without."""
    return config(capped(endpoint), provider(other.url, name="second"))


def test_the_rest_keeps_its_numbers_and_what_was_not_read_is_not_cited(endpoint: ChatEndpoint) -> None:
    endpoint.does(Say(f"{SECRET} {LEAVE}"))
    whole = answered(config(capped(endpoint)), classified("confidential", "internal", "public"))
    (sent,) = endpoint.requests
    assert "severance" not in json.dumps(sent)
    assert [
        number
        for number in ("[1]", "[2]", "[3]")
        if f"{number}\n<untrusted" in sent["messages"][1]["content"]
    ] == [
        "[2]",
        "[3]",
    ]
    assert (whole.text, whole.dropped) == (LEAVE, 1)
    (attempt,) = whole.written.attempts
    assert (attempt.outcome, attempt.detail) == (
        "ok",
        "1 of 3 passages were withheld from it, being above internal",
    )


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_one_is_asked_where_nothing_is_left(
    endpoint: ChatEndpoint, other: ChatEndpoint, stream: bool
) -> None:
    endpoint.does(Say(LEAVE))
    other.does(Say(SECRET))
    whole = answered(two(endpoint, other), classified("restricted", "confidential", None), stream=stream)
    assert endpoint.requests == []
    assert "severance" in json.dumps(other.requests)
    assert whole.text == SECRET
    assert [(one.provider, one.outcome, one.detail) for one in whole.written.attempts] == [
        (
            "first",
            "withheld",
            "there was nothing else to read; 3 of 3 passages were withheld from it, being above internal",
        ),
        ("second", "ok", None),
    ]


def test_the_next_one_reads_everything_after_the_first_failed(
    endpoint: ChatEndpoint, other: ChatEndpoint
) -> None:
    endpoint.does(Send(b"{}", 500))
    other.does(Say(SECRET))
    whole = answered(two(endpoint, other), classified("confidential", "public", "public"))
    assert "severance" not in json.dumps(endpoint.requests)
    assert whole.text == SECRET
    assert str(whole.written.attempts[0].detail).endswith(
        "1 of 3 passages were withheld from it, being above internal"
    )


def test_it_is_a_failure_where_nobody_may_read(endpoint: ChatEndpoint) -> None:
    result = classified("confidential", "confidential", "confidential")
    with pytest.raises(AnswerFailed, match="first: withheld") as failed:
        events(config(capped(endpoint)), result)
    assert not failed.value.passing
    assert "severance" not in str(failed.value)
    assert endpoint.requests == []


def test_a_provider_without_a_ceiling_reads_what_the_asker_may(endpoint: ChatEndpoint) -> None:
    endpoint.does(Say(SECRET))
    whole = answered(config(provider(endpoint.url)), classified("restricted", "confidential", None))
    assert whole.text == SECRET
    assert whole.written.attempts[0].detail is None
