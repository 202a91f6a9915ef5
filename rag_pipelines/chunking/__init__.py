"""Cuts parsed documents into chunks with exact offsets, in sizes of the embedding model's own tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_pipelines.chunking.atoms import normalized
from rag_pipelines.chunking.bounded import Counted, bounded, encodable
from rag_pipelines.chunking.headings import Span, by_headings, by_parents
from rag_pipelines.chunking.outline import Outline, header
from rag_pipelines.chunking.ruler import Ruler
from rag_pipelines.chunking.windows import by_sentences, by_tokens
from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.errors import ChunkError
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ids import chunk_id, content_hash
from rag_pipelines.core.ports import Tokenizer
from rag_pipelines.core.types import Chunk, Element, ParsedDocument

CODE = 1
"""Raise it with every change that moves a boundary or alters a field of a chunk."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to cut, and those settings of the rule that it reads."""

    cut: Callable[[Ruler, Sequence[Element], ChunkingRule], list[Span]]
    settings: tuple[str, ...]


STRATEGIES: dict[str, Strategy] = {
    "headings": Strategy(by_headings, ("max_tokens",)),
    "tokens": Strategy(by_tokens, ("max_tokens", "overlap_tokens")),
    "sentences": Strategy(by_sentences, ("max_tokens", "window_sentences", "stride_sentences")),
    "hierarchical": Strategy(by_parents, ("max_tokens", "parent_tokens")),
}


def chunk_documents(
    documents: Sequence[tuple[str, ParsedDocument]], rule: ChunkingRule, tokenizer: Tokenizer
) -> list[list[Chunk]]:
    """The chunks of each (doc_id, document), in the order of the text.

    Every character that is not white space is in at least one chunk, no chunk is over `max_tokens`, and equal
    input gives equal chunks whatever else is in the batch. A document without text has no chunks.
    Raises ChunkError where the tokenizer does not answer for every text.
    """
    strategy = STRATEGIES[rule.strategy]
    offsets = tokenizer.offsets([encodable(parsed.text) for _, parsed in documents])
    if len(offsets) != len(documents):
        raise ChunkError(
            f"the tokenizer answered for {len(offsets)} of {len(documents)} texts; "
            "check the embedding model that the index names"
        )
    rulers = [Ruler(parsed.text, own) for (_, parsed), own in zip(documents, offsets, strict=True)]
    elements = [
        normalized(ruler, parsed.elements) for ruler, (_, parsed) in zip(rulers, documents, strict=True)
    ]
    spans = [strategy.cut(ruler, own, rule) for ruler, own in zip(rulers, elements, strict=True)]
    counted = bounded(rulers, spans, rule.max_tokens, tokenizer)
    return [
        _chunks(doc_id, parsed, Outline(parsed.text, own), pieces, rule.context_header)
        for (doc_id, parsed), own, pieces in zip(documents, elements, counted, strict=True)
    ]


def _chunks(
    doc_id: str, parsed: ParsedDocument, outline: Outline, pieces: Sequence[Counted], with_header: bool
) -> list[Chunk]:
    chunks: list[Chunk] = []
    seen: Counter[str] = Counter()
    for ordinal, (span, tokens) in enumerate(pieces):
        text = parsed.text[span.start : span.end]
        text_hash = content_hash(text)
        path = outline.path(span.start)
        above = header(parsed.title, path) if with_header else ""
        parent_start, parent_end = span.parent or (None, None)
        chunks.append(
            Chunk(
                chunk_id=chunk_id(doc_id, text_hash, seen[text_hash]),
                doc_id=doc_id,
                ordinal=ordinal,
                text=text,
                start=span.start,
                end=span.end,
                text_hash=text_hash,
                embed_hash=content_hash(f"{above}\n{text}") if above else text_hash,
                tokens=tokens,
                page=outline.page(span.start),
                heading_path=path,
                header=above,
                parent_start=parent_start,
                parent_end=parent_end,
            )
        )
        seen[text_hash] += 1
    return chunks


def chunker_fingerprint(rule: ChunkingRule, tokenizer_name: str) -> str:
    """Of the code, the tokenizer and those settings that the rule's strategy reads."""
    return fingerprint("chunk", CODE, {"tokenizer": tokenizer_name, **_settings(rule)})


def chunker_name(rule: ChunkingRule) -> str:
    """For people and citations, such as `headings/1 max_tokens=220`."""
    settings = _settings(rule)
    strategy = settings.pop("strategy")
    return " ".join([f"{strategy}/{CODE}", *(f"{key}={value}" for key, value in settings.items())])


def _settings(rule: ChunkingRule) -> dict[str, str | int | bool]:
    names = STRATEGIES[rule.strategy].settings
    return {
        "strategy": rule.strategy,
        **{name: getattr(rule, name) for name in names},
        "context_header": rule.context_header,
    }
