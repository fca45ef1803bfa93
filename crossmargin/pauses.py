"""How long one thread may keep all others waiting: the event loop answers while others read, judge and value."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_S = 0.0005
"""After how long a thread that computes lets another one that waits have its turn; Python's own is ten times that."""

THRESHOLDS = 100_000, 20, 50
"""How many new objects bring about a look for cycles, and how many such looks one at older objects: a large book is hundreds of
thousands of objects in no cycle, and looking through all of them stops everybody for as long."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """Keep pauses short within the context; what there is already is never looked through again."""
    before = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before[1])
        sys.setswitchinterval(before[0])
