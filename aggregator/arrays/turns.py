"""Turns of threads that share work: whoever is free takes the next. Importing it raises `ImportError` without numba.

A core that has other things to do meanwhile takes fewer, and keeps nobody waiting.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

ir: Any = cgutils.ir  # type: ignore[attr-defined]  # llvmlite's, of which numba alone says which version


def _taken(_: Any, turn: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, given[0])
        return builder.atomic_rmw("add", array.data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return (types.int64(turn), code) if isinstance(turn, types.Array) and turn.dtype == types.int64 else None


taken: Any = intrinsic(_taken)
"""`taken(turn)`: the first number of an array of int64, which is one more for whoever asks next."""
