"""What the query service bears: queries per second and latency, with and without a key, cache, filters, a reranker.

    python -m rag_pipelines_tests.benchmarks.service_capacity [--home FOLDER] [--clients 1,8,32] [--seconds 10]
        [--no-rerank] [--overload 10] [--json]

The real service (`rag-pipelines serve`) runs in a process over the index of awsdocs_dev, the client in another; all
of them share the machine. `--home` is a folder in which `retrieval_quality --home` built the set; it is copied, and
without it the set is built. Questions are the set's own 43, asked as fast as they are answered:

Callers are nobody in particular, or show an API key, made for the run, that the service asks for. What is kept:

- `none`: nothing is kept, every question is embedded and searched;
- `embeddings`: vectors of questions are kept, every one is searched;
- `results`: answers are kept, and nearly all of these come from memory. What that is worth in use depends on how
  often the same is asked by the same people.

The reranker is a cross-encoder of two layers of 384 with random weights: it costs what one of its size costs, and
its order means nothing. Overload asks at so many times the rate that 8 clients reached with nothing kept, on a fixed
schedule. Exit code 1 where anything but 200 and 503 was answered.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from rag_pipelines.config.limits import MEGABYTE
from rag_pipelines_tests.benchmarks.http_load import Plan, carried_out
from rag_pipelines_tests.benchmarks.retrieval_sets import INDEX, JudgedSet, open_set
from rag_pipelines_tests.project import copy_sparse, shared_models_dir

SET = "awsdocs_dev"
K = 10
READ = 20
FILTERS = {"media_type": "text/markdown", "language": "en"}
CACHES: dict[str, dict[str, Any]] = {
    "none": {"result_megabytes": 0, "embeddings": 0},
    "embeddings": {"result_megabytes": 0},
    "results": {},
}
PATIENCE_SECONDS = 120.0
ANSWERED = {"200", "503"}
"""What a service that has too much to do answers."""

MOST_CONNECTIONS = 400


def opened(home: Path | None, folder: Path) -> JudgedSet:
    """The set in a folder of this run's own."""
    if home is not None:
        _copy(home / SET, folder / SET)
    return open_set(SET, folder, synced=home is None)


def _copy(source: Path, target: Path) -> None:
    """Without the pages; the catalog as of one moment, whoever writes to it."""
    shutil.copytree(
        source,
        target,
        symlinks=True,
        copy_function=copy_sparse,
        ignore=shutil.ignore_patterns("catalog.sqlite*", "pages"),
    )
    with (
        closing(sqlite3.connect(f"file:{source}/home/catalog.sqlite?mode=ro", uri=True)) as given,
        closing(sqlite3.connect(target / "home" / "catalog.sqlite")) as made,
    ):
        given.backup(made)


def reranker(folder: Path) -> Path:
    """A cross-encoder of two layers with random weights."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from rag_pipelines.embedding.models import resolve

    torch.manual_seed(7)
    config = BertConfig(hidden_size=384, num_hidden_layers=2, num_attention_heads=12, intermediate_size=1536)
    config.num_labels = 1
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    AutoTokenizer.from_pretrained(str(resolve("bundled:all-MiniLM-L6-v2").path)).save_pretrained(folder)
    return folder


def configure(judged: JudgedSet, cache: str, rerank: Path | None, *, keys: bool) -> None:
    """Write `service.yaml` and the index's `retrieval.rerank`; with `keys` callers need one."""
    configs = judged.root / "configs"
    who = {"auth": {"mode": "authenticated"}} if keys else {"principal": {"tenant": "bench"}}
    service = {**who, "cache": CACHES[cache]}
    (configs / "service.yaml").write_text(yaml.safe_dump(service), encoding="utf-8")
    path = configs / "indexes" / f"{INDEX}.yaml"
    index = yaml.safe_load(path.read_text(encoding="utf-8"))
    index.pop("retrieval", None)
    if rerank is not None:
        index["retrieval"] = {"rerank": {"model": str(rerank), "top_n": READ, "seconds": 60}}
    path.write_text(yaml.safe_dump(index), encoding="utf-8")


def variables(judged: JudgedSet) -> dict[str, str]:
    """Of a process that works on the set."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "RAG_"))}
    own = {"RAG_HOME": str(judged.root / "home"), "RAG_CONFIGS": str(judged.root / "configs")}
    return {**clean, **own}


def new_key(judged: JudgedSet) -> str:
    """An API key of the principal as whom everybody asks where nobody shows one."""
    configure(judged, "none", None, keys=True)
    command = [sys.executable, "-m", "rag_pipelines.cli", "keys", "create", "--subject", "bench"]
    command += ["--tenant", "bench", "--clearance", "internal", "--scope", "search", "--days", "1"]
    made = subprocess.run(
        command, env=variables(judged), check=True, stdout=subprocess.PIPE, text=True, timeout=300
    )
    return made.stdout.strip()


@contextmanager
def service(judged: JudgedSet) -> Iterator[tuple[str, psutil.Process]]:
    """The service in a process of its own, ready: its URL and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rag_pipelines.cli", "serve", "--port", str(port)]
    log = judged.root / "service.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(command, env=variables(judged), stdout=written, stderr=written) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, process, log)
            yield url, psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=30).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the service does not start: {log.read_text(encoding='utf-8')[-2000:]}")


