"""What a process that takes in chains asks of Python and of its allocator."""

from __future__ import annotations

import gc

import pyarrow as pa


def keep_house() -> None:
    """Look for cycles seldom, and give memory back.

    Batches make many rows and hardly a cycle, and what was imported lives to the end. Arrow's own pool keeps what a batch needed; the
    system's lends it to DuckDB.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    pa.set_memory_pool(pa.system_memory_pool())
