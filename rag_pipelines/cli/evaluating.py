"""The command that measures how well an index answers a suite of judged questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_pipelines.blobs import BlobStore, open_blobs
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import TerminalProgress, failures, print_json, print_table, say, tell
from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.errors import BlobError, NotFound
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import OPERATOR, Passage, Principal
from rag_pipelines.evaluation.report import render, write_report
from rag_pipelines.evaluation.running import run_suite
from rag_pipelines.evaluation.runs import PassageRef, Run, read_run, write_run
from rag_pipelines.evaluation.suites import IndexDocument, Suite, find_suite, load_suite
from rag_pipelines.evaluation.summary import Difference, Summary, compare, slices_of, summarise
from rag_pipelines.governance.access import read_principal
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.retrieval.opening import Searchers

EXAMPLE = (
    "Example: `rag-pipelines eval sample --against 3 --report report.html` compares the live version with the "
    "third one."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "eval", help="Ask an index the questions of a suite, and measure the answers.", epilog=EXAMPLE
    )(evaluate)


def evaluate(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Name of a suite in configs/eval.")],
    index: Index = None,
    version: Annotated[
        int | None, typer.Option("--version", help="Measure this version, not the live one.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Compare with this version, or with the run stored in this folder."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page with plots and the questions that lost.")
    ] = None,
    principal: Annotated[
        Path | None,
        typer.Option("--as", help="JSON file: subject, tenant, groups, clearance. Ask as somebody."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    as_json: Json = False,
) -> None:
    """Evaluate an index on a suite."""
    with failures(as_json):
        environment = read_environment()
        configuration = load_configuration(environment.configs)
        found = load_suite(find_suite(environment.configs, suite), environment.configs.parent)
        name = configuration.index_named(index or found.config.index).index
        who = read_principal(principal) if principal is not None else OPERATOR
        with Searchers(environment, configuration) as searchers:
            asking = _Asking(environment, searchers, found, name, who, quiet or as_json)
            run = asking.run(version)
            other = asking.other(against) if against is not None else None
            slices = slices_of(found, asking.documents(run.version))
        summary = summarise(found, run, slices)
        differences = compare(run, other) if other is not None else {}
        if report is not None:
            text_of = partial(_text, open_blobs(environment.blobs_url))
            write_report(
                report,
                render(
                    found,
                    run,
                    other,
                    summary=summary,
                    differences=differences if other else None,
                    text_of=text_of,
                ),
            )
    if as_json:
        print_json(_as_json(summary, run, other, differences, asking.folder(run)))
        return
    _print(summary, run, other, differences)
    say(f"stored in {asking.folder(run)}")
    if report is not None:
        say(f"report: {report}")


class _Asking:
    """One suite asked of versions of one index."""

    def __init__(
        self,
        environment: Environment,
        searchers: Searchers,
        suite: Suite,
        index: str,
        principal: Principal,
        silent: bool,
    ) -> None:
        self._runs = environment.home / "evaluations" / suite.name
        self._searcher = searchers.get(index)
        self._suite = suite
        self._index = index
        self._principal = principal
        self._silent = silent

    def run(self, version: int | None) -> Run:
        """Ask, measure and store."""
        number, _, _ = self._searcher.scroll_reader(version)
        settings = {
            "retrieval": self._searcher.config.retrieval.model_dump(mode="json"),
            "principal": self._principal.subject,
        }

        def search(text: str, k: int) -> Sequence[Passage]:
            return self._searcher.search(text, k, self._principal, version=number).passages

        def asked(progress: Progress) -> Run:
            return run_suite(
                self._suite,
                search,
                progress,
                index=self._index,
                version=number,
                fingerprint=fingerprint("evaluation", 1, settings),
                settings=settings,
            )

        if self._silent:
            made = asked(Silent())
        else:
            with TerminalProgress() as progress:
                made = asked(progress)
        write_run(made, self.folder(made))
        return made

    def other(self, against: str) -> Run:
        """The run of another version, asked now, or a stored one."""
        if against.isdecimal():
            return self.run(int(against))
        folder = Path(against)
        if not folder.is_dir():
            raise NotFound(
                f"--against {against}: is neither a version nor the folder of a stored run; `rag-pipelines "
                f"versions` lists versions, and runs lie in {self._runs}"
            )
        return read_run(folder)

    def documents(self, version: int | None) -> Iterator[IndexDocument]:
        """The documents that the version holds."""
        _, reader, shown = self._searcher.scroll_reader(version)
        seen: set[str] = set()
        for point in reader.scroll(shown):
            payload = point.payload
            if payload["doc_id"] not in seen:
                seen.add(payload["doc_id"])
                yield IndexDocument(
                    doc_id=payload["doc_id"],
                    source=payload["source"],
                    uri=payload["uri"],
                    title=payload.get("title"),
                    tenant=payload.get("tenant"),
                    language=payload.get("language"),
                    media_type=payload.get("media_type"),
                    metadata=payload.get("meta") or {},
                )

    def folder(self, run: Run) -> Path:
        """Where a run is kept: by version, moment and settings."""
        moment = datetime.fromisoformat(run.started_at).astimezone(UTC).strftime("%Y%m%dT%H%M%S")
        return self._runs / f"{run.index}-v{run.version}-{moment}-{run.fingerprint}"


def _text(blobs: BlobStore, passage: PassageRef) -> str | None:
    """What the passage says; None where its document is no longer stored."""
    try:
        return blobs.get_parsed(passage.parsed_hash).text[passage.start : passage.end]
    except BlobError:
        return None


def _print(summary: Summary, run: Run, other: Run | None, differences: Mapping[str, Difference]) -> None:
    judged = f"{summary.queries} judged queries" if summary.queries != 1 else "one judged query"
    title = f"{run.suite}: {run.label}, {judged}"
    if other is None:
        rows = [
            (name, f"{v.mean:.3f}", f"{v.low:.3f} - {v.high:.3f}") for name, v in summary.measures.items()
        ]
        print_table(title, ("measure", "mean", "95% interval"), rows, "")
    else:
        columns = ("measure", "mean", "95% interval", "other", "difference", "p", "won/lost/equal", "")
        compared = [
            (
                name,
                f"{v.mean:.3f}",
                f"{v.low:.3f} - {v.high:.3f}",
                f"{d.theirs:.3f}",
                f"{d.interval.mean:+.3f}",
                f"{d.p_holm:.3f}",
                f"{d.wins}/{d.losses}/{d.ties}",
                d.verdict,
            )
            for name, v in summary.measures.items()
            if (d := differences.get(name)) is not None
        ]
        print_table(
            f"{title}, against {other.label}", columns, compared, "the runs have no measure in common"
        )
    for key in dict.fromkeys(found.name for found in summary.slices):
        print_table(
            f"By {key}",
            (key, "queries", *summary.measures),
            [
                (
                    found.value,
                    len(found.query_ids),
                    *(f"{found.measures[m].mean:.3f}" for m in summary.measures),
                )
                for found in summary.slices
                if found.name == key
            ],
            "",
        )
    if summary.abstention is not None and summary.abstention.auroc is not None:
        say(f"answerable against unanswerable: AUROC {summary.abstention.auroc:.3f}")
    say(f"{summary.latency.p50:.0f} ms a query at the median, {summary.latency.p95:.0f} ms at 95%")
    if summary.short:
        tell(
            f"{summary.short} queries do not reach the deepest cutoff, since several passages are of one document; "
            "raise k of the suite"
        )


def _as_json(
    summary: Summary, run: Run, other: Run | None, differences: Mapping[str, Difference], folder: Path
) -> dict[str, Any]:
    compared = {name: {**asdict(found), "verdict": found.verdict} for name, found in differences.items()}
    against = {"index": other.index, "version": other.version, "measures": compared} if other else None
    return {
        **summary.as_json(),
        "index": run.index,
        "version": run.version,
        "fingerprint": run.fingerprint,
        "run": str(folder),
        "against": against,
    }
