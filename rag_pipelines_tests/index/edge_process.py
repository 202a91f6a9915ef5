"""Run as another process by the tests of locks, crashes and concurrent readers.

python -m rag_pipelines_tests.index.edge_process write ROOT    upserts for ever, a line after each flush
python -m rag_pipelines_tests.index.edge_process read ROOT TOKEN    opens, counts and closes four times
"""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines_tests.index.sample import SPACE, make_points

BATCH = 50
COLLECTION = "c"


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Run this module as another process: the verb, then what follows the root."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "rag_pipelines_tests.index.edge_process",
            arguments[0],
            str(root),
            *arguments[1:],
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def write(root: Path) -> None:
    """Batch after batch: insert, change, delete, now and then optimise; flush; say how many are durable."""
    writer = EdgeEngine(root).writer(COLLECTION, SPACE)
    for batch in count(1):
        points = make_points(BATCH, seed=batch)
        writer.upsert(points)
        writer.set_payload([points[0].point_id], {"changed": batch})
        writer.delete([points[1].point_id])
        if batch % 3 == 0:
            writer.optimize()
        writer.flush()
        print(batch, flush=True)


def read(root: Path, token: str) -> None:
    """Open, search, count and close the snapshot four times."""
    engine = EdgeEngine(root)
    counts = set()
    for _ in range(4):
        reader = engine.reader(COLLECTION, token)
        counts.add(reader.count())
        reader.close()
    print(*counts)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]))
    else:
        read(Path(sys.argv[2]), sys.argv[3])
