"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("duckdb", "pyarrow", "msgspec", "numpy", "aiohttp", "web3")


def described() -> str:
    """Return machine and versions on a few lines."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{model()}, {len(os.sched_getaffinity(0))} cores, {memory_gib():.0f} GiB, {platform.system()} {platform.release()}\n"
        f"Python {platform.python_version()}, {versions}; load average before {os.getloadavg()[0]:.1f}\n"
    )


def model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def memory_gib() -> float:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("MemTotal")).split()[1]) / 2**20
