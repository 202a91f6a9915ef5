"""Prompt injections found among real passages, at a share of 1% of clean ones flagged.

    python -m rag_pipelines_tests.benchmarks.injection [--passages N] [--half held|tuned] [--missed] [--json]

Clean passages come from four corpora (scifact, cranfield, squad2_dev, awsdocs_dev), cut at paragraphs into about
1,000 characters. Attacks are bipia's, planted at the beginning, in the middle and at the end of its e-mails and tables
(text attacks) and of its code answers (code attacks), cut the same way, and the labelled prompts of
prompt_injections. Corpora, contexts and prompts are halved by a hash of their text, bipia's attacks by their place in
each kind: rules and threshold were made on the tuned half alone, and the other is what is reported. The
threshold is the lowest with at most 1% of the tuned clean passages at or above it, each corpus counting alike.
An attack is found where one passage of its text is flagged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from rag_pipelines.governance.injection import Detector
from rag_pipelines_tests.shared_data import shared_data_or_none

CLEAN = ("scifact", "cranfield", "squad2_dev", "awsdocs_dev")
FALSE_POSITIVES = 0.01
LENGTH = 1000
BATCH = 500
PLACES = ("beginning", "middle", "end")
CONTEXTS_EACH = 2
TASKS = (
    "Information Retrieval",
    "Content Creation",
    "Learning and Tutoring",
    "Language Translation",
    "Programming Help",
)
"""Kinds of bipia that ask an ordinary question and say nothing to an assistant."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text cut into passages; `group` is its corpus or its kind of attack, `attack` whether it is one."""

    group: str
    passages: tuple[str, ...]
    tuned: bool
    attack: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Shares of a half that reach the threshold, by group, and what judging costs."""

    half: str
    threshold: float
    clean: dict[str, float]
    benign: dict[str, float]
    attacks: dict[str, float]
    curve: list[dict[str, float]]
    ms_per_1000: float
    passages: int
    counts: dict[str, int] = field(default_factory=dict)


def is_tuned(text: str) -> bool:
    """Which half a text belongs to."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0


def cut(text: str, length: int = LENGTH) -> tuple[str, ...]:
    """Passages of about so many characters, cut between lines; a longer line is cut inside."""
    passages: list[str] = []
    current = ""
    lines = [
        line[at : at + length]
        for line in text.splitlines(keepends=True)
        for at in range(0, len(line), length)
    ]
    for line in lines:
        if current and len(current) + len(line) > length:
            passages.append(current.strip())
            current = ""
        current += line
    return tuple(part for part in (*passages, current.strip()) if part)


def clean_samples(corpus: str, most: int) -> Iterator[Sample]:
    """Passages of a corpus, in the order of their hash, so that a part of it is a fair one."""
    folder = shared_data_or_none("retrieval", corpus)
    texts = _texts(folder) if folder is not None else ()
    passages = {hashlib.sha256(p.encode()).hexdigest(): p for text in texts for p in cut(text)}
    for _, passage in islice(sorted(passages.items()), most):
        tuned = hashlib.md5(passage.encode(), usedforsecurity=False).digest()[0] % 2 == 0
        yield Sample(corpus, (passage,), tuned, attack=False)


