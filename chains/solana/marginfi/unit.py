"""The program's own numbers of an account, under the names of its `HealthCache`: weighed values in USD, I80F48 bits (2⁻⁴⁸).

`native`, with every bank at its stored share values, as the program's check reads those that its instruction does not bring up to date:
`asset_value`, `liability_value` (initial; left out where only that check fails), `…_maint` (maintenance) and `…_equity`;
`account_flags`. With interest to the block's time in all banks, which anybody may have accrued first: `asset_value_maint_accrued`,
`liability_value_maint_accrued`, `liquidatable_accrued` beside `liquidatable_stored`. The unit's verdict, health factor, amounts and
totals are those with interest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from chains.identifiers import base58
from chains.model import (
    WHOLE_VENUE,
    Basis,
    Claim,
    Component,
    Reason,
    Side,
    UnitPosition,
    UnitSnapshot,
    VenuePrice,
    VenueSnapshot,
    VenueUnit,
)
from chains.solana.marginfi.book import Book
from chains.solana.marginfi.fixed import FRACTION_BITS, ONE, Overflowed
from chains.solana.marginfi.health import (
    EMPTY_BELOW,
    Balance,
    Leg,
    Requirement,
    Values,
    asset_weight,
    check,
    emode_of,
    health_factor_wad,
)
from chains.solana.marginfi.integrations import PROGRAMS, Standing
from chains.solana.marginfi.liquidating import Liquidable
from chains.solana.marginfi.prices import Quote
from chains.solana.marginfi.rates import Totals
from chains.solana.marginfi.states import (
    BASIS_POINTS,
    COLLATERAL_TIER,
    FIRST_INTEGRATION,
    PROBLEM,
    Bank,
)
from chains.solana.marginfi.tips import ACCOUNT_STATE, WIDE
from chains.solana.programs import doubts as unstated
from chains.solana.programs import known

BASE_UNIT = 10**8
"""One USD in `collateral_base` and `debt_base`."""

KNOWN_BANK_FLAGS = 2**9 - 1
"""Flags of a bank up to 0.1.7; later ones change what a check says (a premium on debts, e-mode of one mint)."""

IN_FLASHLOAN = 2


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an account of this group into the program's own numbers and its positions in tokens."""
    book = Book(snapshot)
    return known(snapshot, lambda unit: Account(book, unit).venue_unit(), beside=PROGRAMS)


def doubts(snapshot: VenueSnapshot) -> tuple[Reason, ...]:
    """Return why nothing of the group can be known, whoever asks."""
    return (*unstated(snapshot, beside=PROGRAMS), *Book(snapshot).problems)


