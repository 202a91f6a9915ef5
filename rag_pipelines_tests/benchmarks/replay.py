"""A git history replayed commit by commit, held against clean builds of the same commits.

    python -m rag_pipelines_tests.benchmarks.replay --repo etcd-docs [--commits 200] [--check-every 20]
        [--no-from-end] [--json OUT]

A bare clone has a branch that is moved from commit to commit; the git connector reads that branch, one sync a
commit. The initial sync at the first commit's parent is not part of the replay. All syncs run in this process, with
everything opened anew after each check and kept open in between, so that neither way can hide a fault of the other.

Checked after every commit: the texts that the sync embedded are, in number, those chunk texts that no earlier state
of the history had. They are counted from git, apart from the catalog: every blob of the commit's tree that is new
under its path is parsed and cut here, and its texts are added to a set.
Checked after every 20th commit and the last: a clean build in a home of its own (catalog, blobs, engine, every
vector computed again) at the same commit has the same visible points by chunk id, with equal text and payload,
the same sparse terms, and dense vectors within cosine .9995 (batches of other lengths round differently).

What depends on the way to a state, by design, and what it is compared with instead:
- `added`, `removed`: numbers of index versions. Every point read is visible in the live version.
- `revision`, `link`, `modified_at`: of the state in which the text (or title) last changed, since that is the state
  that a citation quotes; a change of bytes alone, a comment say, leaves them. A clean build knows the newest state
  only. So: the link's commit is in the history, its file there is the blob that `revision` names, git's time of the
  path at that commit is `modified_at`, and where that blob is not the current one it parses to the same text.
- BM25 weights: normalised by the average length fixed when a collection was created, hence computed here for each
  of the two with its own.
- A document that parsed once and is refused now keeps its last good text, which a clean build cannot have: it is
  counted as stale and not compared; the quarantine of both must name the same documents.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import yaml

from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.config.models import ParsingLimits
from rag_pipelines.core.ports import Parser
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines.pipeline.sync import sync, sync_report
from rag_pipelines.pipeline.workspace import Workspace, open_workspace
from rag_pipelines_tests.benchmarks.provenance import check_provenance
from rag_pipelines_tests.benchmarks.streams import (
    BRANCH,
    PICTURES,
    STREAMS,
    Commit,
    Cutter,
    Stream,
    Texts,
    open_stream,
)
from rag_pipelines_tests.benchmarks.visible import Difference, Visible, compare, read_visible
from rag_pipelines_tests.project import shared_models_dir

SOURCE, INDEX = "stream", "replayed"


@dataclass(frozen=True, slots=True)
class Check:
    """The replayed index beside a clean build after `commits` commits; `embedded` and `expected` since the start."""

    commits: int
    commit: str
    documents: int
    chunks: int
    stale: int
    differing: int
    least_cosine: float
    embedded: int
    expected: int
    clean_embedded: int
    clean_expected: int
    sync_seconds: float
    clean_seconds: float
    examples: list[str]


@dataclass(slots=True)
class Replay:
    """`seconds` of each sync, without clean builds; `miscounted` names commits that embedded another number."""

    initial_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Nothing differs anywhere."""
        return (
            bool(self.checks)
            and not self.miscounted
            and not any(check.differing or check.embedded != check.expected for check in self.checks)
            and all(check.clean_embedded == check.clean_expected for check in self.checks)
        )


def make_project(root: Path, stream: Stream) -> Path:
    """Configuration of one git source over the stream's branch, whose deletions are all meant."""
    source = {
        "source": SOURCE,
        "connector": "git",
        "params": {"url": str(stream.folder), "branch": BRANCH, "exclude": list(PICTURES)},
        "tenant": "bench",
        "acl": ["*"],
        "limits": {"max_delete_fraction": 1.0, "max_delete_floor": 10**9},
    }
    files = {
        f"sources/{SOURCE}": source,
        f"indexes/{INDEX}": {"index": INDEX},
        "service": {"principal": {"tenant": "bench"}},
    }
    for name, data in files.items():
        path = root / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return root / "configs"


def make_home(home: Path, configs: Path) -> Environment:
    """An empty RAG_HOME that shares nothing with others but the converted model."""
    home.mkdir(parents=True)
    (home / "models").symlink_to(shared_models_dir())
    return read_environment({"RAG_HOME": str(home), "RAG_CONFIGS": str(configs)})


def run_sync(workspace: Workspace) -> tuple[float, dict[str, int]]:
    """Seconds and counts of one sync. Raises where the change was not published."""
    began = time.perf_counter()
    run = sync(workspace, [SOURCE])
    seconds = time.perf_counter() - began
    report = sync_report(workspace, INDEX, [SOURCE], run, seconds)
    counts = report.sources[SOURCE]
    if counts.get("held") or not (report.published or report.version is None):
        raise SystemExit(f"the sync did not publish what it listed: {report.as_json()}")
    return seconds, counts


