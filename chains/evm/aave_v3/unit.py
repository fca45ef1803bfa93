"""The pool's own account arithmetic: `Pool.getUserAccountData` (`GenericLogic.calculateUserAccountData`), by the engine of its revision."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chains.evm.aave_v3.engines import UNKNOWN_ENGINE, Engine, engine_of
from chains.evm.aave_v3.maths import WAD, linear_interest, ray_mul
from chains.evm.oracles.chainlink import current_answer
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

MAX_UINT256 = 2**256 - 1
NOWHERE = "0x" + "00" * 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Emode:
    """An efficiency mode category: its own terms, and a price that replaces those of its assets when it has one.

    `collateral`, `ltvzero`: the ids of reserves that it takes as collateral, and of those that it lends nothing against; `isolated`: it
    lends nothing against others.
    """

    ltv: int
    liquidation_threshold: int
    price_source: bytes | None
    collateral: frozenset[int]
    ltvzero: frozenset[int]
    isolated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A reserve at the block: terms in basis points, normalised income and debt as rays, price or why there is none."""

    asset: bytes
    id: int | None
    symbol: str
    decimals: int | None
    ltv: int
    liquidation_threshold: int
    emode: int
    income: int
    debt: int
    price: VenuePrice | Reason


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns a unit of this market into the pool's own six numbers and its positions in tokens."""
    book = _Book(snapshot)
    return lambda unit: _Account(book, unit).venue_unit()


