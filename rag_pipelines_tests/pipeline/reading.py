"""Reads a version whole, as somebody, and holds every point against the text that it cites."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rag_pipelines.catalog import points as point_rows
from rag_pipelines.core.filters import All
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.ports import CollectionReader
from rag_pipelines.core.types import OPERATOR, Principal
from rag_pipelines.governance.access import access_condition
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.retrieval.search import Searcher
from rag_pipelines_tests.pipeline.model import Key, words

MANY = 20


class Reading:
    """A searcher, and the stored texts that it is held against."""

    def __init__(self, searcher: Searcher, workspace: Workspace) -> None:
        self.searcher = searcher
        self.workspace = workspace
        self._parsed: dict[str, str] = {}

    def read(self, number: int, principal: Principal) -> dict[Key, str]:
        """Document -> words of a version, each point held against the stored text that it cites."""
        found, reader, shown = self.searcher.scroll_reader(number)
        assert found == number
        spans: dict[Key, list[tuple[int, int]]] = {}
        texts: dict[Key, str] = {}
        try:
            for point in reader.scroll(All((shown, access_condition(principal)))):
                payload = point.payload
                key = (payload["source"], payload["uri"])
                assert payload["doc_id"] == document_id(*key)
                text = texts.setdefault(key, self._text(payload["parsed_hash"]))
                assert text == self._text(payload["parsed_hash"]), (
                    f"{key} mixes two texts in version {number}"
                )
                assert text[payload["start"] : payload["end"]] == payload["text"]
                spans.setdefault(key, []).append((payload["start"], payload["end"]))
        finally:
            self._release(reader)
        for key, parts in spans.items():
            parts.sort()
            assert all(end <= start for (_, end), (start, _) in itertools.pairwise(parts)), key
            assert words(" ".join(texts[key][a:b] for a, b in parts)) == words(texts[key]), f"{key} has holes"
            stored = point_rows.parsed_at(
                self.workspace.catalog, document_id(*key), self.searcher.config.index, number
            )
            assert stored is not None
            assert self._text(stored) == texts[key]
        return {key: words(text) for key, text in texts.items()}

    def search(self, live: int | None, principals: Sequence[Principal]) -> None:
        """A search answers from the live version only, what its principal may read."""
        for principal in (OPERATOR, *principals):
            result = self.searcher.search("pumps and valves", MANY, principal)
            assert result.version == live
            readable = self.read(result.version, principal)
            for passage in result.passages:
                assert words(passage.text) in readable[passage.citation.source, passage.citation.uri]
            found = {(passage.citation.source, passage.citation.uri) for passage in result.passages}
            for passage in result.passages:
                placed = [place for place in passage.locations if place.start is not None]
                found |= {(place.source, place.uri) for place in placed}
            assert found == {*readable} or len(result.passages) == MANY

    def _release(self, reader: CollectionReader) -> None:
        _, current, _ = self.searcher.scroll_reader(None)
        if reader is not current:
            reader.close()

    def _text(self, parsed_hash: str) -> str:
        if parsed_hash not in self._parsed:
            self._parsed[parsed_hash] = self.workspace.blobs.get_parsed(parsed_hash).text
        return self._parsed[parsed_hash]
