"""Filters that callers send: what the index declares, with values of their own types."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer import BadParameter

from rag_pipelines.cli.query import _filters
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.filters import All, AnyOf, Condition, Match, MatchAny
from rag_pipelines.retrieval.filters import Untyped, filter_condition
from rag_pipelines_tests.governance.evaluator import holds

CONFIG = IndexConfig(index="knowledge", filter_fields=("product", "year", "draft"))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, All(())),
        ({"source": "handbook"}, All((Match("source", "handbook"),))),
        ({"doc_id": "x", "uri": "a.md"}, All((Match("doc_id", "x"), Match("uri", "a.md")))),
        ({"media_type": "text/html"}, All((Match("media_type", "text/html"),))),
        ({"language": ["de", "en"]}, All((MatchAny("language", ("de", "en")),))),
        ({"product": "Rime 2"}, All((Match("meta.product", "Rime 2"),))),
        ({"year": 2024}, All((Match("meta.year", 2024),))),
        ({"year": [2023, 2024]}, All((MatchAny("meta.year", (2023, 2024)),))),
        ({"draft": True}, All((Match("meta.draft", True),))),
        ({"draft": [True, True]}, All((Match("meta.draft", True),))),
        ({"product": ("a",)}, All((MatchAny("meta.product", ("a",)),))),
        ({"product": []}, All((AnyOf(()),))),
        (
            {"year": ["2024", 2024, False]},
            All(
                (
                    AnyOf(
                        (
                            Match("meta.year", False),
                            MatchAny("meta.year", ("2024",)),
                            MatchAny("meta.year", (2024,)),
                        )
                    ),
                )
            ),
        ),
    ],
)
def test_filters_become_conditions(filters: dict[str, Any], expected: Condition) -> None:
    assert filter_condition(filters, CONFIG) == expected


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({"year": 2024}, True),
        ({"year": "2024"}, False),
        ({"year": [2023, 2024]}, True),
        ({"year": ["2023", "2024"]}, False),
        ({"year": [2023]}, False),
        ({"product": ["Rime 2", "Rime 3"]}, True),
        ({"product": "Rime 2", "year": 2023}, False),
        ({"product": "Rime 2", "year": 2024, "draft": False}, True),
        ({"draft": [0, "False"]}, False),
        ({"product": []}, False),
        ({}, True),
    ],
)
def test_what_passes(filters: dict[str, Any], passes: bool) -> None:
    payload = {"source": "handbook", "meta": {"product": ["Rime 1", "Rime 2"], "year": 2024, "draft": False}}
    assert holds(filter_condition(filters, CONFIG), payload) is passes


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("produkt", "index 'knowledge' has no filter field 'produkt'; did you mean 'product'?"),
        ("langauge", "index 'knowledge' has no filter field 'langauge'; did you mean 'language'?"),
        (
            "colour",
            "no filter field 'colour'; valid: source, doc_id, uri, media_type, language, product, year",
        ),
        ("tenant", "index 'knowledge' has no filter field 'tenant'"),
        ("acl", "index 'knowledge' has no filter field 'acl'"),
        ("meta.product", "index 'knowledge' has no filter field 'meta.product'; did you mean 'product'?"),
        ("", "index 'knowledge' has no filter field ''"),
    ],
)
def test_an_unknown_field_is_an_error(field: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        filter_condition({"source": "handbook", field: "x"}, CONFIG)
    assert message in str(caught.value)
    assert "metadata keys become filter fields through filter_fields" in str(caught.value)


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        (["year=2024", "year=2025x"], {"year": [Untyped("2024"), Untyped("2025x")]}),
        (["uri=a=b?"], {"uri": [Untyped("a=b?")]}),
        (["year>=2020", "year<2024"], {"year": {"gte": Untyped("2020"), "lt": Untyped("2024")}}),
        (["updated>2024-01-01"], {"updated": {"gt": Untyped("2024-01-01")}}),
        (["status!=draft", "status!=old"], {"status": {"not": [Untyped("draft"), Untyped("old")]}}),
        (["owner?", "!draft"], {"owner": {"exists": True}, "draft": {"exists": False}}),
        (["product="], {"product": [Untyped("")]}),
    ],
)
def test_expressions_of_the_command_line(expressions: list[str], expected: dict[str, Any]) -> None:
    assert _filters(expressions) == expected


@pytest.mark.parametrize(
    ("expressions", "message"),
    [
        (["source"], "'source' is not field=value"),
        (["=x"], "'=x' is not field=value"),
        (["!source=x"], "'!source=x' is not field=value"),
        (["?"], "is not field=value"),
        (["year>1", "year>2"], "'year>2' bounds year a second time"),
        (["year=1", "year>0"], "'year' is compared both with = and otherwise"),
    ],
)
def test_expressions_that_cannot_be_meant(expressions: list[str], message: str) -> None:
    with pytest.raises(BadParameter, match=re.escape(message)):
        _filters(expressions)


def test_a_number_on_the_command_line_matches_the_number_and_the_text() -> None:
    product = filter_condition(_filters(["product=2024", "product=true", "product=007"]), CONFIG)
    assert product == All(
        (
            AnyOf(
                (
                    Match("meta.product", True),
                    MatchAny("meta.product", ("2024", "true", "007")),
                    MatchAny("meta.product", (2024,)),
                )
            ),
        )
    )
