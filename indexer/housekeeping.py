"""What a process that takes in chains asks of Python and of its allocator."""

from __future__ import annotations

import atexit
import ctypes
import gc

import pyarrow as pa

ARENA_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1
"""Names of glibc's options (`mallopt(3)`)."""

MiB = 1024 * 1024


def keep_house() -> None:
    """Look for cycles seldom, and give memory back.

    Batches make many rows and hardly a cycle, and what was imported lives to the end; there it is collected after all, or libraries
    tell of leaks. Arrow's own pool keeps what a batch needed; the system's lends it to Python and gives large pieces back, where it
    is glibc and told so.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)
    gc.set_threshold(100_000, 20, 100)
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((ARENA_MAX, 2), (MMAP_THRESHOLD, MiB), (TRIM_THRESHOLD, 16 * MiB)):
            mallopt(option, value)
