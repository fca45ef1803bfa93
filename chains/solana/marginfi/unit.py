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
from functools import cached_property
from typing import Any

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, Side, UnitPosition, UnitSnapshot, VenuePrice, VenueSnapshot, VenueUnit
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
)
from chains.solana.marginfi.options import engine_of
from chains.solana.marginfi.prices import Prices, Quote
from chains.solana.marginfi.rates import FeeTerms, Totals, accrued
from chains.solana.marginfi.states import (
    ASSET_TAGS,
    BASIS_POINTS,
    COLLATERAL_TIER,
    FIRST_INTEGRATION,
    GROUP_STATE,
    PROBLEM,
    PROGRAM_STATE,
    TERMS,
    TOTALS,
    Bank,
    Group,
    bank_of,
    group_of,
)
from chains.solana.marginfi.tips import ACCOUNT_STATE, WIDE
from chains.solana.programs import doubts as unstated
from chains.solana.programs import known

WAD = 10**18
MAX_UINT256 = 2**256 - 1
BASE_UNIT = 10**8
"""One USD in `collateral_base` and `debt_base`."""

KNOWN_BANK_FLAGS = 2**9 - 1
"""Flags of a bank up to 0.1.7; later ones change what a check says (a premium on debts, e-mode of one mint)."""

IN_FLASHLOAN = 2


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an account of this group into the program's own numbers and its positions in tokens."""
    book = Book(snapshot)
    return known(snapshot, lambda unit: Account(book, unit).venue_unit())


def doubts(snapshot: VenueSnapshot) -> tuple[Reason, ...]:
    """Return why nothing of the group can be known, whoever asks."""
    return (*unstated(snapshot), *Book(snapshot).problems)


class Book:
    """A group at a block: banks as stored and with interest, and their prices."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        self.engine = engine_of(snapshot.venue.options)
        self.prices = Prices(snapshot, self.engine)
        self.group = self._group()
        self._banks: dict[bytes, Bank | Reason] = {}
        self._quotes: dict[bytes, Quote | Reason] = {}
        self._accrued: dict[bytes, Totals | Reason] = {}

    @cached_property
    def problems(self) -> tuple[Reason, ...]:
        """Why no account of the group can be valued."""
        found = [self.group] if isinstance(self.group, Reason) else []
        mark = int(json.loads(self.snapshot.markets.get((WHOLE_VENUE, PROGRAM_STATE), '"0"')))
        if mark > self.engine.marks:
            detail = (
                f"the program marks accounts with {mark}, and the newest version that {self.engine.name} stands for"
                f" with {self.engine.marks}; accounts are not valued"
            )
            found.append(Reason("unsupported_version", self.snapshot.venue.id, detail))
        return tuple(found)

    def bank(self, address: bytes) -> Bank | Reason:
        """Return a bank as stored, or why it is not known."""
        if address not in self._banks:
            self._banks[address] = self._bank(address)
        return self._banks[address]

    def quote(self, bank: Bank) -> Quote | Reason:
        """Return the price that the program reads for a bank, or why there is none."""
        if bank.address not in self._quotes:
            self._quotes[bank.address] = self.prices.quote(bank)
        return self._quotes[bank.address]

    def with_interest(self, bank: Bank) -> Totals | Reason:
        """Return a bank's totals as the program would store them at the block's time."""
        if bank.address not in self._accrued:
            self._accrued[bank.address] = self._with_interest(bank)
        return self._accrued[bank.address]

    def _bank(self, address: bytes) -> Bank | Reason:
        markets = self.snapshot.markets
        config, totals = markets.get((address, TERMS)), markets.get((address, TOTALS))
        if config is None:
            return Reason("bank_unknown", base58(address), "the bank has not been read")
        found = bank_of(address, config, totals or "{}")
        return Reason("bank_unreadable", base58(address), found) if isinstance(found, str) else found

    def _with_interest(self, bank: Bank) -> Totals | Reason:
        if isinstance(self.group, Reason):
            return self.group
        try:
            fees = FeeTerms(bank.insurance, bank.group, self.group.program)
            return accrued(bank.totals, self.snapshot.at.time, bank.curve, fees)
        except Overflowed as error:
            return Reason("interest_unknown", base58(bank.address), str(error))

    def _group(self) -> Group | Reason:
        text, name = self.snapshot.markets.get((WHOLE_VENUE, GROUP_STATE)), base58(self.snapshot.venue.address)
        if text is None:
            return Reason("group_unknown", name, "the group has not been read")
        found = group_of(text)
        return Reason("group_unreadable", name, found) if isinstance(found, str) else found


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
        )

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
            if leg.bank.asset_tag < FIRST_INTEGRATION
            for position in _positions(leg, asset_weight(leg.bank, emode, Requirement.MAINTENANCE))
        ]

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
            name = (
                ASSET_TAGS[bank.asset_tag]
                if bank.asset_tag < len(ASSET_TAGS)
                else f"another protocol ({bank.asset_tag})"
            )
            detail = f"the bank's deposits are positions in {name}; their amounts are not known here"
            yield Reason("unsupported_integration", base58(balance.bank), detail)

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


def health_factor_wad(assets: int, liabilities: int) -> int:
    """Return weighed deposits over weighed debts, below 1e18 just where the program lets anybody liquidate: where they are not more."""
    if liabilities == 0:
        return MAX_UINT256 if assets else 0
    ratio = assets * WAD // liabilities
    return ratio if assets > liabilities else min(ratio, WAD - 1)


def _positions(leg: Leg, weight: int) -> Iterator[UnitPosition]:
    balance, bank, totals = leg.balance, leg.bank, leg.totals
    supplied = balance.asset_shares * totals.asset_share_value >> 2 * FRACTION_BITS
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
    if isinstance(quote, Reason) or isinstance(quote.spot, Reason):
        return None
    return VenuePrice(quote.spot.price, ONE, quote.source, quote.updated_at, quote.slot)
