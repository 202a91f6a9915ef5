"""Filters on declared types: what callers write, what both engines find, and what they are told is wrong."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.filters import All, AnyOf, Condition, DateRange, Exists, Match, MatchAny, Not, Range
from rag_pipelines.core.ports import CollectionWriter
from rag_pipelines.core.types import OPERATOR, Point, VectorSpace
from rag_pipelines.embedding.space import space_fingerprint, typed_fields
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.index.points import meta_path
from rag_pipelines.index.server import ServerEngine
from rag_pipelines.retrieval.filters import Untyped, filter_condition
from rag_pipelines_tests.index.sample import make_id
from rag_pipelines_tests.project import Parts, Project

DECLARED = [
    "product",
    {"field": "year", "type": "integer"},
    {"field": "price", "type": "float"},
    {"field": "draft", "type": "boolean"},
    {"field": "updated", "type": "datetime"},
    {"field": "release date", "type": "datetime"},
]
CONFIG = IndexConfig.model_validate({"index": "knowledge", "filter_fields": DECLARED})
SPACE = VectorSpace(
    dimension=2,
    sparse=False,
    keyword_fields=(meta_path("product"),),
    integer_fields=(meta_path("year"),),
    float_fields=(meta_path("price"),),
    boolean_fields=(meta_path("draft"),),
    datetime_fields=(meta_path("updated"), meta_path("release date")),
)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"year": 2024}, Match("meta.year", 2024)),
        ({"year": [2023, 2024, 2024]}, MatchAny("meta.year", (2023, 2024))),
        ({"year": []}, AnyOf(())),
        ({"year": {"gte": 2020, "lt": 2024}}, Range("meta.year", gte=2020, lt=2024)),
        ({"year": {"not": 2024}}, Not(All((Match("meta.year", 2024),)))),
        ({"year": {"not": {"gt": 2020}}}, Not(All((Range("meta.year", gt=2020),)))),
        ({"price": 9.5}, Range("meta.price", gte=9.5, lte=9.5)),
        ({"price": {"lte": 10}}, Range("meta.price", lte=10.0)),
        ({"draft": False}, Match("meta.draft", False)),
        ({"product": {"exists": True}}, Exists("meta.product")),
        ({"product": {"exists": False}}, Not(Exists("meta.product"))),
        ({"product": {"not": ["a", "b"]}}, Not(All((MatchAny("meta.product", ("a", "b")),)))),
        ({"updated": "2024-05-01"}, DateRange("meta.updated", gte="2024-05-01", lte="2024-05-01")),
        ({"updated": {"from": "2024-01-01"}}, DateRange("meta.updated", gte="2024-01-01")),
        ({"updated": {"to": "2024-01-01"}}, DateRange("meta.updated", lte="2024-01-01")),
        (
            {"updated": {"gt": "2024-01-01", "lt": "2024-06-01T12:00:00Z"}},
            DateRange("meta.updated", gt="2024-01-01", lt="2024-06-01T12:00:00Z"),
        ),
        ({"release date": {"from": "2024-01-01"}}, DateRange('meta."release date"', gte="2024-01-01")),
        ({"uri": {"not": "a.md"}}, Not(All((Match("uri", "a.md"),)))),
        ({"year": [Untyped("2024")]}, MatchAny("meta.year", (2024,))),
        ({"draft": [Untyped("True")]}, Match("meta.draft", True)),
        ({"price": {"gt": Untyped("1e1")}}, Range("meta.price", gt=10.0)),
    ],
)
def test_operators_become_conditions(filters: dict[str, Any], expected: Condition) -> None:
    assert filter_condition(filters, CONFIG) == All((expected,))


def test_several_operators_must_all_hold() -> None:
    asked = {"year": {"gte": 2020, "exists": True, "not": 2022}}
    assert filter_condition(asked, CONFIG) == All(
        (Exists("meta.year"), Not(All((Match("meta.year", 2022),))), Range("meta.year", gte=2020))
    )


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"year": "2024"}, "'year' (integer): is an integer field, and '2024' is no whole number"),
        ({"year": True}, "is an integer field, and True is no whole number"),
        ({"year": 2024.5}, "is an integer field, and 2024.5 is no whole number"),
        ({"year": 2**63}, "no whole number of 64 bits"),
        ({"year": [2024, None]}, "None is no whole number"),
        ({"year": {"gte": Untyped("soon")}}, "'soon' is no whole number"),
        (
            {"year": {"around": 2024}},
            "has no operator 'around'; allowed: a value, a list of values, gt, gte, lt",
        ),
        ({"year": {"from": 2024}}, "has no operator 'from'"),
        ({"year": {}}, "is compared with nothing"),
        ({"year": {"gte": 2024, "lt": 2024}}, "is asked for an empty range (gte: 2024, lt: 2024)"),
        ({"year": {"gt": 2023, "lt": 2024}}, "is asked for an empty range"),
        ({"year": {"gte": 2025, "lte": 2024}}, "is asked for an empty range"),
        ({"year": {"exists": "yes"}}, "exists is 'yes'; write true or false"),
        ({"year": {"not": {"not": 2024}}}, "has a not within a not"),
        ({"price": "9.5"}, "is a float field, and '9.5' is no number"),
        ({"price": math.nan}, "is no number"),
        ({"price": 10**400}, "is no number"),
        ({"price": {"gt": 1.5, "lte": 1.5}}, "is asked for an empty range"),
        ({"draft": 1}, "is a boolean field, and 1 is neither true nor false"),
        ({"draft": {"gt": False}}, "has no operator 'gt'"),
        ({"updated": 2024}, "is a datetime field, and 2024 is no text such as 2026-01-31"),
        ({"updated": "soon"}, "'soon' is not an ISO 8601 date; write 2026-01-31"),
        ({"updated": {"from": "0001-01-01T00:00+14:00"}}, "is not an ISO 8601 date"),
        ({"updated": {"from": "2024-05-01", "gte": "2024-05-01"}}, "both 'from' and 'gte'"),
        ({"updated": {"from": "2024-05-02", "to": "2024-05-01"}}, "is asked for an empty range"),
        ({"product": {"gte": "a"}}, "{field: product, type: integer, float or datetime}"),
        ({"product": 1.5}, "a keyword is a text, a whole number or a truth value"),
        ({"product": [["a"]]}, "a keyword is a text, a whole number or a truth value"),
    ],
)
def test_what_the_field_cannot_be_asked_is_an_error(filters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"index 'knowledge', filter field '\w+' \(\w+\): ") as caught:
        filter_condition(filters, CONFIG)
    assert message in str(caught.value)
    assert "allowed: a value, a list of values" in str(caught.value)


def test_a_range_that_holds_one_value_is_none_of_the_empty_ones() -> None:
    for asked in ({"gte": 5, "lte": 5}, {"gt": 4, "lt": 6}, {"gt": 4, "lte": 5}):
        filter_condition({"year": asked, "price": asked}, CONFIG)
    filter_condition({"updated": {"from": "2024-05-01", "to": "2024-05-01"}}, CONFIG)


YEARS: tuple[Any, ...] = (None, 2019, 2020, 2024, "2024", True, [2019, 2024], [])
PRICES = (None, 1, 1.5, 2.25, "1.5", False, [0.5, 3])
FLAGS = (None, True, False, "true", 1, [True, False])
MOMENTS: tuple[Any, ...] = (
    None,
    "2024-05-01",
    "2024-05-01T23:59:59.999999Z",
    "2024-05-02T00:30:00+02:00",
    "May",
    5,
    [],
)
PRODUCTS = (None, "a", "b", 5, ["a", "c"], "")


def random_metadata(rng: random.Random) -> dict[str, Any]:
    made = {
        "product": rng.choice(PRODUCTS),
        "year": rng.choice(YEARS),
        "price": rng.choice(PRICES),
        "draft": rng.choice(FLAGS),
        "updated": rng.choice(MOMENTS),
        "release date": rng.choice(MOMENTS),
    }
    return {key: value for key, value in made.items() if rng.random() < 0.85}


def random_filters(rng: random.Random) -> dict[str, Any]:
    days = ("2024-04-30", "2024-05-01", "2024-05-02", "2024-05-01T22:30:00Z")
    known: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
        "product": (("a", "b", "c", 5, ""), ()),
        "year": ((2018, 2019, 2020, 2024), ("gt", "gte", "lt", "lte")),
        "price": ((0.5, 1.0, 1.5, 2.25), ("gt", "gte", "lt", "lte")),
        "draft": ((True, False), ()),
        "updated": (days, ("gt", "gte", "lt", "lte", "from", "to")),
        "release date": (days, ("gt", "lt", "from", "to")),
    }
    asked: dict[str, Any] = {}
    for field in rng.sample(sorted(known), rng.randint(1, 2)):
        values, bounds = known[field]
        choices: list[Any] = [
            rng.choice(values),
            rng.sample(values, 2),
            {"exists": rng.random() < 0.5},
            {"not": rng.choice(values)},
        ]
        if bounds:
            one, other = rng.sample(bounds, 2)
            choices += [{one: rng.choice(values)}, {one: values[0], other: values[-1]}]
            choices += [{"not": {one: rng.choice(values)}}]
        asked[field] = rng.choice(choices)
    return asked


def fulfils(metadata: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    """What a filter means, from what was asked and with nothing of the program."""
    return all(_asked(metadata.get(field), wanted, field) for field, wanted in filters.items())


def _asked(found: Any, wanted: Any, field: str) -> bool:
    values = found if isinstance(found, list) else [] if found is None else [found]
    if not isinstance(wanted, dict):
        either = wanted if isinstance(wanted, list) else [wanted]
        return any(_equal(value, one, field) for value in values for one in either)
    told = dict(wanted)
    if "exists" in told and told.pop("exists") != bool(values):
        return False
    if "not" in told and _asked(found, told.pop("not"), field):
        return False
    return not told or any(_within(value, told, field) for value in values)


def _equal(value: Any, wanted: Any, field: str) -> bool:
    if field in ("updated", "release date"):
        return _within(value, {"from": wanted, "to": wanted}, field)
    if field == "price":
        return type(value) in (int, float) and value == wanted
    return type(value) is type(wanted) and bool(value == wanted)


def _within(value: Any, bounds: Mapping[str, Any], field: str) -> bool:
    dated = field in ("updated", "release date")
    if dated and (not isinstance(value, str) or not value[:1].isdigit()):
        return False
    if not dated and type(value) not in (int, float):
        return False
    if field == "year" and not isinstance(value, int):
        return False
    at: Any = _moment(value)[0] if dated else value
    holds = True
    for key, bound in bounds.items():
        first, last = _moment(bound) if dated else (bound, bound)
        holds &= {
            "gt": at > last,
            "gte": at >= first,
            "from": at >= first,
            "lt": at < first,
            "lte": at <= last,
            "to": at <= last,
        }[key]
    return holds


def _moment(text: str) -> tuple[datetime, datetime]:
    """First and last microsecond of what the text names."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole_day = timedelta(days=1) - timedelta(microseconds=1)
    return moment, moment + (whole_day if len(text) == 10 else timedelta(0))


