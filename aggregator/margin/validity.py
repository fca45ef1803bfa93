"""What may rest on a mark in its state, and what an account would be were its prices others that may as well be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from aggregator.margin.house import Bound, unit_price
from aggregator.margin.marks_policy import Validity
from aggregator.margin.status import BREACH_UNCONFIRMED
from aggregator.margin.valuation import ValuedPosition
from aggregator.oracle.mark import Mark
from chains.model import Reason


def unconfirmed(positions: Iterable[ValuedPosition], validity: Validity) -> tuple[Reason, ...]:
    """Say of each identity that counts why the house may not call an account liquidatable by its mark."""
    doubtful = {
        item.identity: item.mark
        for item in positions
        if item.matters and isinstance(item.mark, Mark) and item.mark.state not in validity.liquidatable
    }
    return tuple(
        Reason(BREACH_UNCONFIRMED, identity, f"its price is {mark.state.value} ({', '.join(mark.reasons)})")
        for identity, mark in sorted(doubtful.items())
    )


def doubted(positions: Sequence[ValuedPosition], validity: Validity, bound: Bound) -> Sequence[ValuedPosition]:
    """Return positions with the outer side of each mark that confirms no breach as its middle; themselves where all do."""
    return _changed(
        positions,
        lambda item, mark: mark.mid if mark.state in validity.liquidatable else unit_price(item, bound),
    )


def at_worst(positions: Sequence[ValuedPosition]) -> Sequence[ValuedPosition]:
    """Return positions with the worst middle of the window as their mark's: for collateral its lowest, for debt its highest."""
    return _changed(positions, lambda item, mark: mark.highest if item.is_debt else mark.lowest)


def _changed(
    positions: Sequence[ValuedPosition], price: Callable[[ValuedPosition, Mark], float]
) -> Sequence[ValuedPosition]:
    marks = [item.mark if isinstance(item.mark, Mark) else None for item in positions]
    mids = [None if mark is None else price(item, mark) for item, mark in zip(positions, marks, strict=True)]
    if all(mark is None or mid == mark.mid for mark, mid in zip(marks, mids, strict=True)):
        return positions
    return tuple(
        item if mark is None or mid is None else replace(item, mark=_with_mid(mark, mid))
        for item, mark, mid in zip(positions, marks, mids, strict=True)
    )


def _with_mid(mark: Mark, mid: float) -> Mark:
    return replace(mark, low=min(mark.low, mid), mid=mid, high=max(mark.high, mid))
