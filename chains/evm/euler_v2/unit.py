"""The vaults' own account arithmetic: `accountLiquidity` of the controller, for borrowing (bid and ask) and for liquidation (mid)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from chains.evm.euler_v2.maths import (
    BASIS_POINTS,
    Debt,
    Ltv,
    Status,
    accrued,
    assets_up,
    health_factor_wad,
    violates,
)
from chains.evm.euler_v2.quotes import Quote, quoted
from chains.evm.euler_v2.tips import ENGINE, NOBODY
from chains.evm.euler_v2.vaults import LTV, ROUTE
from chains.identifiers import hexed
from chains.liquidating import WAD, Discount, Lot, Weighted
from chains.model import WHOLE_VENUE, Reason, Side, UnitPosition, UnitSnapshot, VenuePrice, VenueSnapshot, VenueUnit

US_DOLLAR = (840).to_bytes(20, "big")
"""The unit of account that is no token: ISO 4217's number of the dollar."""

DO_NOT_SOCIALIZE = 1
"""The flag of a vault that keeps what is owed by who has nothing left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """A vault at the block: its numbers with interest, what it lends against each collateral, why it is not computed (if so)."""

    address: bytes
    asset: bytes
    symbol: str
    decimals: int | None
    oracle: bytes
    unit: bytes
    unit_decimals: int | None
    cool_off: int
    hooked: int
    status: Status
    ltvs: dict[bytes, Ltv]
    routes: dict[bytes, dict[str, Any]]
    doubt: Reason | None
    max_discount: int
    flags: int


class Values(NamedTuple):
    """What backs a debt and what is owed, in the unit of account: as borrowing counts, as liquidation does, and unweighted at mid price."""

    collateral_borrow: int
    liability_borrow: int
    collateral_liquidation: int
    liability_liquidation: int
    collateral: int


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an account into its controller's own numbers and its positions in tokens."""
    book = Book(snapshot)
    return lambda unit: _Account(book, unit).venue_unit()


class Book:
    """All vaults of a venue at a block, computed once for all accounts."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        aspects: dict[bytes, dict[str, Any]] = {}
        for (market, aspect), text in snapshot.markets.items():
            aspects.setdefault(market, {})[aspect] = json.loads(text)
        self.vaults = {vault: self._vault(vault, of) for vault, of in aspects.items() if "vault" in of}

    def _vault(self, address: bytes, of: dict[str, Any]) -> Vault:
        state, doubt = of["vault"], of.get("doubt")
        return Vault(
            address=address,
            asset=_raw(state["asset"]),
            symbol=state["symbol"],
            decimals=state["decimals"],
            oracle=_raw(state["oracle"]),
            unit=_raw(state["unit"]),
            unit_decimals=state["unit_decimals"],
            cool_off=of["terms"].get("cool_off", 0),
            hooked=of["terms"].get("hooked_operations", 0),
            status=accrued(Status.of(of["status"]), of["terms"]["interest_fee"], self.snapshot.at.time),
            ltvs={_raw(aspect.removeprefix(LTV)): Ltv(**said) for aspect, said in of.items() if aspect.startswith(LTV)},
            routes={_raw(aspect.removeprefix(ROUTE)): r["way"] for aspect, r in of.items() if aspect.startswith(ROUTE)},
            doubt=None if doubt is None else Reason(doubt["code"], hexed(address), doubt["detail"]),
            max_discount=of["terms"].get("max_discount") or 0,
            flags=of["terms"].get("flags") or 0,
        )

    def quote(self, controller: Vault, token: bytes, amount: int) -> Quote | Reason:
        """Return what a vault's oracle says that an amount of a token is worth."""
        if controller.oracle == NOBODY:
            return Reason("no_price_source", hexed(controller.address), "the vault has no price oracle")
        way = controller.routes.get(token)
        if way is None:
            return Reason("no_price_source", hexed(token), "it is not known how the vault's oracle quotes this token")
        return self._quoted(way, amount)

    def price(self, controller: Vault, vault: Vault) -> VenuePrice | None:
        """Return what one token of a vault's asset is worth to a controller, `None` where that is not known."""
        token = vault.asset if controller is vault else vault.address
        way = controller.routes.get(token)
        if way is None or vault.decimals is None or controller.unit_decimals is None:
            return None
        if token == vault.address:
            if way["kind"] != "shares":
                return None
            way = way["then"]
        quote = self._quoted(way, 10**vault.decimals)
        if isinstance(quote, Reason):
            return None
        return VenuePrice(quote.mid, 10**controller.unit_decimals, *quote.origin)

    def _quoted(self, way: dict[str, Any], amount: int) -> Quote | Reason:
        return quoted(way, amount, self.snapshot, self._worth)

    def _worth(self, address: bytes, shares: int) -> int | Reason:
        vault = self.vaults.get(address)
        if vault is None:
            return Reason("vault_not_followed", hexed(address), "the vault is no part of the venue")
        return vault.doubt or vault.status.assets_down(shares)