def accepted(filters: Mapping[str, Any]) -> Condition | None:
    """None for a random range that nothing can lie in, or that is bounded twice by the same."""
    try:
        return filter_condition(filters, CONFIG)
    except ConfigError as error:
        if "empty range" in str(error) or "mean the same" in str(error):
            return None
        raise


DOCUMENTS = [random_metadata(random.Random(seed)) for seed in range(300)]


@pytest.fixture(scope="module", params=["edge", "optimized edge", "local"])
def collection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CollectionWriter]:
    local = request.param == "local"
    engine = (
        ServerEngine(None, location=":memory:") if local else EdgeEngine(tmp_path_factory.mktemp("engine"))
    )
    writer = engine.writer("typed", SPACE)
    vector = np.array([1, 0], np.float32)
    writer.upsert(
        [Point(make_id(n), vector, None, {"meta": metadata}) for n, metadata in enumerate(DOCUMENTS)]
    )
    if request.param == "optimized edge":
        writer.optimize()
    yield writer
    writer.close()
    engine.close()


@pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")
def test_both_engines_find_what_brute_force_finds(collection: CollectionWriter) -> None:
    rng = random.Random(20)
    sizes = set()
    for _ in range(400):
        filters = random_filters(rng)
        condition = accepted(filters)
        if condition is None:
            continue
        expected = {make_id(n) for n, metadata in enumerate(DOCUMENTS) if fulfils(metadata, filters)}
        assert {point.point_id for point in collection.scroll(condition)} == expected, filters
        sizes.add(len(expected))
    assert len(sizes) > 40, "the filters must tell documents apart"


