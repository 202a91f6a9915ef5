"""Random corpora, askers and questions by every read path on both engines, against a brute-force oracle.

`python -m rag_pipelines_tests.benchmarks.access_oracle --cases 10000`; a case is one asker with one question, who
asks every path. Prints how many cases differed from the oracle, and the first differences.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from typing import Any

from rag_pipelines_tests.access.corpus import draw_cases, draw_corpus
from rag_pipelines_tests.access.oracle import judge
from rag_pipelines_tests.access.world import built
from rag_pipelines_tests.project import Parts

ASKERS = 25
"""Cases of one corpus: making it costs as much as a dozen of them."""

ENGINES = ("edge", "local")
SHOWN = 5


def run(
    cases: int, seed: int = 0, engines: tuple[str, ...] = ENGINES, askers: int = ASKERS, first: int = 0
) -> dict[str, Any]:
    """So many cases, the engines in turn, from this corpus on; the same seed gives the same cases."""
    parts = Parts()
    done, differing, corpora = 0, 0, first
    shown: list[str] = []
    began = time.monotonic()
    try:
        while done < cases:
            rng = random.Random(f"{seed}-{corpora}")
            engine = engines[corpora % len(engines)]
            with built(draw_corpus(rng), parts, engine) as world:
                for case in draw_cases(rng, min(askers, cases - done)):
                    found = judge(world, case)
                    done += 1
                    differing += bool(found)
                    shown += [f"corpus {corpora} on {engine}: {one}" for one in found]
                    del shown[SHOWN:]
            corpora += 1
            if not corpora % 10:
                print(f"{done} cases, {differing} differing, {time.monotonic() - began:.0f} s", flush=True)
    finally:
        parts.close()
    return {
        "cases": done,
        "corpora": corpora - first,
        "engines": list(engines),
        "differing": differing,
        "seconds": round(time.monotonic() - began, 1),
        "first": shown,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=ENGINES, help="only this one")
    parser.add_argument("--askers", type=int, default=ASKERS, help="cases of one corpus")
    parser.add_argument("--first", type=int, default=0, help="go on from this corpus, from 0")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    engines = (given.engine,) if given.engine else ENGINES
    found = run(given.cases, given.seed, engines, given.askers, given.first)
    print(json.dumps(found, indent=1))
    raise SystemExit(1 if found["differing"] else 0)


if __name__ == "__main__":
    main()
