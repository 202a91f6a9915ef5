"""What every connector promises. A connector's test subclasses it and overrides the fixture `corpus`."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from typing import Protocol

import pytest

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure, Source
from rag_pipelines.core.types import Excluded, RawDocument, SourceItem

THREE = {"a.md": "alpha", "guide/b.md": "beta", "guide/deep/c.md": "gamma"}
UNICODE = {
    "über/naïve café 文書.md": "Grüße, 世界",
    'it\'s "quoted" #1 100%25 ?.md': "odd name",
    "two  spaces .md": "spaces",
}


class Corpus(Protocol):
    """The place that a source reads. Names ending in `.tmp` are left out by the source's configuration."""

    has_probe: bool

    def put(self, changes: Mapping[str, str | None]) -> None:
        """Write documents, or delete those that are None; an empty mapping makes an empty corpus exist."""

    def open(self) -> Source:
        """The connector, opened anew on the same work directory."""

    def open_broken(self) -> Source:
        """The connector, pointed at what is not there."""


def items(source: Source) -> list[SourceItem]:
    """Those rows of a listing that are documents."""
    return [row for row in source.list() if isinstance(row, SourceItem)]


def versions(source: Source) -> dict[str, str]:
    """uri -> version of a listing."""
    return {item.uri: item.version for item in items(source)}


def texts(source: Source, wanted: list[SourceItem]) -> dict[str, str]:
    """uri -> text of what was fetched; fails on a FetchFailure."""
    found = {}
    for result in source.fetch(wanted):
        assert isinstance(result, RawDocument), result
        found[result.uri] = result.data.decode()
    return found


def reasons(source: Source) -> dict[str, str]:
    """uri -> reason of what a listing leaves out."""
    return {row.uri: row.reason for row in source.list() if isinstance(row, Excluded)}


class SourceConformance:
    """Runs against `corpus`."""

    @pytest.fixture
    def corpus(self) -> Corpus:
        raise NotImplementedError("override the fixture")

    def test_lists_every_document_once_and_the_same_again(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        source = corpus.open()
        first = list(source.list())
        assert sorted(row.uri for row in first) == sorted(THREE)
        assert list(source.list()) == first
        assert list(corpus.open().list()) == first
        source.close()

    def test_states_sizes_in_bytes(self, corpus: Corpus) -> None:
        corpus.put({"a.md": "äöü"})
        assert [item.size for item in items(corpus.open())] == [6]

    def test_an_edit_changes_the_version_of_that_document_alone(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        source = corpus.open()
        before = versions(source)
        corpus.put({"a.md": "ALPHA"})
        after = versions(source)
        assert after["a.md"] != before["a.md"]
        assert {uri: after[uri] for uri in after if uri != "a.md"} == {
            uri: before[uri] for uri in before if uri != "a.md"
        }

    def test_added_and_deleted_documents_show_in_the_next_listing(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        source = corpus.open()
        assert set(versions(source)) == set(THREE)
        corpus.put({"a.md": None, "new.md": "delta"})
        assert set(versions(source)) == {"guide/b.md", "guide/deep/c.md", "new.md"}

    def test_fetch_gives_the_bytes_in_the_order_asked_for(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        source = corpus.open()
        wanted = items(source)[::-1]
        assert list(texts(source, wanted).items()) == [(item.uri, THREE[item.uri]) for item in wanted]
        assert list(source.fetch([])) == []

    def test_fetch_works_in_another_process_than_the_listing(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        wanted = items(corpus.open())
        fetched = list(corpus.open().fetch(wanted))
        assert [(raw.uri, raw.version) for raw in fetched if isinstance(raw, RawDocument)] == [
            (item.uri, item.version) for item in wanted
        ]

    def test_fetch_says_of_which_version_the_bytes_are(self, corpus: Corpus) -> None:
        corpus.put({"a.md": "one"})
        source = corpus.open()
        listed = items(source)
        corpus.put({"a.md": "two"})
        (raw,) = source.fetch(listed)
        assert isinstance(raw, RawDocument)
        now = versions(corpus.open())["a.md"]
        assert (raw.data, raw.version) in [(b"one", listed[0].version), (b"two", now)]

    def test_a_vanished_document_fails_alone(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        wanted = items(corpus.open())
        corpus.put({"guide/b.md": None})
        results = list(corpus.open().fetch(wanted))
        failures = [result for result in results if isinstance(result, FetchFailure)]
        assert [failure.item.uri for failure in failures] == ["guide/b.md"]
        assert "gone" in str(failures[0].error)
        assert not failures[0].error.transient
        assert [result.uri for result in results if isinstance(result, RawDocument)] == [
            item.uri for item in wanted if item.uri != "guide/b.md"
        ]

    def test_probe_differs_after_each_change_and_only_then(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        source = corpus.open()
        if not corpus.has_probe:
            assert source.probe() is None
            return
        first = source.probe()
        assert first is not None
        list(source.list())
        assert source.probe() == first == corpus.open().probe()
        seen = [first]
        for change in ({"new.md": "delta"}, {"a.md": "ALPHA"}, {"guide/b.md": None}):
            corpus.put(change)
            token = source.probe()
            assert token not in seen
            seen.append(str(token))

    def test_a_source_that_is_not_there_raises(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        for call in (lambda source: source.probe(), lambda source: list(source.list())):
            with pytest.raises(SourceError) as raised:
                call(corpus.open_broken())
            assert not raised.value.transient
            assert ";" in str(raised.value)

    def test_an_empty_source_is_empty_and_no_error(self, corpus: Corpus) -> None:
        corpus.put({})
        source = corpus.open()
        assert items(source) == []
        source.probe()
        corpus.put({"a.md": "alpha"})
        assert [item.uri for item in items(source)] == ["a.md"]

    def test_what_is_left_out_has_a_reason(self, corpus: Corpus) -> None:
        corpus.put({"a.md": "alpha", "draft.tmp": "left out"})
        rows = list(corpus.open().list())
        assert [row.uri for row in rows if isinstance(row, SourceItem)] == ["a.md"]
        (left_out,) = [row for row in rows if isinstance(row, Excluded)]
        assert left_out.uri == "draft.tmp"
        assert len(left_out.reason) > 10

    def test_names_in_any_script_survive(self, corpus: Corpus) -> None:
        corpus.put(UNICODE)
        source = corpus.open()
        listed = items(source)
        assert {item.uri for item in listed} == set(UNICODE)
        assert texts(source, listed) == UNICODE

    def test_items_cannot_be_changed(self, corpus: Corpus) -> None:
        corpus.put({"a.md": "alpha"})
        (item,) = items(corpus.open())
        with pytest.raises(FrozenInstanceError):
            item.version = "other"  # type: ignore[misc]

    def test_an_abandoned_listing_leaves_no_trace(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        source = corpus.open()
        listing = iter(source.list())
        next(listing)
        assert set(versions(source)) == set(THREE)
        del listing
        assert texts(source, items(source)) == THREE

    def test_two_at_once_see_the_same(self, corpus: Corpus) -> None:
        corpus.put(THREE)
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda _: versions(corpus.open()), range(2))
        assert one == other
        assert set(one) == set(THREE)