class _Account:
    """One account at a block."""

    def __init__(self, book: Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        self.now = book.snapshot.at.time
        self.controllers = self._enabled("controller")
        self.collaterals = self._enabled("collateral")
        self.debts = {
            market: Debt.of(json.loads(text)) for (market, aspect), text in unit.settings.items() if aspect == "debt"
        }

    def _enabled(self, role: str) -> list[bytes]:
        return sorted(m for (m, aspect), on in self.unit.settings.items() if aspect == role and on == "true")

    @cached_property
    def controller(self) -> Vault | None:
        """The vault that lent to this account, where it is the only one and followed."""
        return self.book.vaults.get(self.controllers[0]) if len(self.controllers) == 1 else None

    def _may_owe(self) -> bool:
        """Whether a vault that may have lent to this account is not followed, or in doubt; several are none that could be told."""
        vaults = [self.book.vaults.get(market) for market in self.controllers]
        return len(vaults) > 1 or any(vault is None or vault.doubt for vault in vaults)

    def venue_unit(self) -> VenueUnit:
        """Return the account's numbers, or why there are none."""
        values = self._values()
        reasons = values if isinstance(values, tuple) and not isinstance(values, Values) else ()
        known = values if isinstance(values, Values) else None
        has_debt = any(debt.owed for debt in self.debts.values()) or self._may_owe()
        unit_decimals = self.controller.unit_decimals if self.controller else None
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=None if reasons else self._native(known),
            health_factor_wad=health_factor_wad(*known[2:4]) if known and has_debt else None,
            liquidatable=None if reasons else bool(known and has_debt and violates(*known[2:4])),
            has_debt=has_debt,
            collateral_base=known.collateral if known else None,
            debt_base=known.liability_liquidation if known else None,
            base_unit=None if unit_decimals is None else 10**unit_decimals,
            in_token=True,
            positions=tuple(self._positions()),
            reasons=reasons,
            engine_version=ENGINE,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Weighted | tuple[Reason, ...]:
        """Return the account as its controller lets anybody take it over (`Liquidation.calculateLiquidation`), by mid prices."""
        values, controller = self._values(), self.controller
        if controller is None or not isinstance(values, Values):
            subject = hexed(self.unit.unit_id)
            none = Reason("no_controller", subject, "the account has no vault that lent to it")
            return (none,) if values is None or isinstance(values, Values) else values
        positions = [each for each in self._positions() if each.counts and each.amount_raw]
        missing = [each for each in positions if each.price is None]
        if missing:
            return tuple(Reason("price_unknown", hexed(each.asset), "its price is not known") for each in missing)
        lots = {
            side: tuple(
                Lot(
                    each.market,
                    each.asset,
                    each.decimals,
                    each.amount_raw,
                    *(each.price or (0, 1))[:2],
                    each.liquidation_threshold or BASIS_POINTS,
                )
                for each in positions
                if each.side is side
            )
            for side in Side
        }
        least = BASIS_POINTS - controller.max_discount
        return Weighted(
            rule="euler-v2",
            lots=lots[Side.SUPPLY],
            owed=lots[Side.BORROW],
            discount=Discount(WAD, WAD * BASIS_POINTS // max(least, 1)),
            forgives=not controller.flags & DO_NOT_SOCIALIZE,
            base_asset=None if controller.unit == US_DOLLAR else controller.unit,
        )

    def _native(self, known: Values | None) -> dict[str, int]:
        """Return `accountLiquidity` of both kinds; nothing for an account without a controller, of which no vault has a view."""
        if known is None or self.controller is None:
            return {}
        checked = int(self.unit.settings.get((WHOLE_VENUE, "checked"), "0"))
        return {
            "collateralValueBorrow": known.collateral_borrow,
            "liabilityValueBorrow": known.liability_borrow,
            "collateralValueLiquidation": known.collateral_liquidation,
            "liabilityValueLiquidation": known.liability_liquidation,
            "debtOfExact": self._owed_exact(self.controller),
            "liquidationCoolOffSeconds": max(checked + self.controller.cool_off - self.now, 0),
            "hookedOps": self.controller.hooked,
        }

    def _values(self) -> Values | tuple[Reason, ...] | None:
        """Return what the controller would compute, the reasons why that is not known, or `None` where nothing can be owed."""
        problems = self._problems()
        controller = self.controller
        if problems or controller is None:
            return tuple(problems) or None
        owed = assets_up(self._owed_exact(controller))
        liability = self._liability(controller, owed)
        backing = [self._collateral(controller, token) for token in self.collaterals]
        reasons = [each for each in (liability, *backing) if isinstance(each, Reason)]
        if reasons or isinstance(liability, Reason):
            return tuple(dict.fromkeys(reasons))
        sums = [sum(column) for column in zip(*(each for each in backing if not isinstance(each, Reason)), strict=True)]
        borrow, liquidation, plain = sums or (0, 0, 0)
        return Values(borrow, liability.ask, liquidation, liability.mid, plain)

    def _problems(self) -> list[Reason]:
        found = []
        if len(self.controllers) > 1:
            found.append(
                Reason("several_controllers", hexed(self.unit.unit_id), "the account has more than one controller")
            )
        elif self.controllers and self.controller is None:
            subject = hexed(self.controllers[0])
            found.append(Reason("vault_not_followed", subject, "the account's controller is no vault of the venue"))
        elif self.controller is not None and self.controller.oracle == NOBODY:
            found.append(Reason("no_price_source", hexed(self.controller.address), "the vault has no price oracle"))
        owing = [market for market, debt in self.debts.items() if debt.owed and market not in self.controllers]
        found += [
            Reason("no_controller", hexed(m), "the account owes to a vault that is not its controller")
            for m in sorted(owing)
        ]
        touched = {market for market, _ in self.unit.positions} | set(self.controllers)
        vaults = [self.book.vaults[market] for market in sorted(touched) if market in self.book.vaults]
        found += [vault.doubt for vault in vaults if vault.doubt is not None]
        unread = [vault for vault in vaults if vault.decimals is None]
        found += [Reason("no_decimals", hexed(v.asset), "the token's decimals could not be read") for v in unread]
        return found

    def _liability(self, controller: Vault, owed: int) -> Quote | Reason:
        nothing = Quote(0, 0, 0, (b"", 0, 0))  # type: ignore[arg-type]  # of nothing there is no origin
        if not owed:
            return nothing
        if controller.asset == controller.unit:
            return nothing._replace(mid=owed, bid=owed, ask=owed)
        return self.book.quote(controller, controller.asset, owed)

    def _collateral(self, controller: Vault, token: bytes) -> tuple[int, int, int] | Reason:
        """Return what a collateral counts for when borrowing and in liquidation, and its worth at mid price."""
        ltv = controller.ltvs.get(token)
        shares = self.unit.positions.get((token, Side.SUPPLY), 0)
        if ltv is None or not (ltv.borrow or ltv.liquidation_at(self.now)):
            return 0, 0, 0
        if token not in self.book.vaults:
            return Reason(
                "vault_not_followed", hexed(token), "how much of this collateral the account holds is not known"
            )
        quote = self.book.quote(controller, token, shares) if shares else None
        if quote is None or isinstance(quote, Reason):
            return quote or (0, 0, 0)
        threshold = ltv.liquidation_at(self.now)
        return quote.bid * ltv.borrow // BASIS_POINTS, quote.mid * threshold // BASIS_POINTS, quote.mid

    def _owed_exact(self, vault: Vault) -> int:
        return self.debts.get(vault.address, Debt()).at(vault.status.accumulator)

    def _positions(self) -> list[UnitPosition]:
        found = []
        for (market, side), raw in sorted(self.unit.positions.items()):
            vault = self.book.vaults.get(market)
            if vault is not None and vault.decimals is not None and side is Side.SUPPLY:
                found.append(self._supply(vault, raw))
        owed = [
            self.book.vaults[market]
            for market, debt in sorted(self.debts.items())
            if debt.owed and market in self.book.vaults
        ]
        return found + [self._debt(vault) for vault in owed if vault.decimals is not None]

    def _supply(self, vault: Vault, shares: int) -> UnitPosition:
        ltv = self.controller.ltvs.get(vault.address) if self.controller else None
        threshold = ltv.liquidation_at(self.now) if ltv and vault.address in self.collaterals else 0
        return UnitPosition(
            market=vault.address,
            asset=vault.asset,
            side=Side.SUPPLY,
            symbol=vault.symbol,
            decimals=vault.decimals or 0,
            amount_raw=vault.status.assets_down(shares),
            protocol_raw=shares,
            counts=threshold > 0,
            price=self.book.price(self.controller if ltv and self.controller else vault, vault),
            liquidation_threshold=threshold,
        )

    def _debt(self, vault: Vault) -> UnitPosition:
        return UnitPosition(
            market=vault.address,
            asset=vault.asset,
            side=Side.BORROW,
            symbol=vault.symbol,
            decimals=vault.decimals or 0,
            amount_raw=assets_up(self._owed_exact(vault)),
            protocol_raw=self.debts[vault.address].owed,
            counts=True,
            price=self.book.price(vault, vault),
            liquidation_threshold=None,
        )


def _raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])