class Account:
    """One account of a group at a block."""

    def __init__(self, book: Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        self.state: dict[str, Any] = json.loads(unit.settings.get((WHOLE_VENUE, ACCOUNT_STATE), "{}"))
        self.wide = sorted(key for key, text in unit.settings.items() if key[1].startswith(WIDE) and text != "null")
        self.flags = int(self.state.get("flags", "0x0"), 16)

    def venue_unit(self) -> VenueUnit:
        """Return the program's numbers and the positions in tokens."""
        unknown = tuple(dict.fromkeys(self._unknown()))
        native = None if unknown else self._native()
        assets, debts = (native[f"{side}_value_maint_accrued"] for side in ("asset", "liability")) if native else (0, 0)
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=native,
            health_factor_wad=health_factor_wad(assets, debts) if native and self.has_debt else None,
            liquidatable=bool(native["liquidatable_accrued"]) if native else None,
            has_debt=self.has_debt,
            collateral_base=self._base(Side.SUPPLY) if native else None,
            debt_base=self._base(Side.BORROW) if native else None,
            base_unit=BASE_UNIT,
            positions=tuple(self.positions),
            reasons=(*unknown, *self._noted(native)),
            engine_version=self.book.engine.name,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Liquidable | tuple[Reason, ...]:
        """Return the account as the program lets anybody liquidate it, with interest in all banks."""
        return tuple(dict.fromkeys(self._unknown())) or Liquidable.of(self._up_to_date)

    @cached_property
    def balances(self) -> list[Balance]:
        """What the account holds and owes, by bank."""
        found: dict[bytes, dict[Side, int]] = {}
        for (market, side), amount in sorted(self.unit.positions.items()):
            found.setdefault(market, {})[side] = amount
        return [
            Balance(bank, sides.get(Side.SUPPLY, 0), sides.get(Side.BORROW, 0))
            for bank, sides in found.items()
            if any(sides.values())
        ]

    @property
    def has_debt(self) -> bool:
        """Whether the program counts a debt; also where nobody can say how much."""
        return any(balance.owes for balance in self.balances) or any(key[1] == WIDE + Side.BORROW for key in self.wide)

    def legs(self, up_to_date: Collection[bytes] | None) -> list[Leg]:
        """Return the balances for a check in which these banks (`None`: all) are brought up to date first.

        What is not known of them must have been ruled out (`Book.bank`, `Book.with_interest`).
        """
        found = []
        for balance in self.balances:
            bank = self.book.bank(balance.bank)
            if isinstance(bank, Reason):
                continue
            current = self.book.with_interest(bank) if up_to_date is None or bank.address in up_to_date else bank.totals
            if not isinstance(current, Reason):
                found.append(Leg(balance, bank, current, self.book.quote(bank)))
        return found

    @cached_property
    def _stored(self) -> list[Leg]:
        return self.legs(())

    @cached_property
    def _up_to_date(self) -> list[Leg]:
        return self.legs(None)

    @cached_property
    def positions(self) -> list[UnitPosition]:
        """Deposits and debts in tokens, with interest; none of banks that are not known or hold other protocols' positions."""
        legs = self._up_to_date
        emode = emode_of(leg.bank for leg in legs if leg.balance.owes)
        return [
            position
            for leg in legs
            for position in self._positions(leg, asset_weight(leg.bank, emode, Requirement.MAINTENANCE))
        ]

    def _positions(self, leg: Leg, weight: int) -> Iterator[UnitPosition]:
        if leg.bank.asset_tag < FIRST_INTEGRATION:
            yield from _positions(leg, weight)
            return
        standing = self.book.standing(leg.bank)
        if isinstance(standing, Reason):
            return
        for each in _positions(leg, weight):
            amount = _redeemed(standing, each.amount_raw)
            if amount is not None:
                yield _in_tokens(each, amount, leg.bank, standing)

    def _unknown(self) -> Iterator[Reason]:
        """Say why the program's maintenance check fails or is not known here."""
        yield from self.book.problems
        if PROBLEM in self.state:
            yield Reason("account_unreadable", base58(self.unit.unit_id), self.state[PROBLEM])
        if self.flags & IN_FLASHLOAN:
            yield Reason("in_flashloan", base58(self.unit.unit_id), "the account is in a flash loan; no check is made")
        for market, _ in self.wide:
            yield Reason("amount_too_wide", base58(market), "an amount has more than 38 digits and is not counted")
        for balance in self.balances:
            yield from self._unknown_of(balance)
        if self._one_mint_on_both_sides():
            detail = "the group favours collateral of the debt's own mint, which came after 0.1.7"
            yield Reason("unsupported_version", base58(self.unit.unit_id), detail)
        yield from (values for values in (self._maintenance, self._now) if isinstance(values, Reason))

    def _unknown_of(self, balance: Balance) -> Iterator[Reason]:
        bank = self.book.bank(balance.bank)
        if isinstance(bank, Reason):
            yield bank
            return
        interest = self.book.with_interest(bank)
        if isinstance(interest, Reason):
            yield interest
        if min(balance.asset_shares, balance.liability_shares) >= EMPTY_BELOW:
            yield Reason("both_sides", base58(balance.bank), "the account holds and owes in one bank; the check fails")
        if bank.flags & ~KNOWN_BANK_FLAGS and (balance.owes or balance.holds):
            detail = f"the bank's flags {bank.flags:#x} have bits that came after 0.1.7"
            yield Reason("unsupported_version", base58(balance.bank), detail)
        if bank.asset_tag >= FIRST_INTEGRATION and balance.holds:
            standing = self.book.standing(bank)
            if isinstance(standing, Reason):
                yield standing
            elif _redeemed(standing, _whole_units(balance, bank.totals)) is None:
                detail = "what the deposit stands for has no room in the other protocol's numbers"
                yield Reason("program_overflows", base58(balance.bank), detail)

    def _one_mint_on_both_sides(self) -> bool:
        group = self.book.group
        if isinstance(group, Reason) or not group.same_asset_emode:
            return False
        legs = self._stored
        held = {leg.bank.mint for leg in legs if leg.balance.holds}
        return any(leg.bank.mint in held for leg in legs if leg.balance.owes)

    @cached_property
    def _initial(self) -> Values | Reason:
        return check(self._stored, Requirement.INITIAL)

    @cached_property
    def _equity(self) -> Values | Reason:
        return check(self._stored, Requirement.EQUITY)

    @cached_property
    def _maintenance(self) -> Values | Reason:
        return check(self._stored, Requirement.MAINTENANCE)

    @cached_property
    def _now(self) -> Values | Reason:
        return check(self._up_to_date, Requirement.MAINTENANCE)

    def _native(self) -> dict[str, int]:
        native: dict[str, int] = {}
        for name, values in (
            ("", self._initial),
            ("_maint", self._maintenance),
            ("_equity", self._equity),
            ("_maint_accrued", self._now),
        ):
            if not isinstance(values, Reason):
                native |= {f"asset_value{name}": values.assets, f"liability_value{name}": values.liabilities}
        for which, name in (("accrued", "_maint_accrued"), ("stored", "_maint")):
            uncovered = native[f"asset_value{name}"] <= native[f"liability_value{name}"]
            native[f"liquidatable_{which}"] = int(self.has_debt and uncovered)
        return native | {"account_flags": self.flags}

    def _noted(self, native: dict[str, int] | None) -> list[Reason]:
        """Say why the initial check fails where the maintenance check does not."""
        if native is None:
            return []
        failed = [values for values in (self._initial, self._equity) if isinstance(values, Reason)]
        return [_of_initial_check(reason) for reason in dict.fromkeys(failed)]

    def _base(self, side: Side) -> int:
        total = 0
        for position in self.positions:
            if position.side is side and position.counts and position.price is not None:
                whole = 10**position.decimals * position.price.unit_raw
                value = position.amount_raw * position.price.answer_raw * BASE_UNIT
                total += value // whole if side is Side.SUPPLY else -(-value // whole)
        return total


def _of_initial_check(reason: Reason) -> Reason:
    """Return the same, as a reason that takes nothing from the maintenance check."""
    return Reason(f"initial_{reason.code}", reason.subject, reason.detail)


def _whole_units(balance: Balance, totals: Totals) -> int:
    return balance.asset_shares * totals.asset_share_value >> 2 * FRACTION_BITS


def _positions(leg: Leg, weight: int) -> Iterator[UnitPosition]:
    balance, bank, totals = leg.balance, leg.bank, leg.totals
    supplied = _whole_units(balance, totals)
    owed = -(-balance.liability_shares * totals.liability_share_value >> 2 * FRACTION_BITS)
    threshold = weight * BASIS_POINTS >> FRACTION_BITS
    backs = balance.holds and bank.risk_tier == COLLATERAL_TIER and weight > 0
    for side, shares, amount, counts, limit in (
        (Side.SUPPLY, balance.asset_shares, supplied, backs, threshold if bank.risk_tier == COLLATERAL_TIER else 0),
        (Side.BORROW, balance.liability_shares, owed, balance.owes, None),
    ):
        if shares > 0:
            yield UnitPosition(
                market=bank.address,
                asset=bank.mint,
                side=side,
                symbol="",
                decimals=bank.decimals,
                amount_raw=amount,
                protocol_raw=shares,
                counts=counts,
                price=_venue_price(leg.quote),
                liquidation_threshold=limit,
            )


def _venue_price(quote: Quote | Reason) -> VenuePrice | None:
    """The spot price, without the interval's bias."""
    if isinstance(quote, Reason):
        return None
    token = quote.token or quote.spot
    return (
        None if isinstance(token, Reason) else VenuePrice(token.price, ONE, quote.source, quote.updated_at, quote.slot)
    )


def _redeemed(standing: Standing, units: int) -> int | None:
    try:
        return standing.redeemed(units)
    except Overflowed:
        return None


def _in_tokens(position: UnitPosition, amount: int, bank: Bank, standing: Standing) -> UnitPosition:
    """Return a position in another protocol as the tokens that it stands for, and what it is a claim on."""
    payable = standing.payable_raw
    part = Component(
        venue_id=standing.venue,
        market=bank.oracle_keys[1],
        asset=bank.mint,
        symbol="",
        decimals=bank.decimals,
        amount_raw=amount,
        payable_raw=payable,
        basis=Basis.OBSERVED,
    )
    claim = Claim(
        asset=bank.mint,
        symbol="",
        decimals=bank.decimals,
        assets_raw=amount,
        lost_raw=0,
        redeemable_raw=None if payable is None else min(amount, payable),
        components=(part,),
    )
    return replace(position, amount_raw=amount, claim=claim)
