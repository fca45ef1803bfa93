"""Which kernel there is: the compiled one where numba is installed (`pip install crossmargin[fast]`), else numpy's."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from aggregator.arrays import stacked
from aggregator.arrays.columns import Bits, Floats, Indexes, Places
from aggregator.preferring import preferred

Revalue = Callable[
    [
        Indexes, Indexes, Places, Places, Places, Floats, Floats, Floats, Places, Bits, Places, Floats, Floats, Floats,
        float, Bits, Floats, Bits,
    ],
    None,
]  # fmt: skip
"""What `compiled.revalue` and `stacked.revalue` take, by position."""


@cache
def fastest() -> Revalue:
    """Return the compiled kernel, or numpy's without numba, with one whose inside `quads` does not know, and where nothing can be compiled.

    Both give the same bits.
    """
    return preferred("the margin model over the book", _compiled, stacked.revalue)


def _compiled() -> Revalue:
    from aggregator.arrays.compiled import revalue  # noqa: PLC0415 - numba takes half a second to import

    return revalue
