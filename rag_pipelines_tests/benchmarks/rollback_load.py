"""Publishing and rolling back while the service answers at a steady rate: errors, mixed answers, latency, delay.

    python -m rag_pipelines_tests.benchmarks.rollback_load [--rate 50] [--seconds 30] [--chunks 5000]
        [--sizes 1000,10000,50000] [--json]

Every text names the edition that it is of, and each version changes one page in twenty and drops one: an answer is
mixed where a passage is not of the version that the answer states. The real service (`rag-pipelines serve`, bundled
model, embedded engine) runs in a process, the verbs in another: stage and publish a version, roll back, roll back to
an earlier one, let go, publish, and a deletion while the index is pinned. Queries go out on a fixed schedule, and
latency counts from the time at which a query was due. A page that is gone may be answered for two seconds more.

The second table is of the verbs alone at several sizes, with synthetic vectors of 384 dimensions in the embedded
engine: the switch does not depend on the size, the readers' copy does.

Exit code 1 on any error, answer that is short or mixed, or page that comes back.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipelines_tests.benchmarks.editions import (
    Done,
    EditionsProject,
    Operator,
    operator,
    victim,
)
from rag_pipelines_tests.benchmarks.service_load import Answer, Load, service
from rag_pipelines_tests.benchmarks.switching import Switch, switches

GRACE_SECONDS = 2.0
SEEN_WITHIN = 2.0
"""Seconds a version has to be live before an answer of it is missed: the service looks for a new one twice a second."""

BUILT = 3
SHOWN = 5


@dataclass(slots=True)
class Report:
    """Everything measured; `errors`, `mixed` and `returned` must be empty."""

    chunks: int
    rate: float
    seconds: float
    queries: int = 0
    late: int = 0
    errors: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    versions: dict[int, int] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    verbs: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[Switch] = field(default_factory=list)

    @property
    def faulty(self) -> bool:
        """Whether anything was wrong."""
        return bool(self.errors or self.mixed or self.returned)


STEPS: tuple[tuple[str, int | None], ...] = (
    ("stage", 1),
    ("publish", None),
    ("rollback", None),
    ("rollback", -2),
    ("unpin", None),
    ("publish", None),
    ("rollback", None),
    ("stage", 1),
    ("publish", None),
    ("unpin", None),
    ("publish", None),
)
"""In turn: to stage the next version, to go back by one, to two before the newest, ..., and round again."""


def operate(person: Operator, seconds: float) -> list[Done]:
    """The steps, evenly spread over the time; the round that is begun is finished."""
    began, newest, done = time.monotonic(), BUILT, []
    pause = seconds / len(STEPS) / 2
    while time.monotonic() - began < seconds:
        for verb, argument in STEPS:
            if verb == "stage":
                newest += 1
                done.append(person.perform(verb, newest))
            else:
                done.append(person.perform(verb, newest + argument if argument else None))
            time.sleep(pause)
    return done


def measure(root: Path, rate: float, seconds: float, chunks: int) -> Report:
    """Build three versions, then the load."""
    project = EditionsProject(root, chunks)
    project.make()
    report = Report(chunks, rate, seconds)
    with operator(project) as person:
        for version in range(1, BUILT + 1):
            person.perform("stage", version)
            if person.perform("publish").version != version:
                raise SystemExit(f"version {version} was not published")
        with service(project) as url, Load(url, rate, chunks) as load:
            began = time.monotonic()
            time.sleep(1)
            done = operate(person, seconds)
            time.sleep(GRACE_SECONDS + 1)
            report.seconds = time.monotonic() - began
    judge(report, load.answers, done)
    return report


def judge(report: Report, answers: Sequence[Answer], done: Sequence[Done]) -> None:
    """Fill the report."""
    report.queries = len(answers)
    report.errors = [answer.error for answer in answers if answer.error]
    report.mixed = [fault for answer in answers for fault in answer.mixed]
    report.versions = dict(sorted(Counter(answer.version for answer in answers if answer.version).items()))
    delays = np.array([(answer.at - answer.due) * 1000 for answer in answers])
    report.late = int((delays > 1000).sum())
    report.latency_ms = {
        **{f"p{share}": float(np.percentile(delays, share)) for share in (50, 95, 99)},
        "max": float(delays.max()),
    }
    for place, step in enumerate(done):
        later = [
            answer.at for answer in answers if answer.version == step.version and answer.at >= step.started
        ]
        seen = min(later, default=None) if step.version is not None else None
        report.verbs.append(
            {
                "verb": step.verb,
                "argument": step.argument,
                "version": step.version,
                "verb_seconds": step.returned - step.started,
                **step.seconds,
                "seen_after_start": None if seen is None else seen - step.started,
                "seen_after_return": None if seen is None else seen - step.returned,
            }
        )
        moved_on = min(
            (after.started for after in done[place + 1 :] if after.version is not None), default=None
        )
        short = moved_on is not None and moved_on - step.returned < SEEN_WITHIN
        if step.version is not None and seen is None and not short:
            report.errors.append(f"no answer of version {step.version} followed its {step.verb}")
    gone_at = gone(done)
    for answer in answers:
        back = [page for page in answer.pages if answer.at > gone_at.get(page, float("inf")) + GRACE_SECONDS]
        report.returned += [f"page {page} was gone, version {answer.version} answers it" for page in back]


def gone(done: Sequence[Done]) -> dict[int, float]:
    """Page -> when it may no longer be answered, whatever the version.

    Published, a version takes its page along; while the index is pinned, and when it is rolled back, so does
    everything that is staged.
    """
    found = dict.fromkeys(range(victim(BUILT) + 1), 0.0)
    newest, pinned = BUILT, False
    for step in done:
        if step.verb == "stage":
            newest = step.argument or newest
        elif step.verb == "rollback":
            pinned = True
        elif step.verb == "unpin":
            pinned = False
        limit = newest if pinned else step.version or 0
        for page in range(victim(limit) + 1):
            found.setdefault(page, step.returned)
    return found


def table(report: Report) -> str:
    """Markdown and a few lines."""
    latency = ", ".join(f"{name} {value:.0f}" for name, value in report.latency_ms.items())
    lines = [
        f"{report.chunks} chunks, {report.queries} queries in {report.seconds:.0f} s (asked for {report.rate:g}/s); "
        f"latency ms: {latency}; later than a second: {report.late}",
        f"errors {len(report.errors)}, mixed {len(report.mixed)}, pages that came back {len(report.returned)}",
        "answers a version: "
        + ", ".join(f"{version}: {count}" for version, count in report.versions.items()),
        "",
        "| verb | to | live | verb s | optimize s | copy s | switch s | first answer after start s | after return s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    figures = (
        "verb_seconds",
        "optimize_seconds",
        "copy_seconds",
        "switch_seconds",
        "seen_after_start",
        "seen_after_return",
    )
    lines += [
        f"| {step['verb']} | {_said(step['argument'])} | {_said(step['version'])} | "
        + " | ".join(_said(step.get(name), "{:.3f}") for name in figures)
        + " |"
        for step in report.verbs
    ]
    if report.sizes:
        names = list(asdict(report.sizes[0]))
        lines += [
            "",
            f"| {' | '.join(name.replace('_', ' ') for name in names)} |",
            "|---:" * len(names) + "|",
        ]
        lines += [
            f"| {' | '.join(_said(value, '{:,}' if isinstance(value, int) else '{:.3f}') for value in row)} |"
            for row in (asdict(size).values() for size in report.sizes)
        ]
    faults = Counter([*report.errors, *report.mixed, *report.returned]).most_common(SHOWN)
    return "\n".join([*lines, *(f"FAULT ({count} times): {fault}" for fault, count in faults)])


def _said(value: float | None, form: str = "{}") -> str:
    return "" if value is None else form.format(value)


def main() -> None:
    """Print the tables or one JSON object; exit 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--chunks", type=int, default=5000)
    parser.add_argument("--sizes", default="1000,10000,50000", help="chunks, with commas; empty: none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-rollback-load-") as temporary:
        report = measure(Path(temporary) / "load", options.rate, options.seconds, options.chunks)
        sizes = [int(number) for number in options.sizes.split(",") if number]
        report.sizes = [switches(Path(temporary) / f"size{size}", size) for size in sizes]
    print(json.dumps(asdict(report)) if options.json else table(report))
    if report.faulty:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
