"""The Comet's own arithmetic: `balanceOf`, `borrowBalanceOf`, `isLiquidatable`, `isBorrowCollateralized`.

`native` holds `principal`, `balanceOf`, `borrowBalanceOf`, `isBorrowCollateralized`, `liquidatable_view`, `liquidatable_now` (booleans as
0 and 1), and what they rest on: `debtValue`, `liquidationValue`, `borrowValue`, `collateralValue` in 1e-8 of the feeds' currency, with
interest to the block. `liquidatable_view` and `isBorrowCollateralized` are what the contract's views answer: at the indices of the last
accrual. `absorb` accrues before it looks, so an account can be absorbed of which the view still says no: `liquidatable_now` accrues to the
block's time. `VenueUnit.liquidatable` is `liquidatable_now`, the cautious one: accrual only adds to debt, so it holds where the view does.
The view `isBorrowCollateralized` reverts for who still holds deactivated collateral; then it is left out.
`health_factor_wad` = liquidationValue * 1e18 // debtValue, which is below 1e18 where `liquidatable_now`, and only there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chains.evm.compound_v3.absorbing import Absorbable, Factors
from chains.evm.compound_v3.maths import FACTOR, Curve, Indices, Totals, accrued, mul_factor, present, value
from chains.evm.compound_v3.tips import ENGINE, PRINCIPAL, TERMS, TOTALS, UNREAD, WIDE
from chains.evm.oracles.chainlink import current_answer
from chains.liquidating import BASIS_POINTS, Lot
from chains.model import (
    WHOLE_VENUE,
    Reason,
    Side,
    UnitPosition,
    UnitSnapshot,
    VenuePrice,
    VenueSnapshot,
    VenueUnit,
)

PRICE_UNIT = 10**8
"""All price feeds of a Comet have eight decimals; its constructor refuses others."""

_IN_USD = re.compile(r"/\s*USD\s*$")
"""A Comet does not say what currency its prices are in; its base token's feed does, if it is a plain one ("USDC / USD")."""

WAD = 10**18
MAX_UINT256 = 2**256 - 1
_BASIS_POINT = FACTOR // 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A token of the Comet at the block: factors of 1e18, and its price or why there is none."""

    token: bytes
    symbol: str
    scale: int
    borrow_factor: int
    liquidate_factor: int
    deactivated: bool
    price: VenuePrice | Reason
    liquidation_factor: int = 0

    @property
    def decimals(self) -> int:
        """The token's decimals: its scale is a power of ten."""
        return len(str(self.scale)) - 1

    def value(self, amount: int) -> int:
        """Return the value of an amount, down; zero for an asset without a price, which is told elsewhere."""
        return value(amount, self.price.answer_raw, self.scale) if isinstance(self.price, VenuePrice) else 0


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns a unit of this Comet into the Comet's own numbers and its positions in tokens."""
    book = _Book(snapshot)
    return lambda unit: _Account(book, unit).venue_unit()


