"""How much of a document's bytes becomes text, and how much of its text is in its bytes, on real documents.

    python -m rag_pipelines_tests.benchmarks.text_words

Prints quantiles of both shares of distinct words, of documents with enough words to tell, and the share that the text
of one document has in the bytes of another: what `min_own_words` and `min_kept_words` have to tell apart.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rag_pipelines.config.models import ParsingLimits
from rag_pipelines.core.ports import ParseTask
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines.quality.measures import Words, against_bytes, shared, words, words_of_bytes
from rag_pipelines_tests.benchmarks.streams import STREAMS, open_stream
from rag_pipelines_tests.shared_data import shared_data_or_none

QUANTILES = (0.0, 0.01, 0.05, 0.5, 0.95)
EVERY = 4
"""Of the product documentation, one page in so many."""


def corpora(scratch: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Name, and bytes by file name, of each corpus that is here."""
    archive = shared_data_or_none("retrieval", "awsdocs_dev", "documents.tar.xz")
    if archive is not None:
        with tarfile.open(archive) as opened:
            members = [one for one in opened if one.isfile() and one.name.endswith(".md")][::EVERY]
            read = ((one.name, opened.extractfile(one)) for one in members)
            yield "awsdocs", {name: stream.read() for name, stream in read if stream is not None}
    for name in STREAMS:
        if shared_data_or_none("streams", f"{name}.bundle") is not None:
            stream = open_stream(name, scratch)
            tree = {
                path: blob for path, blob in stream.tree("HEAD").items() if path.endswith((".md", ".rst"))
            }
            yield name, dict(zip(tree, stream.blobs([*tree.values()]), strict=True))
    pages = shared_data_or_none("documents", "article-extraction", "html")
    if pages is not None:
        yield (
            "web pages",
            {path.stem: gzip.decompress(path.read_bytes()) for path in sorted(pages.glob("*.gz"))},
        )


def measure(parser: SandboxedParser, files: dict[str, bytes]) -> dict[str, object]:
    """Quantiles of the three shares."""
    texts: list[frozenset[str]] = []
    data: list[Words] = []
    for outcome in parser.parse(ParseTask(name, raw, Path(name).name) for name, raw in files.items()):
        if outcome.document is not None:
            found = words_of_bytes(files[outcome.key], outcome.document.media_type)
            if found is not None:
                texts.append(words(outcome.document.text))
                data.append(found)
    judged = [against_bytes(text, found) for text, found in zip(texts, data, strict=True)]
    chance = random.Random(1)
    other = [shared(text, data[chance.randrange(len(data))].written) for text in texts if len(text) >= 50]
    shares = {
        "own": [own for own, kept in judged if own is not None and kept is not None],
        "kept": [kept for _, kept in judged if kept is not None],
        "of another": other,
    }
    quantiles = {
        name: {str(at): round(float(np.quantile(values, at)), 3) for at in QUANTILES}
        for name, values in shares.items()
    }
    return {"documents": len(shares["kept"]), **quantiles}


def main() -> None:
    """Print one JSON object a corpus."""
    with tempfile.TemporaryDirectory() as scratch:
        parser = SandboxedParser(ParsingLimits())
        for name, files in corpora(Path(scratch)):
            json.dump({name: measure(parser, files)}, sys.stdout)
            print()
        parser.close()


if __name__ == "__main__":
    main()
