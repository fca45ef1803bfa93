"""A position in the program's own numbers, at a block.

`native`: `col_raw` and `debt_raw` as the program's next instruction would find them, `dust_debt_raw` as written, `tick`; `supply` and
`borrow`: the same in tokens, with interest, collateral down and debt up; `supply_ex_price` and `borrow_ex_price`, times 10^12. With debt
besides: `ratio` (raw debt over raw collateral, times 2^48), `exchange_rate_liquidate` and, where an owner's price holds too,
`exchange_rate_operate` (times 10^15), `liquidation_tick`, `max_tick`, `collateral_factor_tick`, `liquidatable`, and `absorbable`: the next
liquidation takes the whole position. Values are in the vault's debt token, with nine decimals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from chains.identifiers import base58, from_base58
from chains.model import WHOLE_VENUE, Reason, Side, UnitPosition, UnitSnapshot, VenuePrice, VenueSnapshot, VenueUnit
from chains.solana.jupiter_lend.liquidating import Liquidable, Rules, health_of, is_liquidatable
from chains.solana.jupiter_lend.lookups import RAW_DECIMALS, ledger_of
from chains.solana.jupiter_lend.maths import COLD_TICK, ONE_X48, Refused, div_up
from chains.solana.jupiter_lend.oracle import RATE_ONE
from chains.solana.jupiter_lend.rates import PRICE_ONE, Prices
from chains.solana.jupiter_lend.settle import Settled, settled
from chains.solana.jupiter_lend.texts import POSITION_STATE, PROBLEM, position_of
from chains.solana.jupiter_lend.vaults import Book, VaultView
from chains.solana.programs import doubts as unstated
from chains.solana.programs import known

BASE_UNIT = 10**RAW_DECIMALS


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns a position into the program's own numbers and its amounts in tokens."""
    book = Book(snapshot)
    return known(snapshot, lambda unit: Account(book, unit).venue_unit())


def doubts(snapshot: VenueSnapshot) -> tuple[Reason, ...]:
    """Return why nothing of the venue can be known, whoever asks."""
    return tuple(unstated(snapshot))