def bodies(judged: JudgedSet, filtered: bool) -> list[dict[str, Any]]:
    """The questions of the set."""
    filters = {"filters": FILTERS} if filtered else {}
    return [{"query": text, "k": K, **filters} for text in judged.queries.values()]


def measure(
    judged: JudgedSet, clients: list[int], seconds: float, rerank: Path | None, token: str | None
) -> list[dict[str, Any]]:
    """One row for each condition."""
    rows = []
    for cache in CACHES:
        configure(judged, cache, rerank, keys=token is not None)
        with service(judged) as (url, process):
            target = f"{url}/v1/indexes/{INDEX}/search"
            for filtered in (False, True):
                asked = bodies(judged, filtered)
                carried_out(Plan(target, asked, 2, min(seconds, 3), token=token))
                for number in clients:
                    report = carried_out(Plan(target, asked, number, seconds, token=token))
                    rows.append(
                        {
                            "key": token is not None,
                            "rerank": rerank is not None,
                            "kept": cache,
                            "filters": filtered,
                            "clients": number,
                            **figures(report),
                            "rss_mb": round(process.memory_info().rss / MEGABYTE),
                        }
                    )
                    print(rows[-1], file=sys.stderr)
    return rows


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """What the table shows of a report."""
    good = report["statuses"].get("200", {"count": 0, "p50": None, "p95": None, "p99": None})
    return {
        "per_second": round(good["count"] / report["seconds"], 1),
        **{name: good[name] for name in ("p50", "p95", "p99")},
        "hits": round(report["hits"] / max(good["count"], 1), 3),
        "refused": report["statuses"].get("503", {"count": 0})["count"],
        "failed": sum(row["count"] for status, row in report["statuses"].items() if status not in ANSWERED),
    }


def overload(judged: JudgedSet, times: float, seconds: float, token: str | None) -> dict[str, Any]:
    """Ask at so many times what 8 clients get answered, with nothing kept."""
    configure(judged, "none", None, keys=token is not None)
    with service(judged) as (url, process):
        target = f"{url}/v1/indexes/{INDEX}/search"
        asked = bodies(judged, False)
        calm = figures(carried_out(Plan(target, asked, 8, seconds, token=token)))
        before = process.memory_info().rss
        peaks: list[int] = []
        plan = Plan(target, asked, MOST_CONNECTIONS, seconds, calm["per_second"] * times, token)
        report = carried_out(plan)
        peaks.append(process.memory_info().rss)
        again = carried_out(plan)
        peaks.append(process.memory_info().rss)
        after = figures(carried_out(Plan(target, asked, 8, seconds, token=token)))
        return {
            "sustainable": calm,
            "asked_per_second": plan.rate,
            "first": report,
            "second": again,
            "afterwards": after,
            "rss_mb": [round(size / MEGABYTE) for size in (before, *peaks)],
            "threads": process.num_threads(),
        }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    names = (
        "key",
        "rerank",
        "kept",
        "filters",
        "clients",
        "per_second",
        "p50",
        "p95",
        "p99",
        "hits",
        "refused",
        "failed",
        "rss_mb",
    )
    lines = [f"| {' | '.join(name.replace('_', ' ') for name in names)} |", "|---" * 4 + "|---:" * 9 + "|"]
    told = {True: "yes", False: "no"}
    for row in rows:
        cells = [str(told.get(row[name], row[name]) if name in names[:4] else row[name]) for name in names]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--no-rerank", action="store_true")
    parser.add_argument("--overload", type=float, default=10, help="times the sustainable rate; 0: none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    clients = [int(number) for number in options.clients.split(",") if number]
    with tempfile.TemporaryDirectory(prefix="rag-capacity-") as temporary:
        shared_models_dir()
        judged = opened(options.home, Path(temporary))
        key = new_key(judged)
        models = [None] if options.no_rerank else [None, reranker(Path(temporary) / "reranker")]
        rows = [
            row
            for model in models
            for token in (None, key)
            for row in (measure(judged, clients, options.seconds, model, token) if clients else [])
        ]
        pressed = overload(judged, options.overload, options.seconds, key) if options.overload else None
    if options.json:
        print(json.dumps({"rows": rows, "overload": pressed}))
    else:
        print(table(rows))
        print(json.dumps(pressed, indent=1))
    strange = set(pressed["first"]["statuses"]) | set(pressed["second"]["statuses"]) if pressed else set()
    if any(row["failed"] for row in rows) or strange - ANSWERED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
