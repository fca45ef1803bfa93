"""What contracts count and hold: scaled supplies are sums, reserves have what events left them, aTokens hold what debtors do not owe."""

from __future__ import annotations

from collections.abc import Iterator

from chains.auditing import Whole
from chains.evm.aave_v3.events import SCALED_TOTAL_SUPPLY, VIRTUAL_BALANCE
from chains.evm.aave_v3.held import ASPECT as HELD
from chains.evm.aave_v3.held import held_of
from chains.evm.aave_v3.liquidity import ASPECT as COUNTED
from chains.evm.aave_v3.liquidity import FIRST_ALL_COUNTED, FIRST_COUNTED, left_of
from chains.evm.aave_v3.market import SIDES
from chains.evm.aave_v3.tips import Tips
from chains.evm.aave_v3.unit import open_book
from chains.evm.erc20 import BALANCE_OF
from chains.evm.logs import unhex
from chains.evm.ports import STATE, Holding, Read, Total
from chains.model import WHOLE_VENUE, Side, UnitSnapshot

ROUNDS = "each log of the reserve's tokens rounds a balance to the nearest unit, in somebody's favour"


def totals(whole: Whole) -> Iterator[Total]:
    """Name each token's scaled total supply, the sum of its holders' balances (`ScaledBalanceTokenBase`), and what each reserve has left.

    What is left is the pool's own number since 3.1, of reserves that it counts, and before what the aToken holds, where that is read.
    """
    known, at = Tips(whole.snapshot.venue.id, whole.snapshot.markets), whole.snapshot.at.number
    exact = (known.state(WHOLE_VENUE, "engine") or {}).get("exact")
    for asset, reserve in known.each("reserve"):
        for token, side in SIDES.items():
            ours = whole.sums.get((asset, side), 0) if exact and known.rounding(asset, token) is not None else None
            read = Read(at, STATE, unhex(reserve[token]), SCALED_TOTAL_SUPPLY.calldata())
            yield Total("scaledTotalSupply", asset, read, ours)
    yield from _left(whole.snapshot.venue.address, known, at)


def _left(pool: bytes, known: Tips, at: int) -> Iterator[Total]:
    revision = (known.state(WHOLE_VENUE, "engine") or {}).get("revision") or 0
    for asset, reserve in known.each("reserve"):
        counted, held = (known.markets.get((asset, aspect)) for aspect in (COUNTED, HELD))
        if revision >= FIRST_ALL_COUNTED or (revision >= FIRST_COUNTED and counted is not None):
            left = left_of(counted)
            read = Read(at, STATE, pool, VIRTUAL_BALANCE.calldata(asset))
            yield Total("getVirtualUnderlyingBalance", asset, read, None if left is None else left.virtual)
        elif 0 < revision < FIRST_COUNTED and (amount := held_of(held)) is not None:
            read = Read(at, STATE, asset, BALANCE_OF.calldata(unhex(reserve["a_token"])))
            yield Total("balanceOf", asset, read, amount)


def holdings(whole: Whole) -> Iterator[Holding]:
    """Name what each aToken holds of its asset; it and what is owed with interest must cover what suppliers have with interest.

    Where the engine is not exact, or anybody owes at a stable rate, it is not known.
    """
    known = Tips(whole.snapshot.venue.id, whole.snapshot.markets)
    engine = known.state(WHOLE_VENUE, "engine") or {}
    unknown = not engine.get("supported") or not engine.get("exact") or whole.settings("stable_debt")
    everybody = UnitSnapshot(unit_id=b"", owner=b"", positions=whole.sums, settings={})
    valued = {(p.market, p.side): p.amount_raw for p in open_book(whole.snapshot)(everybody).positions}
    for asset, reserve in known.each("reserve"):
        holder, debtor = unhex(reserve["a_token"]), unhex(reserve["variable_debt_token"])
        owed, claims = (valued.get((asset, side), 0) for side in (Side.BORROW, Side.SUPPLY))
        doubtful = unknown or reserve["decimals"] is None
        slack = whole.logs(holder, debtor)
        yield Holding(
            holder,
            asset,
            asset,
            None if doubtful else owed,
            None if doubtful else claims,
            slack,
            ROUNDS if slack else "",
        )
