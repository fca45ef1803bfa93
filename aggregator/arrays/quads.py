"""Four numbers side by side, one for each margin of an account, as one instruction of the processor takes them.

What is written as four numbers one after the other numba computes one after the other; a quad is a vector of them. Each number is
rounded as the plain operation rounds it. Importing it raises `ImportError` without numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from aggregator.arrays.columns import SEEN

ir: Any = cgutils.ir  # type: ignore[attr-defined]  # llvmlite's, of which numba alone says which version
item_pointer: Any = cgutils.get_item_pointer

VECTOR = ir.VectorType(ir.DoubleType(), SEEN)
ALIGNED = 8
"""Bytes: where one number may begin a quad may."""


class Quad(types.Type):
    """The type of a quad in compiled code; Python never sees one."""

    def __init__(self) -> None:
        super().__init__(name="Quad")


@register_model(Quad)
class _QuadModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Quad) -> None:
        super().__init__(manager, kind, VECTOR)  # type: ignore[no-untyped-call]  # numba ships no types


QUAD: Any = Quad()


def _of_two(work: Callable[[Any, Any, Any], Any]) -> Any:
    @intrinsic
    def made(_: Any, one: Any, other: Any) -> Any:
        def code(_: Any, builder: Any, __: Any, given: Any) -> Any:
            return work(builder, *given)

        return (QUAD(QUAD, QUAD), code) if one == other == QUAD else None

    return made


def _lower(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", other, one), other, one)


def _higher(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", other, one), other, one)


def _where_positive(builder: Any, one: Any, other: Any) -> Any:
    nothing = ir.Constant(VECTOR, [0.0] * SEEN)
    return builder.select(builder.fcmp_ordered(">", one, nothing), other, nothing)


def _quad(_: Any, one: Any, two: Any, three: Any, four: Any) -> Any:
    def code(_: Any, builder: Any, __: Any, given: Any) -> Any:
        found = ir.Constant(VECTOR, ir.Undefined)
        for place, number in enumerate(given):
            found = builder.insert_element(found, number, ir.Constant(ir.IntType(32), place))
        return found

    return (QUAD(*[types.float64] * SEEN), code) if {one, two, three, four} == {types.float64} else None


def _place(context: Any, builder: Any, kind: Any, given: Any) -> Any:
    array = context.make_array(kind)(context, builder, given[0])
    place = item_pointer(context, builder, kind, array, given[1:3], wraparound=False)
    return builder.bitcast(place, VECTOR.as_pointer())


def _read(_: Any, array: Any, row: Any, column: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.load(_place(context, builder, signature.args[0], given), align=ALIGNED)

    return (QUAD(array, row, column), code) if row == column == types.uint64 else None


def _write(_: Any, array: Any, row: Any, column: Any, numbers: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        builder.store(given[3], _place(context, builder, signature.args[0], given), align=ALIGNED)
        return context.get_dummy_value()

    return (types.void(array, row, column, QUAD), code) if numbers == QUAD and row == column == types.uint64 else None


added = _of_two(lambda builder, one, other: builder.fadd(one, other))
less = _of_two(lambda builder, one, other: builder.fsub(one, other))
times = _of_two(lambda builder, one, other: builder.fmul(one, other))
over = _of_two(lambda builder, one, other: builder.fdiv(one, other))
lower = _of_two(_lower)
higher = _of_two(_higher)

where_positive = _of_two(_where_positive)
"""`where_positive(a, b)`: b where a is more than nothing, else nothing."""

quad: Any = intrinsic(_quad)
"""`quad(a, b, c, d)`: a quad of four numbers."""

read: Any = intrinsic(_read)
"""`read(array, row, column)`: four numbers of a row, from a column on."""

write: Any = intrinsic(_write)
"""`write(array, row, column, quad)`: the other way round."""
