"""One evaluation of one index version, and how it is stored: a TREC run file and a record beside it."""

from __future__ import annotations

import math
import os
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import numpy as np

from rag_pipelines.core.errors import ConfigError, NotFound
from rag_pipelines.core.ids import content_hash
from rag_pipelines.evaluation.costs import IndexSize

RECORD, PLACES = "run.json", "run.trec"
TAG = "rag-pipelines"


class Place(msgspec.Struct, frozen=True):
    """One place of a ranking: a document, or `document:start-end`, and the score it was found with."""

    unit: str
    score: float


class PassageRef(msgspec.Struct, frozen=True):
    """Where a returned passage stands; its text is read from what `parsed_hash` names, never stored here.

    `document` is what the judgements call the document, `grade` None where it was not judged.
    """

    rank: int
    score: float
    document: str
    source: str
    uri: str
    doc_id: str
    chunk_id: str
    start: int
    end: int
    parsed_hash: str
    page: int | None = None
    grade: int | None = None


class QueryRun(msgspec.Struct, frozen=True):
    """What one question got: `returned` passages, the first of them in `passages`.

    `measures` is empty for a question without an answer; `confidence` and `answerable` are None where the
    search states neither. `cpu_ms` is processor time of this process during the search, of all its threads;
    None in runs of an earlier program.
    """

    ms: float
    returned: int
    measures: dict[str, float]
    passages: tuple[PassageRef, ...] = ()
    confidence: float | None = None
    answerable: bool | None = None
    cpu_ms: float | None = None


class Run(msgspec.Struct, frozen=True):
    """Everything measured of one suite on one version.

    `places` are the rankings of the queries that have one. `short` are queries whose passages were as many
    as asked for and still held fewer different documents than the deepest measure looks at. `size` is of the
    version, where it was counted.
    """

    suite: str
    suite_hash: str
    index: str
    version: int | None
    fingerprint: str
    started_at: str
    level: str
    depth: int
    measures: tuple[str, ...]
    queries: dict[str, QueryRun]
    places: dict[str, tuple[Place, ...]]
    short: tuple[str, ...] = ()
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    size: IndexSize | None = None

    @property
    def label(self) -> str:
        """`handbook version 3`."""
        return self.index if self.version is None else f"{self.index} version {self.version}"

    def values(self, measure: str) -> dict[str, float]:
        """The measure of every judged query."""
        return {
            query_id: query.measures[measure]
            for query_id, query in self.queries.items()
            if measure in query.measures
        }


class _Record(msgspec.Struct, frozen=True):
    """`run` without its places, and the hash of the file that holds them."""

    run: Run
    places_hash: str


def write_run(run: Run, folder: Path) -> None:
    """Store the run in the folder: `run.trec`, then `run.json`, which makes it whole. No documents' text."""
    folder.mkdir(parents=True, exist_ok=True)
    places = trec_text(run).encode()
    record = msgspec.json.encode(_Record(msgspec.structs.replace(run, places={}), content_hash(places)))
    write_whole(folder / PLACES, places)
    write_whole(folder / RECORD, record)


def write_whole(path: Path, data: bytes) -> None:
    """All of it or nothing: a reader sees the old file until the new one is complete on the disk.

    The process's umask decides who may read it: a report holds texts of documents.
    """
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with scratch.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read_run(folder: Path) -> Run:
    """The run stored in the folder; scores are those of the TREC file.

    Raises NotFound where there is none, and ConfigError where its files are damaged or of two runs.
    """
    try:
        data = (folder / RECORD).read_bytes()
        places = (folder / PLACES).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{folder} holds no stored run ({RECORD} and {PLACES})") from error
    try:
        record = msgspec.json.decode(data, type=_Record)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{folder / RECORD} is not the record of a run: {error}") from error
    if content_hash(places) != record.places_hash:
        raise ConfigError(
            f"{folder / PLACES} does not belong to {RECORD} beside it; run the evaluation again"
        )
    return msgspec.structs.replace(record.run, places=read_trec(places.decode()))


def trec_text(run: Run) -> str:
    """The rankings as a TREC run file: `query Q0 document rank score tag`.

    Scores fall strictly even in single precision, which is what trec_eval reads: it orders by score and
    breaks ties by the documents' ids, so equal scores would change the ranking.
    """
    lines: list[str] = []
    for query_id, places in run.places.items():
        for rank, (place, score) in enumerate(zip(places, _falling(places), strict=True), 1):
            lines.append(f"{_encoded(query_id)} Q0 {_encoded(place.unit)} {rank} {score:.9g} {TAG}\n")
    return "".join(lines)


def _falling(places: Sequence[Place]) -> list[float]:
    with np.errstate(over="ignore"):
        scores = [np.float32(place.score) for place in places]
    if not all(math.isfinite(score) for score in scores):
        return [float(-position) for position in range(len(places))]
    falling: list[float] = []
    last = np.float32(np.inf)
    for score in scores:
        last = score if score < last else np.nextafter(last, np.float32(-np.inf))
        falling.append(float(last))
    return falling


def _encoded(field: str) -> str:
    """White space separates the fields of a TREC file, so it is percent-encoded, as is the percent sign."""
    return re.sub(r"[\s%]", lambda match: quote(match[0], safe=""), field)


def read_trec(text: str) -> dict[str, tuple[Place, ...]]:
    """The rankings of a TREC run file by query, highest score first. Raises ConfigError with the line."""
    found: dict[str, list[Place]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        parts = line.split()
        if not parts:
            continue
        try:
            query_id, _, unit, _, score, _ = parts
            found.setdefault(unquote(query_id), []).append(Place(unquote(unit), float(score)))
        except ValueError as error:
            raise ConfigError(
                f"line {number} of the run is not `query Q0 document rank score tag`: {line[:80]}"
            ) from error
    return {
        query_id: tuple(sorted(places, key=lambda place: place.score, reverse=True))
        for query_id, places in found.items()
    }
