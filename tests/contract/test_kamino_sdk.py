"""Generated obligations of Kamino: what klend-sdk computes of them, beside what is computed here.

The accounts are those of recorded runs with other amounts, rates, prices, groups and ages. The SDK is given the price of each reserve, as
its callers do. It computes in decimals of 20 digits, with the utilisation and the rate per year in binary floating point, where the
program cuts every step to 60 bits. So numbers agree to 1e-15 of themselves and 1e-15 dollars (a double's 1e-16 of the interest, cuts of
2⁻⁶⁰ = 9e-19) while no interest is added, and besides by what the program's cuts take from the interest of n slots: klend 1.7 cuts the
rate of one slot and its square to 60 bits before it multiplies them with n and n²/2, and of the cube it keeps next to nothing
(`interest_cut`; at a day's age some 1e-8). To the last bit numbers are compared with the program's own, in `test_kamino_runs.py`.

Where klend-sdk 8.0.2 (`classes/reserve.ts`, `classes/obligation.ts`) departs from the program:
- `getEstimatedCumulativeBorrowRate` takes the rate at the utilisation after the interest that it estimates. The program takes that before,
  and so does the SDK's `calculateFutureCumulativeBorrowRate`, which is what is compared here.
- A utilisation that is a point of the curve only when rounded to basis points has the point's own rate in the program (`BorrowRateCurve`);
  the SDK interpolates. Such cases are left out.
- It knows no cap of a market on what may be borrowed, and a borrow factor below 100 % would lower a debt.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chains.identifiers import base58
from chains.model import AccountBytes, VenueSpec, VenueUnit
from chains.solana.kamino.layout import MARKET, OBLIGATION, PROGRAM, RESERVE
from chains.solana.kamino.maths import ONE, to_basis_points
from chains.solana.kamino.refresh import Refreshed
from chains.solana.kamino.unit import Book, open_book
from chains.solana.layouts import Layout, read
from chains.solana.oracles.pyth_legacy.account import PRICE
from tests.devnet.sdk.drivers import Driver, klend
from tests.support.kamino_runs import Adapter, Sample, load, runs
from tests.support.patching import patched

NEAR = Fraction(1, 10**15)
DAY_SLOTS = 216_000
CAP = 10**17
"""What the market lets be borrowed here, in dollars: more than there is."""

Accounts = dict[bytes, AccountBytes]


@pytest.fixture(scope="module")
def sdk() -> Iterator[Driver]:
    with klend() as driver:
        yield driver


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A sample of a run and an obligation in it that holds something."""

    spec: VenueSpec
    sample: Sample
    obligation: bytes


class Made:
    """The same with other numbers in its accounts."""

    def __init__(self, recorded: Recorded, accounts: Accounts) -> None:
        self.recorded, self.accounts = recorded, accounts

    def __repr__(self) -> str:
        return f"obligation {base58(self.recorded.obligation)} of sample {self.recorded.sample.label!r}"


@cache
def recorded() -> tuple[Recorded, ...]:
    return tuple(
        Recorded(spec=spec, sample=sample, obligation=address)
        for spec, samples in map(load, runs().values())
        for sample in samples
        for address, account in sample.accounts.items()
        if is_a(OBLIGATION, account) and any(account.data[96:128])
    )


def is_a(layout: Layout, account: AccountBytes) -> bool:
    return not account.closed and account.owner == PROGRAM and layout.problem(account.data) is None


amounts = st.one_of(st.integers(0, 1000), st.integers(0, 10**15))
"""Smallest units of a token: dust, and up to a million whole tokens of nine decimals."""


@st.composite
def obligations(draw: st.DrawFn) -> Made:
    """A recorded obligation with other numbers in it, in its reserves, and in their price accounts."""
    chosen = draw(st.sampled_from(recorded()))
    accounts = dict(chosen.sample.accounts)
    for address, account in chosen.sample.accounts.items():
        if is_a(MARKET, account):
            accounts[address] = account._replace(data=draw(markets(account.data)))
        elif is_a(RESERVE, account):
            accounts[address] = account._replace(data=draw(reserves(account.data, chosen.sample.slot)))
        elif len(account.data) == PRICE.size:
            accounts[address] = account._replace(data=draw(prices(account.data, chosen.sample.time)))
    held = accounts[chosen.obligation]
    accounts[chosen.obligation] = held._replace(data=draw(positions(held.data)))
    return Made(recorded=chosen, accounts=accounts)


@st.composite
def markets(draw: st.DrawFn, data: bytes) -> bytes:
    """A market with other fees for referrers and other ratios of its first elevation group."""
    threshold = draw(st.integers(2, 95))
    values = {
        "global_unhealthy_borrow_value": CAP,
        "global_allowed_borrow_value": CAP,
        "referral_fee_bps": draw(st.integers(0, 5_000)),
        "elevation_groups": {0: {"ltv_pct": draw(st.integers(1, threshold)), "liquidation_threshold_pct": threshold}},
    }
    return patched(MARKET, data, values)


