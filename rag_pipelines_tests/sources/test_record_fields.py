from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from rag_pipelines.core.types import Classification, RawDocument
from rag_pipelines.sources import OpenContext
from rag_pipelines.sources.record_fields import RecordFields, RecordMapper, Unusable
from rag_pipelines_tests.sources.conformance import items
from rag_pipelines_tests.sources.openers import (
    open_records,
    write_jsonl,
)

TICKETS = [
    {
        "key": "T-1",
        "fields": {"summary": "Printer on fire", "labels": ["hardware", "urgent"], "assignee": None},
        "body": "It burns.",
        "comments": ["Call 112.", "Done."],
        "url": "https://tickets.acme.example/T-1",
        "updated": "2026-03-01T12:00:00+02:00",
        "readers": ["group:it", "user:ada"],
        "team": "acme",
        "level": "Confidential",
    },
    {
        "key": "T-2",
        "fields": {"summary": "  "},
        "body": "No title.",
        "url": "x",
        "team": "acme",
        "level": "public",
    },
]


MAPPED = {
    "id": "key",
    "title": "fields.summary",
    "text": ["body", "comments"],
    "uri": "url",
    "metadata": {"labels": "fields.labels", "assignee": "fields.assignee", "team": "team"},
    "acl": "readers",
    "modified_at": "updated",
    "tenant": "team",
    "classification": "level",
}


def test_every_field_is_mapped(context: OpenContext) -> None:
    write_jsonl(context.base_dir / "tickets.jsonl", TICKETS)
    source = open_records(context, "tickets.jsonl", MAPPED, media_type="text/markdown")
    first, second = items(source)
    assert first.uri == "https://tickets.acme.example/T-1"
    assert first.metadata == {"labels": ["hardware", "urgent"], "team": "acme"}
    assert first.acl == ("group:it", "user:ada")
    assert first.tenant == "acme"
    assert first.classification is Classification.CONFIDENTIAL
    assert first.modified_at == datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    assert first.size == len(b"# Printer on fire\n\nIt burns.\n\nCall 112.\nDone.")
    assert second.acl is None
    raw, untitled = source.fetch([first, second])
    assert isinstance(raw, RawDocument)
    assert isinstance(untitled, RawDocument)
    assert raw == RawDocument(
        uri=first.uri,
        version=first.version,
        data=b"# Printer on fire\n\nIt burns.\n\nCall 112.\nDone.",
        name="T-1.md",
        media_type="text/markdown",
        title="Printer on fire",
        link="https://tickets.acme.example/T-1",
    )
    assert (untitled.title, untitled.link) == (None, None)


@pytest.mark.parametrize(
    ("value", "acl"),
    [
        (["group:a", "user:b"], ("group:a", "user:b")),
        ("group:a, user:b,", ("group:a", "user:b")),
        ("*", ("*",)),
        ([], ()),
        ("", ()),
        (None, None),
    ],
)
def test_acl(value: object, acl: tuple[str, ...] | None) -> None:
    mapper = RecordMapper(RecordFields(id="id", text="text", acl="acl"), "text/plain", None)
    record = mapper.map({"id": "1", "text": "x", "acl": value})
    assert not isinstance(record, Unusable)
    assert record.acl == acl


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("acl", "staff", "acl entry 'staff'"),
        ("acl", {"group": "a"}, "neither a list"),
        ("level", "secret", "classification 'secret' is not one of public"),
        ("tenant", "*", "no tenant"),
        ("tenant", None, "no tenant"),
        ("when", "yesterday", "modification time 'yesterday'"),
        ("text", " \n", "no text"),
        ("url", None, "no uri"),
    ],
)
def test_a_record_whose_rights_or_fields_cannot_be_read_is_left_out(
    field: str, value: object, reason: str
) -> None:
    fields = RecordFields(
        id="id",
        text="text",
        uri="url",
        acl="acl",
        classification="level",
        tenant="tenant",
        modified_at="when",
    )
    good = {"id": "1", "text": "x", "url": "u", "acl": "*", "level": "public", "tenant": "acme", "when": 0}
    mapper = RecordMapper(fields, "text/plain", None)
    assert not isinstance(mapper.map(good), Unusable)
    found = mapper.map({**good, field: value})
    assert isinstance(found, Unusable)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1_700_000_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("", None),
    ],
)
def test_modification_times(value: object, expected: datetime | None) -> None:
    mapper = RecordMapper(RecordFields(id="id", text="text", modified_at="when"), "text/plain", None)
    record = mapper.map({"id": "1", "text": "x", "when": value})
    assert not isinstance(record, Unusable)
    assert record.modified_at == expected


def test_what_changes_the_version(context: OpenContext) -> None:
    base = {"id": "1", "text": "x", "title": "t", "team": "a", "acl": ["group:a"], "views": 1}
    fields = {"id": "id", "text": "text", "title": "title", "metadata": ["team"], "acl": "acl"}

    def version(row: dict[str, Any], fields: dict[str, Any] = fields, **params: Any) -> str:
        write_jsonl(context.base_dir / "r.jsonl", [row])
        return items(open_records(context, "r.jsonl", fields, **params))[0].version

    first = version(base)
    assert version({**base, "views": 2}) == first
    assert version(dict(reversed(base.items()))) == first
    assert version({**base, "acl": ["group:b"]}) == first
    others = {
        version({**base, "text": "y"}),
        version({**base, "title": "u"}),
        version({**base, "team": "b"}),
        version(base, {**fields, "metadata": []}),
        version(base, media_type="text/html"),
    }
    assert len(others | {first}) == 6
    stated = version(base, version_field="views")
    assert version({**base, "text": "y"}, version_field="views") == stated
    assert version({**base, "views": 2}, version_field="views") != stated


@pytest.mark.parametrize(
    ("media_type", "title", "text", "expected"),
    [
        ("text/plain", "Gears", "They turn.", b"Gears\n=====\n\nThey turn."),
        ("text/plain", "A", "They turn.", b"A\n===\n\nThey turn."),
        ("text/plain", "Two\n lines", "x", b"Two lines\n=========\n\nx"),
        ("text/plain", "g" * 121, "x", b"g" * 121 + b"\n\n\nx"),
        ("text/plain", "Gears", "Gears turn.", b"Gears turn."),
        ("text/markdown", "Gears", "They turn.", b"# Gears\n\nThey turn."),
        ("text/html", "Gears", "<p>They turn.</p>", b"<p>They turn.</p>"),
        ("text/plain", "", "They turn.", b"They turn."),
    ],
)
def test_title_is_part_of_the_text(media_type: str, title: str, text: str, expected: bytes) -> None:
    mapper = RecordMapper(RecordFields(id="id", text="text", title="title"), media_type, None)
    record = mapper.map({"id": "1", "text": text, "title": title})
    assert not isinstance(record, Unusable)
    assert record.data == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"a": 1, "b": ["x"]}, {"a": 1, "b": ["x"]}), ("plain", {"meta": "plain"}), (None, {})],
)
def test_one_field_may_hold_all_metadata(value: object, expected: dict[str, Any]) -> None:
    mapper = RecordMapper(RecordFields(id="id", text="text", metadata="meta"), "text/plain", None)
    record = mapper.map({"id": "1", "text": "x", "meta": value})
    assert not isinstance(record, Unusable)
    assert record.metadata == expected
