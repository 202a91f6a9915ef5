"""What the CPU offers: cores this process may use, and native bfloat16 arithmetic."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def available_cpus(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores this process may really use: affinity and the container's quota, not what the host has.

    Libraries that count the host's cores start too many threads in a container and slow down.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text().split()
    except (OSError, ValueError):
        return cores
    if quota == "max":
        return cores
    return max(1, min(cores, -(-int(quota) // int(period))))


def has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether matrix products in bfloat16 run in hardware; emulated ones are slower than float32."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return False
    try:
        with cpuinfo.open() as lines:
            for line in lines:
                if line.startswith("flags"):
                    return not _BF16_FLAGS.isdisjoint(line.split())
    except OSError:
        return False
    return False