def test_a_fraction_in_an_integer_field_is_not_found_by_the_embedded_engine(tmp_path: Any) -> None:
    engine = EdgeEngine(tmp_path)
    writer = engine.writer("typed", SPACE)
    vector = np.array([1, 0], np.float32)
    writer.upsert([Point(make_id(n), vector, None, {"meta": {"year": y}}) for n, y in enumerate((5, 5.5, 6))])
    condition = filter_condition({"year": {"gte": 5}}, CONFIG)
    assert {point.point_id for point in writer.scroll(condition)} == {make_id(0), make_id(2)}
    writer.close()
    engine.close()


def test_a_plain_list_keeps_its_collections_and_types_do_not() -> None:
    from rag_pipelines.core.types import Distance

    plain = ("m", 384, Distance.COSINE, "s", ("media_type", "language", "meta.product"))
    before = space_fingerprint(*plain)
    assert before == "dcd88e996cfb26da"
    assert space_fingerprint(*plain, typed_fields({"integer_fields": [], "datetime_fields": []})) == before
    assert space_fingerprint(*plain, typed_fields({"integer_fields": ["meta.year"]})) != before
    one, other = ({f"{kind}_fields": ["meta.year"]} for kind in ("integer", "float"))
    assert space_fingerprint(*plain, typed_fields(one)) != space_fingerprint(*plain, typed_fields(other))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (["product", {"field": "product", "type": "keyword"}], "declared more than once"),
        (['a"b'], "quotation mark"),
        ([{"field": "year", "type": "number"}], "'keyword', 'integer', 'float', 'boolean' or 'datetime'"),
        ([{"field": "year"}], "Field required"),
    ],
)
def test_declarations_that_cannot_be_meant(declared: list[Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        IndexConfig.model_validate({"index": "knowledge", "filter_fields": declared})


def test_declared_types_through_the_whole_pipeline(parts: Parts, tmp_path: Any) -> None:
    project = Project(tmp_path / "project", parts=parts)
    rows = [
        ("old", {"year": 2019, "updated": "2024-04-30"}),
        ("new", {"year": 2024, "updated": "2024-05-01T10:00:00Z", "owner": "ana"}),
        ("text", {"year": "2024"}),
    ]
    for name, metadata in rows:
        project.source(name, metadata=metadata)
        project.write(f"{name}.md", f"# Pump\n\nThe {name} pump has a valve.\n", name)
    types = [{"field": "year", "type": "integer"}, {"field": "updated", "type": "datetime"}]
    project.index("knowledge", filter_fields=["owner", *types])
    project.sync()

    def found(**filters: Any) -> list[str]:
        return sorted(project.uris("pump", filters=filters))

    assert found(year={"gte": 2020}) == ["new.md"]
    assert found(year=[2019, 2024]) == ["new.md", "old.md"]
    assert found(updated={"to": "2024-04-30"}) == ["old.md"]
    assert found(owner={"exists": False}) == ["old.md", "text.md"]
    assert found(year={"not": 2024}) == ["old.md", "text.md"]
    with project.searchers() as searchers:
        _, reader, _ = searchers.get("knowledge").scroll_reader(None)
        assert reader.count(Exists("meta.year")) == 3
    with pytest.raises(ConfigError, match=r"\(integer\): is an integer field"):
        project.search("pump", filters={"year": "2024"}, principal=OPERATOR)
