"""What a Comet counts and holds: collateral to the last unit, principals but for what operations round away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chains.auditing import Told, Whole
from chains.evm.compound_v3.events import TOTALS_BASIC, TOTALS_COLLATERAL
from chains.evm.compound_v3.maths import INDEX
from chains.evm.compound_v3.tips import TERMS, TOTALS
from chains.evm.compound_v3.unit import open_book
from chains.evm.logs import unhex
from chains.evm.ports import STATE, Holding, Read, Total
from chains.model import WHOLE_VENUE, Side, UnitSnapshot

DUST = (
    "an operation that rounds a principal down, as a supply of nothing does, leaves the total as it is "
    "(`repayAndSupplyAmount`): one unit for each log of the Comet at most"
)
ROUNDS = "each accrual rounds the index of debts down, by less than 1e-15"

_SUPPLY, _BORROW = 4, 5
"""Words of `totalsBasic`."""


def totals(whole: Whole) -> Iterator[Total]:
    """Name the totals of both sides of the base token, and of each collateral that is held."""
    at, comet = whole.snapshot.at.number, whole.snapshot.venue.address
    terms = _aspect(whole, TERMS)
    base = unhex(terms["base"]) if "base" in terms else b""
    if base:
        read = Read(at, STATE, comet, TOTALS_BASIC.calldata())
        told = _aspect(whole, TOTALS).get("followed")
        for name, side, word in (("totalSupplyBase", Side.SUPPLY, _SUPPLY), ("totalBorrowBase", Side.BORROW, _BORROW)):
            most = whole.logs(comet) if side is Side.SUPPLY else 0
            ours = whole.sums.get((base, side), 0) if told else None
            yield Total(name, base, read, ours, word, 0, most, DUST if most else "")
    for (asset, side), total in sorted(whole.sums.items()):
        if side is Side.SUPPLY and asset != base:
            read = Read(at, STATE, comet, TOTALS_COLLATERAL.calldata(asset))
            yield Total("totalsCollateral", asset, read, total)


def told(whole: Whole) -> Iterator[Told]:
    """Name the totals of the base token as they were last read, beside the principals that were read with them."""
    terms, last = _aspect(whole, TERMS), _aspect(whole, TOTALS)
    if "base" not in terms or not last:
        return
    comet, base = whole.snapshot.venue.address, unhex(terms["base"])
    for name, side in (("total_supply", Side.SUPPLY), ("total_borrow", Side.BORROW)):
        most = whole.logs(comet) if side is Side.SUPPLY else 0
        ours = whole.sums.get((base, side), 0) if last.get("followed") else None
        theirs = int(last[name]) if name in last else None
        yield Told(f"totalsBasic as last read: {name}", comet, base, ours, theirs, 0, most, DUST if most else "")


def holdings(whole: Whole) -> Iterator[Holding]:
    """Name what the Comet holds of its base token, which with all debt must cover all supply, and of each collateral."""
    terms, comet = _aspect(whole, TERMS), whole.snapshot.venue.address
    if "base" not in terms:
        return
    base, told = unhex(terms["base"]), _aspect(whole, TOTALS).get("followed") and not terms.get("problem")
    everybody = UnitSnapshot(unit_id=b"", owner=b"", positions=whole.sums, settings={})
    valued = {(p.market, p.side): p.amount_raw for p in open_book(whole.snapshot)(everybody).positions} if told else {}
    owed, claims = (valued.get((base, side), 0) if told else None for side in (Side.BORROW, Side.SUPPLY))
    slack = whole.logs(comet) * (1 + (owed or 0) // INDEX)
    yield Holding(comet, base, base, owed, claims, slack, ROUNDS)
    for asset in (unhex(each["asset"]) for each in terms.get("assets", ())):
        yield Holding(comet, asset, asset, 0, whole.sums.get((asset, Side.SUPPLY), 0))


def _aspect(whole: Whole, aspect: str) -> dict[str, Any]:
    return dict(json.loads(whole.snapshot.markets.get((WHOLE_VENUE, aspect), "{}")))