class Account:
    """One position at a block."""

    def __init__(self, book: Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        self.told: dict[str, Any] = json.loads(unit.settings.get((WHOLE_VENUE, POSITION_STATE), "{}"))
        self.name = base58(unit.unit_id)

    def venue_unit(self) -> VenueUnit:
        """Return the program's numbers and the positions in tokens."""
        unknown = tuple(dict.fromkeys(self._unknown()))
        native = None if unknown else self._native()
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=native,
            health_factor_wad=self._health() if native else None,
            liquidatable=bool(native.get("liquidatable")) if native else None,
            has_debt=self.has_debt,
            collateral_base=self._collateral_base() if native else None,
            debt_base=self._normal(Side.BORROW) if native else None,
            base_unit=BASE_UNIT,
            in_token=True,
            positions=tuple(self._positions()),
            reasons=(*unknown, *self._noted()),
            engine_version=self.book.engine,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Liquidable | tuple[Reason, ...]:
        """Return the position as it would be liquidated, or why that is not known."""
        if unknown := tuple(dict.fromkeys(self._unknown())):
            return unknown
        vault, now, prices = self.vault, self.now, self.prices
        if isinstance(vault, Reason) or isinstance(now, Reason) or isinstance(prices, Reason) or not now.debt:
            return ()
        if isinstance(vault.liquidate_rate, Reason):
            return (vault.liquidate_rate,)
        rules = Rules(vault.vault, vault.decimals, prices, vault.shares, vault.terms["liquidation_bonus"])
        dust = int(self.told["dust"])
        return Liquidable(rules, now, dust, vault.liquidate_rate, vault.liquidate_rate)

    @cached_property
    def closed(self) -> bool:
        """Whether the position is gone."""
        return bool(self.told.get("closed"))

    @cached_property
    def vault(self) -> VaultView | Reason:
        """The position's vault, or why it is not known."""
        if "vault" not in self.told:
            return Reason("position_unknown", self.name, "the position has not been read")
        return self.book.vault(self.told["vault"])

    @cached_property
    def now(self) -> Settled | Reason:
        """What the position holds and owes, raw, or why that is not known."""
        if self.closed:
            return Settled(0, 0, COLD_TICK)
        if PROBLEM in self.told:
            return Reason("position_unreadable", self.name, self.told[PROBLEM])
        if "tick" not in self.told:
            return Reason("position_unknown", self.name, "the position has not been read")
        try:
            found = settled(position_of(self.told), ledger_of(self.told["vault"], self.book.named))
        except Refused as error:
            return Reason("position_refused", self.name, str(error))
        return found if isinstance(found, Settled) else Reason("position_unknown", self.name, found.what)

    @cached_property
    def prices(self) -> Prices | Reason:
        """The vault's exchange prices, or why they are not known."""
        return self.vault if isinstance(self.vault, Reason) else self.vault.prices

    @property
    def has_debt(self) -> bool:
        """Whether anything is owed; also where nobody can say how much."""
        if isinstance(self.now, Settled):
            return self.now.debt > 0
        return not self.told.get("supply_only", 0)

    def _unknown(self) -> Iterator[Reason]:
        if self.closed:
            return
        yield from (each for each in (self.now, self.vault, self.prices) if isinstance(each, Reason))
        if self.has_debt and not isinstance(self.vault, Reason) and isinstance(self.vault.limits, Reason):
            yield self.vault.limits

    def _noted(self) -> Iterator[Reason]:
        """Say what is not known, and takes nothing from the verdict."""
        if self.closed:
            return
        if "mint" in self.told and self.unit.owner == from_base58(self.told["mint"]):
            yield Reason(
                "holder_unknown", self.name, "who holds the position's token is not known; its mint stands for it"
            )
        if isinstance(self.vault, Reason) or isinstance(self.now, Reason) or not (self.now.supply or self.now.debt):
            return
        if not self.has_debt and isinstance(self.vault.liquidate_rate, Reason):
            yield self.vault.liquidate_rate
        if self.has_debt and isinstance(failed := self.vault.collateral_factor_tick, Reason):
            yield Reason(f"operate_{failed.code}", failed.subject, failed.detail)

    def _native(self) -> dict[str, int]:
        now, prices = self.now, self.prices
        if self.closed or isinstance(now, Reason) or isinstance(prices, Reason):
            return {"col_raw": 0, "debt_raw": 0}
        native = {
            "col_raw": now.supply,
            "debt_raw": now.debt,
            "dust_debt_raw": int(self.told["dust"]),
            "tick": now.tick,
            "supply": self._tokens(Side.SUPPLY),
            "borrow": self._tokens(Side.BORROW),
            "supply_ex_price": prices.supply,
            "borrow_ex_price": prices.borrow,
        }
        return native | self._limits(now) if now.debt else native

    def _limits(self, now: Settled) -> dict[str, int]:
        if isinstance(self.vault, Reason) or isinstance(limits := self.vault.limits, Reason):
            return {}
        found = {
            "exchange_rate_liquidate": limits.rate,
            "liquidation_tick": limits.liquidation_tick,
            "max_tick": limits.max_tick,
            "liquidatable": int(is_liquidatable(now, limits.liquidation_tick)),
            "absorbable": int(now.tick > limits.max_tick),
        }
        if now.supply:
            found["ratio"] = now.debt * ONE_X48 // now.supply
        if not isinstance(self.vault.operate_rate, Reason):
            found["exchange_rate_operate"] = self.vault.operate_rate
        if not isinstance(self.vault.collateral_factor_tick, Reason):
            found["collateral_factor_tick"] = self.vault.collateral_factor_tick
        return found

    def _health(self) -> int | None:
        """Return the ratio at which the position may be liquidated over its own, below 1e18 just where it may be."""
        now = self.now
        if isinstance(now, Reason) or not now.debt or isinstance(self.vault, Reason):
            return None
        limits = self.vault.limits
        if isinstance(limits, Reason):
            return None
        return health_of(now, limits)

    def _normal(self, side: Side) -> int:
        """Return an amount with interest and nine decimals: collateral down, debt up."""
        now, prices = self.now, self.prices
        if isinstance(now, Reason) or isinstance(prices, Reason):
            return 0
        if side is Side.SUPPLY:
            return now.supply * prices.supply // PRICE_ONE
        return div_up(now.debt * prices.borrow, PRICE_ONE)

    def _tokens(self, side: Side) -> int:
        """Return an amount with interest in raw token units: collateral down, debt up."""
        if isinstance(self.vault, Reason):
            return 0
        amount, scale = self._normal(side), 10 ** (RAW_DECIMALS - self.vault.decimals[side])
        return amount // scale if side is Side.SUPPLY else div_up(amount, scale)

    def _collateral_base(self) -> int | None:
        if self.closed or isinstance(self.vault, Reason) or isinstance(found := self.vault.liquidate_rate, Reason):
            return 0 if self.closed else None
        return self._normal(Side.SUPPLY) * found // RATE_ONE

    def _positions(self) -> Iterator[UnitPosition]:
        now, prices = self.now, self.prices
        if self.closed or isinstance(now, Reason) or isinstance(prices, Reason) or isinstance(self.vault, Reason):
            return
        for side, raw in ((Side.SUPPLY, now.supply), (Side.BORROW, now.debt)):
            market, asset = self.vault.vault.side(side)
            if raw:
                yield UnitPosition(
                    market=market,
                    asset=asset,
                    side=side,
                    symbol="",
                    decimals=self.vault.decimals[side],
                    amount_raw=self._tokens(side),
                    protocol_raw=raw,
                    counts=True,
                    price=self._price(side),
                    liquidation_threshold=self.vault.terms["liquidation_threshold"] if side is Side.SUPPLY else None,
                )

    def _price(self, side: Side) -> VenuePrice | None:
        """Return the oracle's rate for a liquidation, in whole debt tokens."""
        if isinstance(self.vault, Reason):
            return None
        at = self.book.snapshot.at
        if side is Side.BORROW:
            return VenuePrice(1, 1, self.vault.oracle, at.time, at.number)
        found = self.vault.liquidate_rate
        return None if isinstance(found, Reason) else VenuePrice(found, RATE_ONE, self.vault.oracle, at.time, at.number)
