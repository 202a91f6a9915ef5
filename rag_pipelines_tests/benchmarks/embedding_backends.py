"""Chunks per second, faithfulness, load time and memory of every embedding backend on this machine.

`python -m rag_pipelines_tests.benchmarks.embedding_backends --texts 200` prints a Markdown table. Each backend
runs in a process of its own, one after another, and the baseline (`SentenceTransformer.encode` with its
defaults: torch float32, batches of 32) before and after the others: on a shared machine compare the ratios,
and only where the two baselines agree; the rates per second of CPU time suffer less from neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.embedding import open_embedder, open_tokenizer

BASELINE = ("torch", "fp32")
CASES = [
    BASELINE,
    ("torch", "bf16"),
    ("onnx", "fp32"),
    ("onnx", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
]
_SUBJECTS = (
    "pump",
    "valve",
    "ledger",
    "tenant",
    "cluster",
    "backup",
    "invoice",
    "contract",
    "sensor",
    "reactor",
    "museum",
    "patient",
    "glacier",
    "query",
)
_VERBS = (
    "reports",
    "requires",
    "replaces",
    "restarts",
    "measures",
    "rejects",
    "approves",
    "stores",
    "encrypts",
    "cools",
    "archives",
    "describes",
)
_TAILS = [
    "within thirty days of the notice",
    "unless the operator has confirmed it twice",
    "as shown in table 4 of the appendix",
    "because two of the three loops suffice at full load",
    "(see `docs/runbook.md`, section 2.1)",
    "although version 3.2 behaves differently on Windows",
]


def synthetic_texts(count: int, tokens: int = 225, seed: int = 1) -> list[str]:
    """Sentences of common words, cut to about so many tokens (within a fifth)."""
    draw = random.Random(seed)
    offsets = open_tokenizer(EmbeddingConfig(), Path()).offsets
    texts = []
    for _ in range(count):
        sentences = [
            f"The {draw.choice(_SUBJECTS)} {draw.choice(_VERBS)} the {draw.choice(_SUBJECTS)} {draw.choice(_TAILS)}."
            for _ in range(tokens // 8)
        ]
        text = " ".join(sentences)
        spans = offsets([text])[0]
        texts.append(text[: spans[min(len(spans), int(tokens * draw.uniform(0.8, 1.1))) - 1, 1]])
    return texts


def texts_of(path: Path, count: int) -> list[str]:
    """Lines of a text file, or the `text` of each line of a .jsonl file."""
    with path.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] if path.suffix == ".jsonl" else line.rstrip("\n") for line in lines]
    return [text for text in texts if text.strip()][:count]


def measure(backend: str, precision: str, texts: list[str], models_dir: Path, out: Path, rounds: int) -> None:
    """The child process: load, warm up, embed, report the best round and save the vectors."""
    import psutil

    config = EmbeddingConfig.model_validate({"backend": backend, "precision": precision})
    started = time.perf_counter()
    embedder = open_embedder(config, models_dir)
    embedder.embed_query("warm up")
    load = time.perf_counter() - started
    embedder.embed(texts[:8])
    seconds, cpu_seconds = [], []
    for _ in range(rounds):
        started, cpu_started = time.perf_counter(), time.process_time()
        batch = embedder.embed(texts)
        seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    latencies = []
    for _ in range(30):
        started = time.perf_counter()
        embedder.embed_query("how do I restart the pump after a power cut?")
        latencies.append(time.perf_counter() - started)
    np.save(out / "vectors.npy", batch.vectors)
    report = {
        "rate": len(texts) / min(seconds),
        "cpu_rate": len(texts) / min(cpu_seconds),
        "load": load,
        "rss": psutil.Process().memory_info().rss / 2**20,
        "query_ms": 1000 * sorted(latencies)[len(latencies) // 2],
        "truncated": batch.truncated,
        "description": embedder.description,
    }
    embedder.close()
    (out / "report.json").write_text(json.dumps(report))


def run_case(case: tuple[str, str], texts: Path, count: int, models_dir: Path, rounds: int) -> dict[str, Any]:
    """One backend in its own process; a first one converts, so that loading is measured as users see it."""
    backend, precision = case
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", __spec__.name, "--texts", str(count), "--file", str(texts)]
        command += [
            "--models",
            str(models_dir),
            "--rounds",
            str(rounds),
            "--child",
            backend,
            precision,
            folder,
        ]
        subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        report: dict[str, Any] = json.loads((Path(folder) / "report.json").read_text())
        report["vectors"] = np.load(Path(folder) / "vectors.npy")
    return report


def table(results: Sequence[tuple[tuple[str, str], dict[str, Any]]]) -> str:
    """Markdown, one row a backend; the ratio is to the mean of the baselines."""
    baselines = [report for case, report in results if case == BASELINE]
    base = float(np.mean([report["rate"] for report in baselines]))
    cpu_base = float(np.mean([report["cpu_rate"] for report in baselines]))
    reference = baselines[0]["vectors"]
    lines = [
        "| backend | precision | chunks/s | x baseline | chunks/CPU-s | x baseline "
        "| cosine mean / min | query ms | load s | RSS MB |",
        "|---|---|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for (backend, precision), report in results:
        cosine = (report["vectors"] * reference).sum(axis=1)
        lines.append(
            f"| {backend} | {precision} | {report['rate']:.1f} | {report['rate'] / base:.2f} "
            f"| {report['cpu_rate']:.1f} | {report['cpu_rate'] / cpu_base:.2f} "
            f"| {cosine.mean():.5f} / {cosine.min():.5f} | {report['query_ms']:.1f} | {report['load']:.2f} "
            f"| {report['rss']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=128, help="how many texts")
    parser.add_argument("--file", type=Path, help="texts to use: lines, or .jsonl with a text field")
    parser.add_argument("--models", type=Path, help="where conversions are kept (default: the temp folder)")
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many counts")
    parser.add_argument(
        "--only", nargs="*", default=[], help="such as openvino-bf16; the baseline always runs"
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    models_dir = options.models or Path(tempfile.gettempdir()) / f"rag-pipelines-test-models-{os.getuid()}"
    texts = texts_of(options.file, options.texts) if options.file else synthetic_texts(options.texts)
    if options.child:
        backend, precision, folder = options.child
        measure(backend, precision, texts, models_dir, Path(folder), options.rounds)
        return
    chosen = [
        case for case in CASES if case == BASELINE or not options.only or "-".join(case) in options.only
    ]
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "texts.jsonl"
        shared.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        for case in chosen[1:]:
            run_case(case, shared, 8, models_dir, 1)
        results = [
            (case, run_case(case, shared, options.texts, models_dir, options.rounds))
            for case in (*chosen, BASELINE)
        ]
    spans = open_tokenizer(EmbeddingConfig(), models_dir).offsets(texts)
    print(
        f"{len(texts)} texts, {np.mean([len(s) for s in spans]):.0f} tokens on average, best of {options.rounds}\n"
    )
    print(table(results))
    print("\n" + "\n".join(f"- {report['description']}" for case, report in results if case != BASELINE))


if __name__ == "__main__":
    main()
