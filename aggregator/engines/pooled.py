"""Parts of a book in processes of this machine, as many as it has cores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from aggregator.engines.extras import EngineFailed
from aggregator.engines.partitions import tallied
from aggregator.risk.tallies import Key, Tally, added

FEW = 4
"""Parts that are done here: to start a process takes as long."""


def in_processes(book: Path, parts: Sequence[str]) -> dict[Key, Tally]:
    """Return what all parts of a book come to; raises `EngineFailed` where a process ended before its part was done."""
    if len(parts) <= FEW:
        return added(tallied(book, part) for part in parts)
    cores = len(os.sched_getaffinity(0))
    try:
        with ProcessPoolExecutor(min(cores, len(parts)), get_context("spawn")) as pool:
            return added(pool.map(partial(tallied, book), parts))
    except BrokenProcessPool as error:
        raise EngineFailed(f"a process ended before its part of {book.name} was done; revalue again") from error
