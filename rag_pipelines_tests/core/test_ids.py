"""The literals here stand in stored indexes: a failing test means that every one of them is orphaned."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipelines.core.ids import (
    NAMESPACE,
    chunk_id,
    content_hash,
    document_id,
    partition_key,
    point_id,
    shard_of,
)

LEAVE = "509163de-9a59-56d8-bc6a-2a36c9374202"
HELLO = "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969"
TEXTS = st.text(st.characters())


@pytest.mark.parametrize(
    ("source", "uri", "expected"),
    [
        ("handbook", "policies/leave.md", LEAVE),
        ("handbook", "Größe ✓/a b.md", "21bf6f6a-394a-50da-8984-b4dfa7430e8a"),
        ("s", "\udcff", "f98a770f-6120-5436-8ae0-80b709ed90b7"),
    ],
)
def test_document_ids_never_change(source: str, uri: str, expected: str) -> None:
    assert document_id(source, uri) == expected


def test_chunk_and_point_ids_never_change() -> None:
    first = "c198e59f-0b56-52ed-94c3-47b7c6c94fa0"
    assert chunk_id(LEAVE, HELLO, 0) == first
    assert chunk_id(LEAVE, HELLO, 1) == "7b655cdc-e27f-51ec-ba21-d5c21d7e5d66"
    assert point_id(first, 1) == "e63b86e3-3f26-5a1b-bd5f-132c3ad5568e"
    assert point_id(first, 2) == "e7fabb42-c151-5f3a-8e7a-437228fe7586"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Hello", HELLO),
        (b"Hello", HELLO),
        ("é", "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"),
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("\ud800", "91a681b998555fb475479817b126c94e57e52011fa1842c5d188795a4a05226b"),
    ],
)
def test_content_hashes_never_change(content: str | bytes, expected: str) -> None:
    assert content_hash(content) == expected


@given(st.from_regex(r"[a-z]{1,9}", fullmatch=True), TEXTS.filter(lambda text: text.isprintable()))
def test_document_ids_are_uuid5_of_source_and_uri(source: str, uri: str) -> None:
    assert document_id(source, uri) == str(uuid.uuid5(NAMESPACE, f"{source}\n{uri}"))


@given(TEXTS, TEXTS)
def test_two_uris_never_share_an_id(one: str, other: str) -> None:
    assert (document_id("s", one) == document_id("s", other)) == (one == other)
    assert document_id("a", one) != document_id("b", one)


@given(TEXTS)
def test_text_hashes_as_its_utf8(text: str) -> None:
    assert content_hash(text) == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@pytest.mark.parametrize(("shards", "expected"), [(1, 0), (4, 2), (16, 2), (64, 2), (7, 3)])
def test_shards_never_change(shards: int, expected: int) -> None:
    assert int("c9374202", 16) % shards == expected
    assert shard_of(LEAVE, shards) == expected


def test_shards_are_even() -> None:
    found = Counter(shard_of(document_id("s", f"{number}.md"), 16) for number in range(16_000))
    assert sorted(found) == list(range(16))
    assert min(found.values()) > 850
    assert max(found.values()) < 1150


def test_partition_keys_sort_as_numbers_do() -> None:
    assert partition_key("handbook", 7) == "handbook/07"
    keys = [partition_key("handbook", shard) for shard in range(64)]
    assert keys == sorted(keys)