@st.composite
def positions(draw: st.DrawFn, data: bytes) -> bytes:
    stored = read(OBLIGATION.fields, data)
    deposits = {
        number: {"deposited_amount": draw(amounts)}
        for number, slot in enumerate(stored["deposits"])
        if any(slot["deposit_reserve"])
    }
    borrows = {
        number: {"borrowed_amount_sf": (draw(amounts) << 60) + draw(st.integers(0, ONE - 1))}
        for number, slot in enumerate(stored["borrows"])
        if any(slot["borrow_reserve"])
    }
    return patched(OBLIGATION, data, {"deposits": deposits, "borrows": borrows})


@st.composite
def reserves(draw: st.DrawFn, data: bytes, slot: int) -> bytes:
    """A reserve refreshed up to a day ago, with more interest in its cumulative rate than any stored debt has.

    A cToken is worth between one unit and three, since klend 1.7 cuts the rate of exchange to 60 bits.
    """
    stored = read(RESERVE.fields, data)["liquidity"][0]
    age = draw(st.one_of(st.integers(0, 5), st.integers(0, DAY_SLOTS)))
    total = draw(st.integers(10**4, 10**15))
    lent = total * draw(st.integers(0, 10**6)) // 10**6
    liquidity = {
        "total_available_amount": total - lent,
        "borrowed_amount_sf": (lent << 60) + draw(st.integers(0, ONE - 1)),
        "cumulative_borrow_rate_bsf": stored["cumulative_borrow_rate_bsf"] + draw(st.integers(0, ONE)),
        "accumulated_protocol_fees_sf": draw(st.integers(0, lent // 100 + 1)) << 59,
        "pending_referrer_fees_sf": draw(st.integers(0, lent // 200 + 1)) << 58,
    }
    threshold = draw(st.integers(2, 95))
    config = {
        "host_fixed_interest_rate_bps": draw(st.integers(0, 500)),
        "protocol_take_rate_pct": draw(st.integers(0, 50)),
        "loan_to_value_pct": draw(st.integers(1, threshold)),
        "liquidation_threshold_pct": threshold,
        "borrow_factor_pct": draw(st.integers(100, 300)),
    }
    values = {
        "last_update": {0: {"slot": max(slot - age, 0)}},
        "liquidity": {0: liquidity},
        "collateral": {0: {"mint_total_supply": total * draw(st.integers(34, 100)) // 100}},
        "config": {0: config},
    }
    return patched(RESERVE, data, values)


@st.composite
def prices(draw: st.DrawFn, data: bytes, now: int) -> bytes:
    price = draw(st.integers(1_000, 10**13))
    values = {"price": price, "ema_price": price, "confidence": price // 200, "time": now, "status": 1}
    return patched(PRICE, data, values)


@settings(max_examples=settings().max_examples * 2 // 5)
@given(made=obligations())
def test_klend_sdk_has_the_same_values_to_its_own_precision(sdk: Driver, made: Made) -> None:
    chosen, accounts = made.recorded, made.accounts
    book, unit = valued(chosen, accounts)
    assume(unit.native is not None and not any(on_a_point(accounts[address].data) for address in book.terms))
    assert unit.native

    said = sdk.ask(asked(chosen, accounts, book))

    assert "error" not in said, said
    slack = NEAR + 2 * interest_cut(book, accounts)
    compared = dict(pairs(said["refreshed"], unit.native))
    assert {name: pair for name, pair in compared.items() if not near(*pair, slack)} == {}
    debt, limit = (Fraction(said["refreshed"][name]) for name in ("adjusted_debt_value", "unhealthy_borrow_value"))
    if unit.native["borrow_factor_adjusted_debt_value_sf"] and not near(debt, limit, 2 * slack):
        assert unit.health_factor_wad is not None
        assert (unit.health_factor_wad >= 10**18) is (limit > debt)


def test_the_sdk_s_estimate_of_a_debt_is_of_the_utilisation_after_the_interest() -> None:
    """Half of each reserve is lent, for a day: the rate rises with the interest, which the program does not look at."""
    chosen = next(each for each in recorded() if any(each.sample.accounts[each.obligation].data[1208:1240]))
    accounts = dict(chosen.sample.accounts)
    for address, account in chosen.sample.accounts.items():
        if is_a(RESERVE, account):
            liquidity = {"total_available_amount": 10**12, "borrowed_amount_sf": 10**12 << 60}
            values = {"last_update": {0: {"slot": chosen.sample.slot - DAY_SLOTS}}, "liquidity": {0: liquidity}}
            accounts[address] = account._replace(data=patched(RESERVE, account.data, values))
    book, unit = valued(chosen, accounts)
    with klend() as driver:
        said = driver.ask(asked(chosen, accounts, book))

    assert unit.native
    ours = Fraction(unit.native["borrowed_assets_market_value_sf"], ONE)
    mirrored, estimated = (Fraction(said[how]["borrowed_value"]) for how in ("refreshed", "estimated"))
    assert near(mirrored, ours, NEAR + 2 * interest_cut(book, accounts))
    assert estimated > mirrored * (1 + 1000 * NEAR)


def test_many_generated_obligations_can_be_valued_and_owe_something() -> None:
    """The comparison above is of something."""
    assert len(recorded()) > 200
    assert sum(any(each.sample.accounts[each.obligation].data[1208:1240]) for each in recorded()) > 100


def valued(chosen: Recorded, accounts: Accounts) -> tuple[Book, VenueUnit]:
    adapter = Adapter(chosen.spec)
    adapter.look(accounts)
    snapshot = adapter.journals.venue_snapshot(chosen.spec, chosen.sample.slot, chosen.sample.time)
    (unit,) = (unit for unit in adapter.journals.unit_snapshots() if unit.unit_id == chosen.obligation)
    return Book(snapshot), open_book(snapshot)(unit)


def on_a_point(data: bytes) -> bool:
    """Whether a reserve's utilisation is a point of its curve only when rounded to basis points."""
    stored = read(RESERVE.fields, data)
    liquidity = stored["liquidity"][0]
    fees = ("accumulated_protocol_fees_sf", "accumulated_referrer_fees_sf", "pending_referrer_fees_sf")
    supply = (liquidity["total_available_amount"] << 60) + liquidity["borrowed_amount_sf"]
    supply -= sum(liquidity[name] for name in fees)
    if supply <= 0:
        return False
    exact = min(Fraction(liquidity["borrowed_amount_sf"], supply), Fraction(1))
    rounded = to_basis_points(exact.numerator * ONE // exact.denominator)
    points = {point["utilization_rate_bps"] for point in stored["config"][0]["borrow_rate_curve"]}
    return rounded in points and exact != Fraction(rounded, 10_000)


def interest_cut(book: Book, accounts: Accounts) -> Fraction:
    """What the program's cuts take from a debt at most, of itself; from a deposit twice that, where fees come first."""
    return max(_cut(accounts[address].data, book.reserve(address)) for address in book.terms)


def _cut(data: bytes, refreshed: object) -> Fraction:
    assert isinstance(refreshed, Refreshed)
    stored = read(RESERVE.fields, data)
    slots = refreshed.liquidity.slot - stored["last_update"][0]["slot"]
    before, now = stored["liquidity"][0]["cumulative_borrow_rate_bsf"], refreshed.liquidity.cumulative_borrow_rate_bsf
    return Fraction(slots + slots**2 // 2, ONE) + Fraction(now - before, before) ** 3 / 6


def asked(chosen: Recorded, accounts: Accounts, book: Book) -> dict[str, Any]:
    refreshed = {address: book.reserve(address) for address in book.terms}
    needed = [chosen.spec.address, chosen.obligation, *refreshed]
    return {
        "market": base58(chosen.spec.address),
        "obligation": base58(chosen.obligation),
        "reserves": [base58(address) for address in refreshed],
        "slot": chosen.sample.slot,
        "prices": {base58(address): price(found) for address, found in refreshed.items()},
        "accounts": {
            base58(address): {"data": base64.b64encode(accounts[address].data).decode()} for address in needed
        },
    }


def price(found: object) -> str:
    return str(found.liquidity.market_price_sf) if isinstance(found, Refreshed) else "0"


TOTALS = {
    "deposited_value": "deposited_value_sf",
    "borrowed_value": "borrowed_assets_market_value_sf",
    "adjusted_debt_value": "borrow_factor_adjusted_debt_value_sf",
    "allowed_borrow_value": "allowed_borrow_value_sf",
    "unhealthy_borrow_value": "unhealthy_borrow_value_sf",
}


def pairs(said: Mapping[str, Any], native: Mapping[str, int]) -> Iterator[tuple[str, tuple[Fraction, Fraction]]]:
    """What the SDK says of each number, and what is computed here."""
    for theirs, ours in TOTALS.items():
        yield ours, (Fraction(said[theirs]), Fraction(native[ours], ONE))
    for side in ("deposits", "borrows"):
        for reserve, (amount, value) in said[side].items():
            name = f"{side}.{reserve}"
            yield f"{name}.market_value_sf", (Fraction(value), Fraction(native[f"{name}.market_value_sf"], ONE))
            if side == "borrows":
                field = f"{name}.borrowed_amount_sf"
                yield field, (Fraction(amount), Fraction(native[field], ONE))


def near(theirs: Fraction, ours: Fraction, slack: Fraction) -> bool:
    return abs(theirs - ours) <= slack * (abs(ours) + 1)
