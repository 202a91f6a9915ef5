"""Git histories as streams of changes: which commits, what each of them changed, and the text of the files.

Reads git's own answers and shares no code with the connector but the globs, so that it can be held against what
the pipeline did.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag_pipelines.chunking import chunk_documents
from rag_pipelines.config.models import ChunkingRule, EmbeddingConfig
from rag_pipelines.core.ports import Parser, ParseTask, Tokenizer
from rag_pipelines.core.types import Chunk, ParsedDocument
from rag_pipelines.embedding import open_tokenizer
from rag_pipelines.sources.globs import Selection
from rag_pipelines_tests.shared_data import shared_data_or_none

STREAMS = ("etcd-docs", "python-devguide")
PICTURES = ("**/*.{png,jpg,jpeg,gif,webp,ico,bmp,tiff}",)
"""Left out: reading them needs a program that not every machine has, and no commit edits one."""

BRANCH = "replay"
_DOC_ID = "00000000-0000-5000-8000-000000000000"
_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One listed file of a commit; `old` is the blob before (None: new), `new` the one after (None: deleted)."""

    path: str
    old_path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the first-parent history and what it changes of the listed files."""

    sha: str
    parent: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines of one `git diff -U0` hunk: `removed` and `added` counts, `start` from 1 in the new file."""

    removed: int
    start: int
    added: int


class Stream:
    """A bare clone with a branch of its own that is moved from commit to commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._selection = Selection(("**/*",), PICTURES)

    def git(self, *arguments: str, data: bytes | None = None) -> bytes:
        """What the git program prints; raises CalledProcessError."""
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout

    def point(self, commit: str) -> None:
        """Move the branch that the connector reads."""
        self.git("update-ref", f"refs/heads/{BRANCH}", commit)

    def commits(self, count: int, *, from_end: bool = True) -> list[Commit]:
        """The last (or the first) so many first-parent commits that change a listed file, oldest first.

        The root commit is left out: it has no parent to start from.
        """
        lines = self.git("rev-list", "--first-parent", "--parents", "HEAD").decode().splitlines()
        pairs = [line.split()[:2] for line in lines if " " in line]
        found: list[Commit] = []
        for sha, parent in pairs if from_end else reversed(pairs):
            if len(found) == count:
                break
            changes = self._changes(parent, sha)
            if changes:
                found.append(Commit(sha, parent, changes))
        return found[::-1] if from_end else found

    def tree(self, commit: str) -> dict[str, str]:
        """path -> blob id of every listed file of the commit."""
        found: dict[str, str] = {}
        for row in self.git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            facts, _, name = row.partition(b"\t")
            path = self._listed(name) if facts.startswith(b"100") else None
            if path is not None:
                found[path] = facts.split()[2].decode()
        return found

    def blobs(self, ids: Sequence[str]) -> Iterator[bytes]:
        """The content of each blob."""
        out = self.git("cat-file", "--batch", data="".join(f"{name}\n" for name in ids).encode())
        position = 0
        for _ in ids:
            end = out.index(b"\n", position)
            size = int(out[position:end].split()[2])
            yield out[end + 1 : end + 1 + size]
            position = end + 2 + size

    def hunks(self, old: str, new: str) -> list[Hunk]:
        """How git tells the two blobs apart; none for binary ones."""
        out = self.git("diff", "-U0", "--no-color", "--no-ext-diff", "--no-textconv", old, new)
        return [Hunk(int(match[1] or 1), int(match[2]), int(match[3] or 1)) for match in _HUNK.finditer(out)]

    def _changes(self, parent: str, commit: str) -> tuple[Change, ...]:
        out = self.git("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "-M", parent, commit)
        fields = iter(out.split(b"\0"))
        found: list[Change] = []
        for facts in fields:
            if not facts:
                break
            old_mode, mode, old, new, status = facts.lstrip(b":").split()
            before = after = next(fields)
            if status[:1] in (b"R", b"C"):
                after = next(fields)
            old_path = self._listed(before) if old_mode.startswith(b"100") else None
            path = self._listed(after) if mode.startswith(b"100") else None
            if (old_path, old) == (path, new) or (old_path is None and path is None):
                continue
            found.append(
                Change(
                    path or old_path or "",
                    old_path or path or "",
                    old.decode() if old_path is not None else None,
                    new.decode() if path is not None else None,
                )
            )
        return tuple(found)

    def _listed(self, name: bytes) -> str | None:
        try:
            path = name.decode("utf-8")
        except UnicodeDecodeError:
            return None
        return path if path and self._selection.reason(path) is None else None


def open_stream(name: str, scratch: Path) -> Stream:
    """Clone a shared stream by its name, or a bundle or repository by its path. Exits where it is not there."""
    found = shared_data_or_none("streams", f"{name}.bundle") if name in STREAMS else Path(name).absolute()
    if found is None or not found.exists():
        raise SystemExit(
            f"stream {name!r} is not here; set RAG_SHARED_DATA, or pass the path of a repository"
        )
    folder = scratch / f"{found.stem}.git"
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", "--bare", str(found), str(folder)], check=True)
    return Stream(folder)


class Cutter:
    """Parses blobs in the sandbox, once each, and cuts them; what cannot be read has no text."""

    def __init__(self, stream: Stream, parser: Parser, models_dir: Path) -> None:
        self._stream = stream
        self._parser = parser
        self.tokenizer: Tokenizer = open_tokenizer(EmbeddingConfig(), models_dir)

    def read(self, files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, bytes, ParsedDocument]]:
        """(path, bytes, document) of the (path, blob) pairs that can be read, in the order of paths."""
        wanted = sorted(files)
        raw = {
            path: data
            for (path, _), data in zip(wanted, self._stream.blobs([b for _, b in wanted]), strict=True)
        }
        tasks = (ParseTask(path, data, PurePosixPath(path).name) for path, data in raw.items())
        parsed = {
            outcome.key: outcome.document
            for outcome in self._parser.parse(tasks)
            if outcome.document is not None
        }
        for path, _ in wanted:
            if path in parsed:
                yield path, raw[path], parsed[path]

    def chunks(self, document: ParsedDocument, rule: ChunkingRule) -> list[Chunk]:
        """As the pipeline would cut it."""
        return chunk_documents([(_DOC_ID, document)], rule, self.tokenizer)[0]


class Texts:
    """The distinct chunk texts of a history under the default rule, from git, parser and chunker alone."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._tree: dict[str, str] = {}
        self._texts: dict[tuple[str, str], frozenset[str]] = {}
        self.seen: set[str] = set()

    def advance(self, tree: dict[str, str]) -> int:
        """Take in the next state; how many texts it has that no state before had."""
        fresh = {item for item in tree.items() if item not in self._texts}
        self._texts |= {item: frozenset() for item in fresh}
        for path, _, document in self._cutter.read(fresh):
            chunks = self._cutter.chunks(document, ChunkingRule())
            self._texts[path, tree[path]] = frozenset(chunk.embed_text for chunk in chunks)
        self._tree = tree
        before = len(self.seen)
        self.seen.update(*(self._texts[item] for item in fresh))
        return len(self.seen) - before

    def present(self) -> int:
        """Distinct texts of the current state."""
        return len(set().union(*(self._texts[item] for item in self._tree.items())))
