"""The audit chain itself: how a line is hashed, and what makes a chain of lines unbroken. No database here."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_pipelines.catalog.values import storable, storable_json
from rag_pipelines.core.events import Event

GENESIS = "0" * 64
"""What the first line names as the hash before it."""

TRIM = "audit.trim"
"""The action of a line that says which earlier lines were taken away, and the hash of the last of them."""

MISSING = "is missing"
REWRITTEN = "is not the line that was anchored: it, or one before it, was rewritten since"

COLUMNS = (
    "seq",
    "at",
    "action",
    "actor",
    "tenant",
    "credential",
    "target",
    "request",
    "details",
    "previous",
    "hash",
)
"""A line, in the order in which it is hashed; `hash` is of all the others."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
_canonical = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it will stand in the log, before it has a place there; `details` is canonical JSON."""

    at: str
    action: str
    actor: str
    tenant: str | None
    credential: str | None
    target: str
    request: str | None
    details: str

    def fields(self) -> tuple[str | None, ...]:
        """In the order of the columns."""
        return (
            self.at,
            self.action,
            self.actor,
            self.tenant,
            self.credential,
            self.target,
            self.request,
            self.details,
        )


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in lines `first` to `last`; `bad` is the first line that is wrong, `problem` says how.

    `unchecked` anchors name lines that were trimmed away.
    """

    lines: int
    first: int | None
    last: int | None
    hash: str | None
    bad: int | None = None
    problem: str | None = None
    unchecked: tuple[int, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None


def entry(event: Event, at: str) -> Entry:
    """Raises TypeError where the details are no JSON."""
    return Entry(
        at,
        storable(event.action),
        storable(event.actor),
        _stored(event.tenant),
        _stored(event.credential),
        storable(event.target),
        _stored(event.request),
        _canonical(storable_json(dict(event.details))),
    )


def line_hash(fields: Sequence[Any], key: bytes | None) -> str:
    """Of the ten fields before `hash`: SHA-256 of their JSON array, with a key HMAC-SHA-256 of the same bytes."""
    encoded = _encode(fields).encode()
    if key is None:
        return hashlib.sha256(encoded).hexdigest()
    return hmac.digest(key, encoded, "sha256").hex()


@dataclass(slots=True)
class Walk:
    """Goes along a chain. `keys` are those that signed it, oldest first; `None` stands for lines without one.

    A later line is never signed by an earlier key, nor by none once one was: else whoever can write to the
    database could make the whole chain anew without the key.
    """

    keys: Sequence[bytes | None]
    anchors: Mapping[int, str] = field(default_factory=dict)
    whole: bool = True
    lines: int = 0
    stage: int = 0
    first: int | None = None
    before: str = GENESIS
    last: int | None = None
    hash: str = GENESIS
    attested: bool = False

    def follow(self, row: Sequence[Any]) -> str | None:
        """The next line; what is wrong with it, or None."""
        seq, stated = row[0], row[10]
        if self.first is None:
            self.first, self.before = seq, row[9]
        wrong = self._misplaced(seq, row[9])
        if wrong is not None:
            return wrong
        stage = next((at for at in range(self.stage, len(self.keys)) if self._signed(row, at)), None)
        if stage is None:
            return "was changed: its hash is not that of what it says"
        if self.anchors and self.anchors.get(seq, stated) != stated:
            return REWRITTEN
        if row[2] == TRIM and not self._attests(json.loads(row[8])):
            return "says that another line stood before the first one"
        self.stage, self.last, self.hash = stage, seq, stated
        self.lines += 1
        return None

    def ended(self, head: tuple[int, str] | None) -> tuple[int, str] | None:
        """(line, what is wrong) of what only the whole chain shows, or None; `head` is what should be its end."""
        reached, first = self.last or 0, self.first or 1
        length, newest = head if head is not None else (reached, self.hash)
        beyond = min((seq for seq in self.anchors if seq > reached), default=None)
        unsigned = self.whole and bool(self.lines) and self.stage < len(self.keys) - 1
        findings = (
            (length > reached, reached + 1, f"is missing: the log was {length} lines long"),
            (length < reached, length + 1, f"is not of this log, which has {length} lines"),
            (newest != self.hash, reached, "is not the line that was written last"),
            (self.whole and beyond is not None, reached + 1, f"is missing: line {beyond} was anchored"),
            (self.anchors.get(first - 1, self.before) != self.before, first - 1, REWRITTEN),
            (
                self.whole and first > 1 and not self.attested,
                first - 1,
                "and those before it are missing, and no line says that they were trimmed",
            ),
            (
                unsigned,
                reached,
                "is not signed with the present key; if the key is new, write a line with it first",
            ),
        )
        return next(((line, what) for wrong, line, what in findings if wrong), None)

    def _misplaced(self, seq: int, previous: str) -> str | None:
        if self.last is None:
            return "is not the beginning of a chain" if seq == 1 and previous != GENESIS else None
        if seq != self.last + 1:
            return MISSING if seq > self.last else "stands twice, or lines were reordered"
        if previous != self.hash:
            return "does not follow from the line before: one of them was rewritten"
        return None

    def _signed(self, row: Sequence[Any], stage: int) -> bool:
        return line_hash(row[:10], self.keys[stage]) == str(row[10])

    def _attests(self, told: Mapping[str, Any]) -> bool:
        """Whether a line about trimming agrees with where this chain begins."""
        if self.first is None or told.get("through") != self.first - 1:
            return True
        self.attested = told.get("hash") == self.before
        return self.attested


def verify(
    rows: Iterable[Sequence[Any]],
    keys: Sequence[bytes] = (),
    head: tuple[int, str] | None = None,
    anchors: Mapping[int, str] | None = None,
    *,
    begins: int | None = None,
    whole: bool = True,
) -> Verified:
    """Walk along the lines until one is wrong.

    `begins` is where the log says that it begins; with `whole` false the lines are a part of a log, of which
    neither beginning nor end is known.
    """
    anchors = anchors or {}
    walk = Walk((None, *keys), anchors, whole)
    bad: tuple[int, str] | None = None
    for row in rows:
        if walk.first is None and begins is not None and row[0] != begins:
            bad = (begins, MISSING)
            break
        wrong = walk.follow(row)
        if wrong is not None:
            at = (walk.last or 0) + 1 if wrong == MISSING else row[0]
            bad = (at, wrong)
            break
    line, problem = bad or walk.ended(head) or (None, None)
    return Verified(
        walk.lines,
        walk.first,
        walk.last,
        walk.hash if walk.lines else None,
        line,
        problem,
        tuple(sorted(seq for seq in anchors if walk.first is not None and seq < walk.first - 1)),
    )


def _stored(text: str | None) -> str | None:
    return None if text is None else storable(text)
