"""What every version must show, and to whom, after any change: the product's promises in plain Python.

A text is known by its words. Where an interruption leaves several outcomes open, all of them are held
until the next look decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rag_pipelines.core.types import Access, Classification, Principal
from rag_pipelines.governance.access import may_read

DOCS, NOTES = "docs", "notes"
SOURCES = (DOCS, NOTES)

Key = tuple[str, str]
Texts = dict[Key, frozenset[str | None]]
"""Document -> what it may show; None stands for nothing."""

NEVER = frozenset({None})
STAFF_ONLY = Access("acme", Classification.INTERNAL, ("group:staff",))


@dataclass(frozen=True)
class File:
    """A document as its source has it; `text` is None where nobody can read it."""

    text: str | None
    rights: Access

    @property
    def version(self) -> str:
        """Equal for equal content."""
        return self.text or "broken"


@dataclass(frozen=True)
class Missing:
    """What a listing means for the documents that it lacks; which of several equal ones moved is open."""

    gone: frozenset[Key]
    moved: int
    held: frozenset[Key]


def words(text: str) -> str:
    """The text without its layout."""
    return " ".join(text.split())


@dataclass
class Model:
    """`known` are the documents that count as there, with the text that each may have; `listed`, `parsed` and
    `refused` the version of each that was last listed, parsed and quarantined; `unsure` those of which an
    interruption or a vacuum left open what was parsed; `staged` what the last whole sync staged.
    """

    files: dict[Key, File] = field(default_factory=dict)
    known: Texts = field(default_factory=dict)
    listed: dict[Key, str] = field(default_factory=dict)
    parsed: dict[Key, str] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)
    rights: dict[Key, frozenset[Access]] = field(default_factory=dict)
    staged: Texts = field(default_factory=dict)
    versions: dict[int, Texts] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in SOURCES})
    docs_rights: Access = STAFF_ONLY
    live: int | None = None
    pinned: int | None = None
    manual: bool = False
    analyzer: str = "english"
    dirty: bool = False
    unsure: set[Key] = field(default_factory=set)

    def in_source(self, source: str) -> list[Key]:
        """The documents that the source has now."""
        return sorted(key for key in self.files if key[0] == source)

    def rights_of(self, key: Key) -> Access:
        """As the source says now."""
        return self.docs_rights if key[0] == DOCS else self.files[key].rights

    def readable(self, key: Key) -> bool:
        """Whether a parser can make text of it."""
        return self.files[key].text is not None

    def missing(self, source: str) -> Missing:
        """The mass-delete breaker, from its definition."""
        known = sorted(key for key in self.known if key[0] == source)
        listing = self.in_source(source)
        arrivals = Counter(self.files[key].version for key in listing if key not in self.known)
        moved, deleted = set(), set()
        for key in known:
            if key in self.files:
                continue
            if arrivals[self.listed[key]] > 0:
                arrivals[self.listed[key]] -= 1
                moved.add(key)
            else:
                deleted.add(key)
        limits = {
            "max_delete_fraction": 0.2,
            "max_delete_floor": 10,
            **self.settings[source].get("limits", {}),
        }
        beyond = len(deleted) > limits["max_delete_fraction"] * len(known)
        if deleted and (not listing or (beyond and len(deleted) >= limits["max_delete_floor"])):
            return Missing(frozenset(moved), len(moved), frozenset(deleted))
        return Missing(frozenset(moved | deleted), len(moved), frozenset())

    def counts(self, source: str) -> dict[str, int]:
        """What the next sync must report of the source; less after an interruption, which did part of it."""
        listing, missing = self.in_source(source), self.missing(source)
        known = [key for key in listing if key in self.known]
        expected = {
            "listed": len(listing),
            "added": len(listing) - len(known) - missing.moved,
            "moved": missing.moved,
            "deleted": len(missing.gone) - missing.moved,
            "held": len(missing.held),
        }
        if self.dirty:
            return expected
        version = {key: self.files[key].version for key in listing}
        edited = {key for key in known if self.listed[key] != version[key]}
        regraded = {key for key in known if self.rights[key] != {self.rights_of(key)}} - edited
        due = [key for key in listing if version[key] not in (self.parsed.get(key), self.refused.get(key))]
        expected |= {
            "changed": len(edited),
            "access_changed": len(regraded),
            "unchanged": len(known) - len(edited) - len(regraded),
        }
        return expected if self.unsure & {*listing} else expected | {"fetched": len(due)}

    def completed(self, held: Collection[Key], live: int | None) -> None:
        """A sync went through; `held` are the deletions that wait, `live` is the version that readers see now."""
        self._forget_pasts(self.files)
        self.known = {key: self._settled(key) for key in {*self.files, *held}}
        for key in {*self.listed} - {*self.known}:
            del self.listed[key]
            self.refused.pop(key, None)
        for key, file in self.files.items():
            self.listed[key] = file.version
            (self.refused if file.text is None else self.parsed)[key] = file.version
            if file.text is not None:
                self.refused.pop(key, None)
                self.unsure.discard(key)
            self.rights[key] = frozenset({self.rights_of(key)})
        self.staged = {**self.known}
        self.dirty = False
        if self.pinned is not None:
            self.hide_gone()
        elif not self.manual:
            self.went_live(live)

    def interrupted(self, known: Iterable[Key], observed: Collection[str], live: int | None) -> None:
        """A sync ended somewhere; `known` is what the catalog has, `observed` the sources it may have listed.

        Where the pointer moved, everything before it was done.
        """
        if live is not None and live != self.live and live not in self.versions:
            held = {key for source in SOURCES for key in self.missing(source).held}
            self.completed(held, live)
            return
        self.dirty = True
        before, now = self.known, set(known)
        listing = {key for key in self.files if key[0] in observed}
        untouched = {key for key in before if key[0] not in observed}
        assert {*before} & {*self.files} | untouched <= now <= {*before} | listing
        self._forget_pasts(listing)
        self.unsure |= listing
        self.known = {key: self._open(key) if key in listing else before[key] for key in now}
        for key in listing:
            if key in now:
                self.listed.setdefault(key, self.files[key].version)
            both = {*self.rights.get(key, ()), self.rights_of(key)}
            self.rights[key] = frozenset(both)

    def _forget_pasts(self, listing: Iterable[Key]) -> None:
        """What comes back with other bytes has nothing to do with what was there before."""
        for key in {*listing} - {*self.known}:
            if self.parsed.get(key) != self.files[key].version:
                self.parsed.pop(key, None)

    def retain(self, newest: int) -> None:
        """What is neither live nor pinned nor among the newest versions can no longer be read."""
        kept = {*sorted(self.versions)[-newest:], self.live, self.pinned}
        self.versions = {number: texts for number, texts in self.versions.items() if number in kept}
        self.unsure |= {*self.parsed} - {*self.known}

    def _settled(self, key: Key) -> frozenset[str | None]:
        if key in self.files and self.readable(key):
            return frozenset({words(self.files[key].text or "")})
        return self.known.get(key, NEVER)

    def _open(self, key: Key) -> frozenset[str | None]:
        return self.known.get(key, NEVER) | (self._settled(key) if self.readable(key) else frozenset())

    def forgotten(self, keys: Iterable[Key]) -> None:
        """Their deletion was approved."""
        for key in keys:
            self.known.pop(key, None)
            self.listed.pop(key, None)
            self.refused.pop(key, None)

    def went_live(self, live: int | None) -> None:
        """Readers see what was staged."""
        if live is not None:
            self.versions[live] = {**self.staged}
        self.live = live

    def hide_gone(self) -> None:
        """What the live version shows and its source no longer has leaves every version."""
        if self.live is not None:
            self.hide({*self.versions[self.live]} - {*self.known})

    def hide(self, keys: Iterable[Key]) -> None:
        """These leave every version, and what is staged."""
        for key in keys:
            for texts in (*self.versions.values(), self.staged):
                texts.pop(key, None)

    def may_read(self, key: Key, principal: Principal) -> bool | None:
        """Whether the principal may read it; None where an interruption left that open."""
        answers = {may_read(principal, access) for access in self.rights[key]}
        return answers.pop() if len(answers) == 1 else None

    def look(self, number: int, seen: Mapping[Key, str]) -> None:
        """Hold what the operator sees of a version against the promise, and settle what was open."""
        texts = self.versions[number]
        assert {*seen} <= {*texts}, f"version {number} shows {sorted({*seen} - {*texts})}"
        for key, allowed in texts.items():
            assert seen.get(key) in allowed, (
                f"version {number} shows {seen.get(key)!r} of {key}, not {allowed}"
            )
            texts[key] = frozenset({seen.get(key)})
