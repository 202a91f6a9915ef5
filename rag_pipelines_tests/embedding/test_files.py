"""Remembered hashes, whole files, and the lock between processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipelines.embedding.files import locked, sha256_of, write_atomically
from rag_pipelines.embedding.hardware import available_cpus, has_bf16


def test_a_hash_is_remembered_by_stat_and_dropped_on_change(tmp_path: Path) -> None:
    file, cache = tmp_path / "f", tmp_path / "cache"
    file.write_bytes(b"one")
    assert sha256_of(file, cache) == hashlib.sha256(b"one").hexdigest()
    (entry,) = (cache / "hashes").iterdir()
    entry.write_text(entry.read_text().replace(hashlib.sha256(b"one").hexdigest(), "f" * 64))
    assert sha256_of(file, cache) == "f" * 64  # read from the cache, not from the file
    file.write_bytes(b"three")
    assert sha256_of(file, cache) == hashlib.sha256(b"three").hexdigest()


def test_a_damaged_cache_entry_is_ignored(tmp_path: Path) -> None:
    file, cache = tmp_path / "f", tmp_path / "cache"
    file.write_bytes(b"one")
    sha256_of(file, cache)
    (entry,) = (cache / "hashes").iterdir()
    entry.write_text("{")
    assert sha256_of(file, cache) == hashlib.sha256(b"one").hexdigest()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "f"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_the_lock_holds_between_processes(tmp_path: Path) -> None:
    counter = tmp_path / "n"
    counter.write_text("0")
    code = (
        "import sys; from pathlib import Path; from rag_pipelines.embedding.files import locked\n"
        "n = Path(sys.argv[1])\n"
        "for _ in range(200):\n"
        "    with locked(n.parent / '.lock'):\n"
        "        n.write_text(str(int(n.read_text()) + 1))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(counter)]) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "600"


def test_the_lock_is_released_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "l"):
        _ = 1 / 0
    with locked(tmp_path / "l"):
        pass


@pytest.mark.parametrize(("quota", "cpus"), [("100000 100000", 1), ("10000 100000", 1)])
def test_the_containers_quota_bounds_the_threads(tmp_path: Path, quota: str, cpus: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert available_cpus(tmp_path / "cpu.max") == cpus


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000")
    assert available_cpus(tmp_path / "cpu.max") == available_cpus(tmp_path / "absent") >= 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512f avx512_bf16", True), ("fpu amx_bf16", True), ("fpu avx2 avx512f", False), ("", False)],
)
def test_bf16_is_read_from_the_cpu_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text(f"processor: 0\nflags\t\t: {flags}\n")
    assert has_bf16(tmp_path / "cpuinfo") is expected
    assert not has_bf16(tmp_path / "absent")