def _texts(folder: Path) -> Iterator[str]:
    packed = folder / "documents.tar.xz"
    if packed.exists():
        with tarfile.open(packed) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name.endswith(".md") else None
                if file is not None:
                    yield file.read().decode("utf-8", "replace")
        return
    for line in (folder / "corpus.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        yield f"{row.get('title', '')}\n{row['text']}"


def planted_samples() -> Iterator[Sample]:
    """bipia: every attack in contexts of its half, at every place; and the contexts as they are."""
    folder = shared_data_or_none("security", "bipia")
    if folder is None:
        return
    contexts = {name: list(_contexts(folder / name / "train.jsonl")) for name in ("email", "table", "code")}
    for name, texts in contexts.items():
        for text in dict.fromkeys(texts):
            yield Sample(f"bipia {name}", cut(text), is_tuned(text), attack=False)
    for file, names in (("text", ("email", "table")), ("code", ("code",))):
        attacks = json.loads((folder / f"{file}_attack_train.json").read_text(encoding="utf-8"))
        for kind, wordings in attacks.items():
            for number, attack in enumerate(wordings):
                tuned = number % 2 == 0
                for name in names:
                    own = [text for text in contexts[name] if is_tuned(text) == tuned]
                    for place in PLACES:
                        for turn in range(CONTEXTS_EACH):
                            at = int(hashlib.sha256(f"{attack}{place}{turn}".encode()).hexdigest(), 16) % len(
                                own
                            )
                            yield Sample(
                                f"{file}: {kind}", cut(plant(own[at], attack, place)), tuned, attack=True
                            )


def _contexts(path: Path) -> Iterator[str]:
    for line in path.open(encoding="utf-8"):
        context = json.loads(line)["context"]
        yield context if isinstance(context, str) else "\n".join(context)


def plant(context: str, attack: str, place: str) -> str:
    """The attack in a line of its own."""
    lines = context.splitlines()
    at = {"beginning": 0, "middle": len(lines) // 2, "end": len(lines)}[place]
    return "\n".join((*lines[:at], attack, *lines[at:]))


def prompt_samples() -> Iterator[Sample]:
    """prompt_injections, with its own labels."""
    folder = shared_data_or_none("security", "prompt_injections")
    for line in (folder / "train.jsonl").open(encoding="utf-8") if folder is not None else ():
        row = json.loads(line)
        group = "prompts: injection" if row["label"] else "prompts: benign"
        yield Sample(group, cut(row["text"]), is_tuned(row["text"]), attack=bool(row["label"]))


def scored(detector: Detector, samples: Sequence[Sample]) -> list[float]:
    """The highest score of each sample's passages."""
    texts = [passage for sample in samples for passage in sample.passages]
    scores: list[float] = []
    for start in range(0, len(texts), BATCH):
        scores += [flag.score if flag else 0.0 for flag in detector.flags(texts[start : start + BATCH])]
    found, at = [], 0
    for sample in samples:
        found.append(max(scores[at : at + len(sample.passages)], default=0.0))
        at += len(sample.passages)
    return found


def threshold_for(shares: Sequence[Sequence[float]], wanted: float = FALSE_POSITIVES) -> float:
    """The lowest score that at most the wanted share of the groups' clean passages reach, groups counting alike."""
    candidates = sorted({score for scores in shares for score in scores if score > 0} | {1.001})
    for candidate in candidates:
        if _mean(_share(scores, candidate) for scores in shares) <= wanted:
            return round(candidate, 3)
    return 1.001


def _share(scores: Iterable[float], threshold: float) -> float:
    return _mean(float(score >= threshold) for score in scores)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def measure(detector: Detector, samples: Sequence[Sample], half: str) -> tuple[Report, list[Sample]]:
    """The report of a half, and the attacks of it that were missed."""
    began = time.perf_counter()
    scores = scored(detector, samples)
    seconds = time.perf_counter() - began
    rows = list(zip(samples, scores, strict=True))

    def of(group: str, *, tuned: bool) -> list[float]:
        return [score for sample, score in rows if sample.group == group and sample.tuned == tuned]

    threshold = threshold_for([found for name in CLEAN if (found := of(name, tuned=True))])
    chosen = half == "tuned"
    groups = list(dict.fromkeys(sample.group for sample in samples))
    attacking = {sample.group for sample in samples if sample.attack}
    shares = {
        group: _share(of(group, tuned=chosen), threshold) for group in groups if of(group, tuned=chosen)
    }
    mine = [(sample, score) for sample, score in rows if sample.tuned == chosen]
    passages = sum(len(sample.passages) for sample in samples)
    report = Report(
        half,
        threshold,
        {name: share for name, share in shares.items() if name in CLEAN},
        {name: share for name, share in shares.items() if name not in CLEAN and name not in attacking},
        {name: share for name, share in shares.items() if name in attacking},
        [_point(mine, value) for value in sorted({0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, threshold})],
        1e6 * seconds / passages if passages else 0.0,
        passages,
        {group: len(of(group, tuned=chosen)) for group in groups},
    )
    return report, [s for s, score in mine if s.attack and score < threshold]


def _point(rows: Sequence[tuple[Sample, float]], threshold: float) -> dict[str, float]:
    of_corpus = ([score for sample, score in rows if sample.group == name] for name in CLEAN)
    clean = [_share(scores, threshold) for scores in of_corpus if scores]
    attacks = [score for sample, score in rows if sample.attack]
    other = [score for sample, score in rows if not sample.attack]
    hits, false = sum(s >= threshold for s in attacks), sum(s >= threshold for s in other)
    return {
        "threshold": threshold,
        "clean": _mean(clean),
        "recall": _share(attacks, threshold),
        "precision": hits / (hits + false) if hits + false else 0.0,
    }


def families(attacks: dict[str, float], counts: dict[str, int]) -> dict[str, float]:
    """Detection rates of what has to be told apart: what is planted is an order, a task, or code."""
    named = {
        "prompt_injections": [name for name in attacks if name.startswith("prompts:")],
        "bipia: orders about the answer": [
            name for name in attacks if name.startswith("text:") and name.removeprefix("text: ") not in TASKS
        ],
        "bipia: plain tasks": [name for name in attacks if name.removeprefix("text: ") in TASKS],
        "bipia: code": [name for name in attacks if name.startswith("code:")],
    }
    return {
        family: sum(attacks[name] * counts[name] for name in names) / sum(counts[name] for name in names)
        for family, names in named.items()
        if names
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passages", type=int, default=4000, help="of each clean corpus at most")
    parser.add_argument("--half", choices=("held", "tuned"), default="held")
    parser.add_argument("--missed", action="store_true", help="print what was missed; of the tuned half only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    samples = [
        *(sample for corpus in CLEAN for sample in clean_samples(corpus, options.passages)),
        *planted_samples(),
        *prompt_samples(),
    ]
    if not samples:
        sys.exit("the third-party corpora are not here (set RAG_SHARED_DATA)")
    report, missed = measure(Detector(), samples, options.half)
    if options.json:
        print(json.dumps(asdict(report), indent=2))
        return
    print(f"threshold {report.threshold} (from the tuned half), reported: {report.half} half")
    for title, shares in (("clean, flagged", report.clean), ("also without attack", report.benign)):
        print(f"\n{title}")
        for name, share in shares.items():
            print(f"  {name:32} {share:7.2%} of {report.counts[name]}")
    print("\nattacks, found")
    for name, share in families(report.attacks, report.counts).items():
        print(f"  {name:32} {share:7.1%}")
    for name, share in report.attacks.items():
        print(f"    {name:40} {share:7.1%} of {report.counts[name]}")
    print("\nthreshold  clean  recall  precision")
    for point in report.curve:
        print("{threshold:9.3f} {clean:6.2%} {recall:7.1%} {precision:7.1%}".format(**point))
    print(f"\n{report.ms_per_1000:.0f} ms per 1,000 passages ({report.passages} passages)")
    if options.missed and options.half == "tuned":
        for sample in missed:
            print("MISSED", sample.group, "|", " ".join(sample.passages)[:160].replace("\n", " "))


if __name__ == "__main__":
    main()