class _Book:
    """A market at a block: reserves, categories and prices, computed once for all of its accounts."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        wiring = self._state(WHOLE_VENUE, "wiring") or {}
        engine = self._state(WHOLE_VENUE, "engine") or {"engine": UNKNOWN_ENGINE, "supported": False, "revision": None}
        self.engine_version: str = engine["engine"]
        self.engine: Engine = engine_of(engine["revision"])
        self.base_unit = int(wiring["base_unit"]) if wiring.get("base_unit") else None
        self.problems = tuple(self._problems(engine))
        assets = sorted(market for market, aspect in snapshot.markets if aspect == "reserve")
        self.reserves = {asset: self._reserve(asset) for asset in assets}
        self.emodes = {
            (category := int(aspect.removeprefix("emode:"))): _emode(
                json.loads(text), self._state(WHOLE_VENUE, f"emode_assets:{category}") or {}
            )
            for (_, aspect), text in snapshot.markets.items()
            if aspect.startswith("emode:")
        }

    def price(self, asset: bytes) -> VenuePrice | Reason:
        """Return what `AaveOracle.getAssetPrice` returns, or why it (or this program) has no answer."""
        state = self._state(asset, "source")
        subject = "0x" + asset.hex()
        if self.base_unit is None:
            return Reason("no_base_unit", subject, "the oracle's base currency unit could not be read")
        if state is None or state["source"] == NOWHERE:
            return Reason("no_price_source", subject, "the oracle has no source for this asset")
        source = bytes.fromhex(state["source"][2:])
        answer = current_answer(self.snapshot, source)
        if isinstance(answer, Reason):
            return answer
        if answer.answer_raw <= 0:
            return Reason(
                "price_not_positive",
                subject,
                f"source {state['source']} answers {answer.answer_raw}; the fallback is unknown",
            )
        return VenuePrice(answer.answer_raw, self.base_unit, source, answer.updated_at, answer.block, answer.basis)

    def _problems(self, engine: Mapping[str, Any]) -> list[Reason]:
        if engine["supported"]:
            return [
                Reason(
                    "unsupported_version", "0x" + asset.hex(), f"the revision of the {name} has no exact rounding here"
                )
                for (asset, aspect), text in sorted(self.snapshot.markets.items())
                if aspect == "rounding"
                for name, rounding in json.loads(text).items()
                if rounding is None
            ]
        detail = f"pool revision {engine['revision']} has no exact engine here; its accounts are not valued"
        return [Reason("unsupported_version", self.snapshot.venue.id, detail)]

    def _reserve(self, asset: bytes) -> Reserve:
        reserve, terms = self._state(asset, "reserve") or {}, self._state(asset, "terms") or {}
        rates = {name: int(value) for name, value in (self._state(asset, "rates") or {}).items()}
        seconds = self.snapshot.at.time - rates["updated_at"]
        return Reserve(
            asset=asset,
            id=reserve["id"],
            symbol=reserve["symbol"],
            decimals=reserve["decimals"],
            ltv=terms["ltv"],
            liquidation_threshold=terms["liquidation_threshold"],
            emode=terms["emode"],
            income=_grown(rates["liquidity_index"], linear_interest, rates["liquidity_rate"], seconds),
            debt=_grown(rates["variable_borrow_index"], self.engine.compounded, rates["variable_borrow_rate"], seconds),
            price=self.price(asset),
        )

    def _state(self, market: bytes, aspect: str) -> dict[str, Any] | None:
        text = self.snapshot.markets.get((market, aspect))
        return None if text is None else json.loads(text)


def _grown(index: int, interest: Callable[[int, int], int], rate: int, seconds: int) -> int:
    return index if seconds == 0 else ray_mul(interest(rate, seconds), index)


def _emode(state: Mapping[str, Any], assets: Mapping[str, Any]) -> Emode:
    source = state["price_source"]
    return Emode(
        ltv=state["ltv"],
        liquidation_threshold=state["liquidation_threshold"],
        price_source=None if source == NOWHERE else bytes.fromhex(source[2:]),
        collateral=frozenset(assets.get("collateral", ())),
        ltvzero=frozenset(assets.get("ltvzero", ())),
        isolated=assets.get("isolated", False),
    )


@dataclass(frozen=True, slots=True)
class _Leg:
    """What one reserve contributes to one account."""

    reserve: Reserve
    supplied: int
    owed: int
    collateral: bool
    in_emode: bool
    price: VenuePrice | Reason


class _Account:
    """One account of a market at a block."""

    def __init__(self, book: _Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        self.category = int(unit.settings.get((WHOLE_VENUE, "emode"), "0"))
        self.emode = book.emodes.get(self.category)
        self.engine = book.engine

    def venue_unit(self) -> VenueUnit:
        reasons = self._reasons()
        native = None if reasons else self._native()
        has_debt = any(leg.owed for leg in self.legs)
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=native,
            health_factor_wad=native["healthFactor"] if native and native["totalDebtBase"] else None,
            liquidatable=None if native is None else native["healthFactor"] < WAD,
            has_debt=has_debt or self._stable_debt(),
            collateral_base=native["totalCollateralBase"] if native else None,
            debt_base=native["totalDebtBase"] if native else None,
            base_unit=self.book.base_unit,
            positions=tuple(position for leg in self.legs for position in self._positions(leg)),
            reasons=reasons,
            engine_version=self.book.engine_version,
        )

    @cached_property
    def legs(self) -> list[_Leg]:
        """The reserves that this account holds, owes, or has flagged as collateral."""
        held = {market for market, _ in self.unit.positions}
        flagged = {
            market for (market, aspect), on in self.unit.settings.items() if aspect == "collateral" and on == "true"
        }
        return [self._leg(self.book.reserves[asset]) for asset in sorted(held | flagged) if asset in self.book.reserves]

    def _leg(self, reserve: Reserve) -> _Leg:
        scaled_supply = self.unit.positions.get((reserve.asset, Side.SUPPLY), 0)
        scaled_debt = self.unit.positions.get((reserve.asset, Side.BORROW), 0)
        in_emode = self._in_emode(reserve)
        price = reserve.price
        if in_emode and self.emode and self.emode.price_source and not isinstance(self._emode_price, Reason):
            price = self._emode_price
        return _Leg(
            reserve=reserve,
            supplied=self.engine.supplied(scaled_supply, reserve.income),
            owed=self.engine.owed(scaled_debt, reserve.debt),
            collateral=self.unit.settings.get((reserve.asset, "collateral")) == "true",
            in_emode=in_emode,
            price=price,
        )

    def _in_emode(self, reserve: Reserve) -> bool:
        if self.engine.liquid:
            return self.emode is not None and reserve.id in self.emode.collateral
        return self.category != 0 and self.category == reserve.emode

    @cached_property
    def _emode_price(self) -> VenuePrice | Reason:
        source = self.emode.price_source if self.emode else None
        return (
            self.book.price(source) if source else Reason("no_price_source", "", "the category has no price of its own")
        )

    def _reasons(self) -> tuple[Reason, ...]:
        """Why the pool's view has no answer, or this program none for it: the same prices that the view asks for."""
        found = list(self.book.problems)
        asked = [leg for leg in self.legs if leg.collateral or leg.owed]
        if asked and self.emode and self.emode.price_source and isinstance(self._emode_price, Reason):
            found.append(self._emode_price)
        found += [leg.price for leg in asked if isinstance(leg.price, Reason)]
        unread = [leg.reserve for leg in self.legs if leg.reserve.decimals is None]
        found += [Reason("no_decimals", "0x" + r.asset.hex(), "the token's decimals could not be read") for r in unread]
        if self.category and self.engine.liquid:
            nameless = [leg.reserve for leg in self.legs if leg.reserve.id is None]
            found += [
                Reason("no_reserve_id", "0x" + r.asset.hex(), "the reserve's id could not be read") for r in nameless
            ]
        if self._stable_debt():
            found.append(
                Reason("stable_debt", self.book.snapshot.venue.id, "stable-rate debt is not valued by this version")
            )
        return tuple(found)

    def _stable_debt(self) -> bool:
        return any(aspect == "stable_debt" for _, aspect in self.unit.settings)

    def _native(self) -> dict[str, int]:
        collateral = debt = weighted_ltv = weighted_threshold = 0
        for leg in self.legs:
            if not isinstance(leg.price, VenuePrice) or leg.reserve.decimals is None:
                continue
            unit = 10**leg.reserve.decimals
            if leg.collateral and (self.engine.decoupled or leg.reserve.liquidation_threshold != 0):
                value = leg.supplied * leg.price.answer_raw // unit
                collateral += value
                weighted_ltv += value * self._ltv(leg)
                weighted_threshold += value * self._threshold(leg)
            debt += self.engine.debt_base(leg.owed * leg.price.answer_raw, unit)
        ltv = weighted_ltv // collateral if collateral else 0
        return {
            "totalCollateralBase": collateral,
            "totalDebtBase": debt,
            "availableBorrowsBase": max(self.engine.borrowable(collateral, ltv) - debt, 0),
            "currentLiquidationThreshold": weighted_threshold // collateral if collateral else 0,
            "ltv": ltv,
            "healthFactor": self.engine.health_factor(collateral, weighted_threshold, debt) if debt else MAX_UINT256,
        }

    def _ltv(self, leg: _Leg) -> int:
        if not self.engine.decoupled and leg.reserve.ltv == 0:
            return 0
        if leg.in_emode and self.emode:
            return 0 if leg.reserve.id in self.emode.ltvzero else self.emode.ltv
        return 0 if self.emode and self.emode.isolated else leg.reserve.ltv

    def _threshold(self, leg: _Leg) -> int:
        return self.emode.liquidation_threshold if leg.in_emode and self.emode else leg.reserve.liquidation_threshold

    def _backs(self, leg: _Leg) -> bool:
        """Tell whether a supply counts for what may be owed."""
        threshold = self._threshold(leg) if self.engine.decoupled else leg.reserve.liquidation_threshold
        return leg.collateral and threshold != 0

    def _positions(self, leg: _Leg) -> list[UnitPosition]:
        reserve = leg.reserve
        if reserve.decimals is None:
            return []
        sides = (
            (Side.SUPPLY, leg.supplied, self._backs(leg), self._threshold(leg)),
            (Side.BORROW, leg.owed, True, None),
        )
        return [
            UnitPosition(
                market=reserve.asset,
                asset=reserve.asset,
                side=side,
                symbol=reserve.symbol,
                decimals=reserve.decimals,
                amount_raw=amount,
                protocol_raw=self.unit.positions[reserve.asset, side],
                counts=counts,
                price=leg.price if isinstance(leg.price, VenuePrice) else None,
                liquidation_threshold=threshold,
            )
            for side, amount, counts, threshold in sides
            if self.unit.positions.get((reserve.asset, side))
        ]