class _Book:
    """A Comet at a block: indices and prices, computed once for all of its accounts."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        self.terms = self._state(TERMS) or {}
        self.totals = self._state(TOTALS) or {}
        self.problems = tuple(self._problems())
        self.base = self._base() if "base" in self.terms else None
        self.base_unit = PRICE_UNIT if _IN_USD.search(self.terms.get("feed_description", "")) else None
        self.assets = [self._asset(each) for each in self.terms.get("assets", ())]
        if not self.problems:
            self.stored, self.now = self._indices()

    def _problems(self) -> list[Reason]:
        name = self.snapshot.venue.id
        if self.terms.get("problem"):
            detail = f"the implementation is of no known version: {self.terms['problem']}"
            return [Reason("unsupported_version", name, detail)]
        if not self.terms or not self.totals.get("followed"):
            detail = "no node had the state of the block, and indices and principals are in no event"
            return [Reason("state_unavailable", name, detail)]
        return []

    def _indices(self) -> tuple[Indices, Indices]:
        fields = ("supply_index", "borrow_index", "total_supply", "total_borrow", "accrued_at")
        totals = Totals(*(int(self.totals[name]) for name in fields))
        seconds = self.snapshot.at.time - totals.accrued_at
        supply, borrow = (_curve(self.terms[side]) for side in ("supply", "borrow"))
        return Indices(totals.supply_index, totals.borrow_index), accrued(totals, supply, borrow, seconds)

    def _base(self) -> Asset:
        return Asset(
            token=bytes.fromhex(self.terms["base"][2:]),
            symbol=self.terms["symbol"] or "",
            scale=int(self.terms["base_scale"]),
            borrow_factor=0,
            liquidate_factor=0,
            deactivated=False,
            price=self._price(self.terms["feed"]),
        )

    def _asset(self, terms: Mapping[str, Any]) -> Asset:
        return Asset(
            token=bytes.fromhex(terms["asset"][2:]),
            symbol=terms["symbol"] or "",
            scale=int(terms["scale"]),
            borrow_factor=int(terms["borrow_factor"]),
            liquidate_factor=int(terms["liquidate_factor"]),
            deactivated=terms["offset"] in self.terms.get("deactivated", ()),
            price=self._price(terms["feed"]),
            liquidation_factor=int(terms["liquidation_factor"]),
        )

    def _price(self, feed: str) -> VenuePrice | Reason:
        """Return what `getPrice` returns, or why it (or this program) has no answer."""
        source = bytes.fromhex(feed[2:])
        answer = current_answer(self.snapshot, source)
        if isinstance(answer, Reason):
            return answer
        if answer.answer_raw <= 0:
            detail = f"feed {feed} answers {answer.answer_raw}; the Comet refuses prices that are not positive"
            return Reason("price_not_positive", feed, detail)
        return VenuePrice(answer.answer_raw, PRICE_UNIT, source, answer.updated_at, answer.block, answer.basis)

    def _state(self, aspect: str) -> dict[str, Any] | None:
        text = self.snapshot.markets.get((WHOLE_VENUE, aspect))
        return None if text is None else json.loads(text)


def _curve(terms: Mapping[str, str]) -> Curve:
    return Curve(*(int(terms[name]) for name in Curve._fields))


class _Account:
    """One account of a Comet at a block."""

    def __init__(self, book: _Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        self.unread = unit.settings.get((WHOLE_VENUE, PRINCIPAL)) == UNREAD
        base = book.base.token if book.base else b""
        self.supplied = unit.positions.get((base, Side.SUPPLY), 0)
        self.owed = unit.positions.get((base, Side.BORROW), 0)
        self.held = [(asset, amount) for asset in book.assets if (amount := self._collateral(asset))]

    def _collateral(self, asset: Asset) -> int:
        exact = self.unit.settings.get((asset.token, WIDE), "null")
        text = json.loads(exact)
        return self.unit.positions.get((asset.token, Side.SUPPLY), 0) if text is None else int(text)

    def venue_unit(self) -> VenueUnit:
        reasons = self._reasons()
        native = None if self._unanswered(reasons) else self._native()
        has_debt = self.owed > 0 or (bool(self.book.problems) and self._is_anybody) or self.unread
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=native,
            health_factor_wad=_health(native) if native and self.owed else None,
            liquidatable=None if native is None else bool(native["liquidatable_now"]),
            has_debt=has_debt,
            collateral_base=native["collateralValue"] if native and not reasons else None,
            debt_base=native["debtValue"] if native and not reasons else None,
            base_unit=self.book.base_unit,
            positions=() if self.book.problems else tuple(self._positions()),
            reasons=reasons,
            engine_version=ENGINE,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Absorbable | tuple[Reason, ...]:
        """Return the account as it would be absorbed."""
        reasons, base = self._reasons(), self.book.base
        if reasons or base is None:
            return reasons
        if self.book.base_unit is None:
            return (Reason("venue_not_in_usd", self.book.snapshot.venue.id, "in what its prices are is not known"),)
        lots = [lot for asset, amount in self.held if (lot := _lot(asset, amount))]
        loan = _lot(base, present(self.owed, self.book.now.borrow))
        if loan is None or len(lots) < len(self.held):
            return (Reason("venue_price_missing", self.book.snapshot.venue.id, "a price is not known"),)
        return Absorbable(
            lots=tuple(lots),
            loan=loan._replace(threshold=BASIS_POINTS),
            factors={asset.token: Factors(asset.liquidate_factor, asset.liquidation_factor) for asset, _ in self.held},
            store_front=int(self.book.terms["store_front_price_factor"]),
        )

    @property
    def _is_anybody(self) -> bool:
        return bool(self.unit.positions or self.unit.settings)

    def _reasons(self) -> tuple[Reason, ...]:
        """Why the Comet's views have no answer, or this program none for them."""
        found = list(self.book.problems)
        if self.unread and not found:
            detail = "no node had the state of a block in which the principal may have changed"
            found.append(Reason("state_unavailable", "0x" + self.unit.unit_id.hex(), detail))
        found += [asset.price for asset, _ in self.held if isinstance(asset.price, Reason)]
        if self.book.base and (self.supplied or self.owed) and isinstance(self.book.base.price, Reason):
            found.append(self.book.base.price)
        found += self._unlisted()
        return tuple(dict.fromkeys(found))

    def _unlisted(self) -> list[Reason]:
        """Name collateral that is held and is none of the Comet's assets any more: its views do not count it."""
        listed = {asset.token for asset in self.book.assets}
        base = {self.book.base.token} if self.book.base else set()
        gone = {market for (market, _), amount in self.unit.positions.items() if amount} - listed - base
        if not listed:
            return []
        detail = "the Comet does not list this asset any more, and does not count it"
        return [Reason("asset_not_listed", "0x" + token.hex(), detail) for token in sorted(gone)]

    def _unanswered(self, reasons: tuple[Reason, ...]) -> bool:
        """Tell whether the views have no answer: without debt they ask for no price."""
        if self.book.problems or self.unread:
            return True
        return self.owed > 0 and any(reason.code != "asset_not_listed" for reason in reasons)

    def _native(self) -> dict[str, int]:
        now = self._value_owed(self.book.now)
        stored = self._value_owed(self.book.stored)
        return {
            "principal": self.supplied - self.owed,
            "balanceOf": present(self.supplied, self.book.now.supply),
            "borrowBalanceOf": present(self.owed, self.book.now.borrow),
            **({} if self._frozen(stored) else {"isBorrowCollateralized": int(self._borrow_value >= stored)}),
            "liquidatable_view": int(self._liquidation_value < stored),
            "liquidatable_now": int(self._liquidation_value < now),
            "collateralValue": sum(asset.value(amount) for asset, amount in self.held),
            "borrowValue": self._borrow_value,
            "liquidationValue": self._liquidation_value,
            "debtValue": now,
        }

    def _frozen(self, owed: int) -> bool:
        """Tell whether `isBorrowCollateralized` reverts: it comes to deactivated collateral before the debt is covered."""
        covered = 0
        for asset, amount in self.held:
            if covered >= owed:
                return False
            if asset.deactivated:
                return True
            covered += mul_factor(asset.value(amount), asset.borrow_factor)
        return False

    def _value_owed(self, indices: Indices) -> int:
        base = self.book.base
        return base.value(present(self.owed, indices.borrow)) if base and self.owed else 0

    @cached_property
    def _liquidation_value(self) -> int:
        return sum(mul_factor(asset.value(amount), asset.liquidate_factor) for asset, amount in self.held)

    @cached_property
    def _borrow_value(self) -> int:
        return sum(mul_factor(asset.value(amount), asset.borrow_factor) for asset, amount in self.held)

    def _positions(self) -> list[UnitPosition]:
        found = [
            self._position(asset, Side.SUPPLY, amount, amount, asset.liquidate_factor // _BASIS_POINT)
            for asset, amount in self.held
        ]
        base, now = self.book.base, self.book.now
        if base and self.supplied and not self.unread:
            amount = present(self.supplied, now.supply)
            found.append(self._position(base, Side.SUPPLY, amount, self.supplied, 0))
        if base and self.owed and not self.unread:
            found.append(self._position(base, Side.BORROW, present(self.owed, now.borrow), self.owed, None))
        return found

    def _position(self, asset: Asset, side: Side, amount: int, raw: int, threshold: int | None) -> UnitPosition:
        return UnitPosition(
            market=asset.token,
            asset=asset.token,
            side=side,
            symbol=asset.symbol,
            decimals=asset.decimals,
            amount_raw=amount,
            protocol_raw=raw,
            counts=side is Side.BORROW or bool(threshold),
            price=asset.price if isinstance(asset.price, VenuePrice) else None,
            liquidation_threshold=threshold,
        )


def _lot(asset: Asset, amount: int) -> Lot | None:
    if isinstance(asset.price, Reason):
        return None
    threshold = asset.liquidate_factor // _BASIS_POINT
    return Lot(asset.token, asset.token, asset.decimals, amount, *asset.price[:2], threshold)


def _health(native: Mapping[str, int]) -> int:
    return native["liquidationValue"] * WAD // native["debtValue"] if native["debtValue"] else MAX_UINT256