def replay(
    stream: Stream, commits: Sequence[Commit], every: int, scratch: Path, on_check: Callable[[Check], None]
) -> Replay:
    """Sync at each commit and compare with a clean build after every `every`th one and the last."""
    outcome = Replay()
    configs = make_project(scratch, stream)
    environment = make_home(scratch / "replay", configs)
    embedded = expected = checked = 0
    with SandboxedParser(ParsingLimits()) as parser:
        texts = Texts(Cutter(stream, parser, shared_models_dir()))
        stream.point(commits[0].parent)
        texts.advance(stream.tree(commits[0].parent))
        workspace = open_workspace(environment)
        try:
            outcome.initial_seconds, _ = run_sync(workspace)
            for number, commit in enumerate(commits, start=1):
                stream.point(commit.sha)
                seconds, counts = run_sync(workspace)
                wanted = texts.advance(stream.tree(commit.sha))
                outcome.seconds.append(seconds)
                embedded, expected = embedded + counts["embedded"], expected + wanted
                if counts["embedded"] != wanted:
                    outcome.miscounted.append(
                        f"{commit.sha[:12]}: embedded {counts['embedded']}, expected {wanted}"
                    )
                if number % every == 0 or number == len(commits):
                    clean = clean_build(configs, scratch / f"clean-{number}")
                    found = read_visible(workspace, INDEX, SOURCE)
                    difference, stale = differences(
                        stream, commit.sha, found, clean.visible, parser, workspace
                    )
                    check = Check(
                        commits=number,
                        commit=commit.sha[:12],
                        documents=len(found.documents),
                        chunks=len(found.points),
                        stale=stale,
                        differing=difference.total,
                        least_cosine=difference.least_cosine,
                        embedded=embedded,
                        expected=expected,
                        clean_embedded=clean.embedded,
                        clean_expected=texts.present(),
                        sync_seconds=sum(outcome.seconds[checked:]),
                        clean_seconds=clean.seconds,
                        examples=difference.examples,
                    )
                    outcome.checks.append(check)
                    on_check(check)
                    checked = number
                    workspace.close()
                    workspace = open_workspace(environment)
        finally:
            workspace.close()
    return outcome


@dataclass(frozen=True, slots=True)
class CleanBuild:
    """A build from nothing of what the branch points to."""

    visible: Visible
    embedded: int
    seconds: float


def clean_build(configs: Path, home: Path) -> CleanBuild:
    """Build in a home of its own, read it whole and remove it."""
    with open_workspace(make_home(home, configs)) as workspace:
        seconds, counts = run_sync(workspace)
        visible = read_visible(workspace, INDEX, SOURCE)
    shutil.rmtree(home)
    return CleanBuild(visible, counts["embedded"], seconds)


def differences(
    stream: Stream, commit: str, found: Visible, wanted: Visible, parser: Parser, workspace: Workspace
) -> tuple[Difference, int]:
    """Everything in which the replayed index is not as the clean one, and how many stale documents were left out."""
    stale = found.refused & found.documents.keys()
    difference = compare(found, wanted, stale)
    check_provenance(
        stream, commit, found, wanted, difference, stale=stale, parser=parser, workspace=workspace
    )
    return difference, len(stale)


def summary(name: str, outcome: Replay) -> str:
    """What a person wants to know at the end."""
    seconds = outcome.seconds
    last = outcome.checks[-1]
    lines = [
        f"{name}: {len(seconds)} commits, initial sync {outcome.initial_seconds:.1f} s, a sync: median "
        f"{np.median(seconds):.2f} s, p95 {np.percentile(seconds, 95):.2f} s, all {sum(seconds):.1f} s; embedded "
        f"{last.embedded} of {last.expected} expected; {sum(check.differing for check in outcome.checks)} differences "
        f"in {len(outcome.checks)} checks; {'right' if outcome.right else 'WRONG'}",
        *(f"    {line}" for line in outcome.miscounted),
        *(f"    after {check.commits}: {line}" for check in outcome.checks for line in check.examples),
    ]
    return "\n".join(lines)


COLUMNS = [name for name in Check.__dataclass_fields__ if name != "examples"]


def row(check: Check) -> str:
    """One line of the Markdown table."""
    values = [getattr(check, name) for name in COLUMNS]
    shown = [
        f"{value:.6f}"
        if name == "least_cosine"
        else f"{value:.1f}"
        if isinstance(value, float)
        else str(value)
        for name, value in zip(COLUMNS, values, strict=True)
    ]
    return f"| {' | '.join(shown)} |"


def main() -> None:
    """Print a row a check and a summary; exit 1 on any difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--repo", required=True, help=f"{', '.join(STREAMS)}, or the path of a bundle or repository"
    )
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--check-every", type=int, default=20)
    parser.add_argument("--from-end", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path, default=None, help="write everything measured to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-replay-") as folder:
        stream = open_stream(options.repo, Path(folder))
        commits = stream.commits(options.commits, from_end=options.from_end)
        if not commits:
            sys.exit(f"{options.repo} has no commit that changes a listed file")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
        outcome = replay(
            stream, commits, options.check_every, Path(folder), lambda check: print(row(check), flush=True)
        )
    print(f"\n{summary(options.repo, outcome)}")
    if options.json:
        measured = {"repo": options.repo, "right": outcome.right, **asdict(outcome)}
        options.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")
    if not outcome.right:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
