"""Generated accounts of marginfi: what marginfi-client-v2 computes of them, beside what is computed here.

The accounts are those of recorded runs with other shares, share values, weights, limits, e-modes and prices. The SDK computes in decimals
(20 places where it divides) with the banks' share values as they are stored, the program in I80F48 and every step down. So each balance
may differ by a few steps of 2⁻⁴⁸ in its price, its weight, its interval and its worth: `STEPS` of them for each token of it and each dollar
of its worth. To the last bit accounts are compared with the program's own checks, in `test_marginfi_runs.py`.

Where marginfi-client-v2 6.4.2 departs from the program (`services/account/utils/compute.utils.ts`, `services/bank/utils/compute.utils.ts`):
- `isWeightedPrice` takes the moving average for the initial requirement alone; the program (`get_oracle_price_type`) for equity too.
- The discount of a bank over its limit weighs the bank by the spot price, the program by the requirement's own, the average.
- It counts shares below one, on both sides of a balance, and deposits that are isolated or in a bank that only reduces.
So averages are the spot price here where they would matter, shares are none or more than one, and banks
are none of these.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, VenueUnit
from chains.solana.layouts import read
from chains.solana.marginfi.fixed import ONE
from chains.solana.marginfi.layout import ACCOUNT, BANK
from chains.solana.marginfi.unit import open_book
from tests.devnet.sdk.drivers import Driver, marginfi
from tests.support.marginfi_runs import Journals, MarginfiRun, runs
from tests.support.patching import patched

STEPS = Fraction(16, ONE)
TAGS = (501, 57481, 871)
"""Tags of e-mode that the SDK knows by name: SOL, stable coins, bitcoin."""
_MESSAGE = struct.Struct("<qQ")
_SPOT, _AVERAGE, _PUBLISHED = 73, 109, 93
"""Where a fully verified price update has its price and its average, each before its confidence, and its time."""


@pytest.fixture(scope="module")
def sdk() -> Iterator[Driver]:
    with marginfi() as driver:
        yield driver


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A sample of a run and an account in it that holds something."""

    run: MarginfiRun
    number: int
    account: str


class Made:
    """The same with other numbers in its accounts."""

    def __init__(self, recorded: Recorded, accounts: Mapping[str, bytes]) -> None:
        self.recorded, self.accounts = recorded, accounts

    def __repr__(self) -> str:
        return f"account {self.recorded.account} of sample {self.recorded.number} of {self.recorded.run.name}"


@cache
def recorded() -> tuple[Recorded, ...]:
    loaded = [MarginfiRun.load(folder) for folder in runs().values()]
    return tuple(
        Recorded(run=run, number=number, account=user["account"])
        for run in loaded
        for number, sample in enumerate(run.samples)
        for user in run.case["users"].values()
        if any(
            slot["active"] for slot in read(ACCOUNT.fields, data_of(sample["accounts"][user["account"]]))["balances"]
        )
    )


def data_of(account: Mapping[str, Any]) -> bytes:
    return base64.b64decode(account["data"][0])


def bits(low: str, high: str) -> st.SearchStrategy[int]:
    """I80F48 numbers between two."""
    return st.integers(int(Fraction(low) * ONE), int(Fraction(high) * ONE))


shares = st.one_of(st.just(0), bits("1", "1000"), bits("1", "1e13"))


@st.composite
def accounts_of_groups(draw: st.DrawFn) -> Made:
    """A recorded account with other numbers in it, in the banks, and in their price accounts."""
    chosen = draw(st.sampled_from(recorded()))
    sample = chosen.run.samples[chosen.number]
    accounts = {address: data_of(account) for address, account in sample["accounts"].items() if account is not None}
    for tag, bank in zip(TAGS, chosen.run.case["banks"].values(), strict=True):
        limited = draw(st.booleans())
        accounts[bank["address"]] = draw(
            banks(accounts[bank["address"]], sample["unix_timestamp"], tag, limited=limited)
        )
        accounts[bank["oracle"]] = draw(prices(accounts[bank["oracle"]], sample["unix_timestamp"], steady=limited))
    accounts[chosen.account] = draw(members(accounts[chosen.account]))
    return Made(chosen, accounts)


@st.composite
def members(draw: st.DrawFn, data: bytes) -> bytes:
    """An account that in each of its banks holds or owes, or neither."""
    balances: dict[int, dict[str, int]] = {}
    for number, slot in enumerate(read(ACCOUNT.fields, data)["balances"]):
        if slot["active"]:
            owes, held = draw(st.booleans()), draw(shares)
            balances[number] = {"asset_shares": 0 if owes else held, "liability_shares": held if owes else 0}
    return patched(ACCOUNT, data, {"balances": balances})


@st.composite
def banks(draw: st.DrawFn, data: bytes, now: int, tag: int, *, limited: bool) -> bytes:
    """A bank that is up to date, with share values of up to five, perhaps a limit on what its deposits back, perhaps an e-mode."""
    initial, maintenance = sorted(draw(st.tuples(bits("0", "0.999"), bits("0", "0.999"))))
    at_maintenance, at_start = sorted(draw(st.tuples(bits("1", "3"), bits("1", "3"))))
    favours = draw(st.lists(st.sampled_from(TAGS), unique=True, max_size=3))
    entries = {
        number: {
            "collateral_bank_emode_tag": favoured,
            "asset_weight_init": draw(bits("0", "0.99")),
            "asset_weight_maint": draw(bits("0.5", "0.999")),
        }
        for number, favoured in enumerate(sorted(favours))
    }
    values = {
        "asset_share_value": draw(bits("1", "5")),
        "liability_share_value": draw(bits("1", "5")),
        "total_asset_shares": draw(bits("1e9", "1e15")),
        "total_liability_shares": draw(bits("0", "1e9")),
        "last_update": now,
        "asset_weight_init": initial,
        "asset_weight_maint": maintenance,
        "liability_weight_init": at_start,
        "liability_weight_maint": at_maintenance,
        "risk_tier": 0,
        "total_asset_value_init_limit": draw(st.integers(1, 10**9)) if limited else 0,
        "emode_tag": tag,
        "emode": entries,
    }
    return patched(BANK, data, values)


@st.composite
def prices(draw: st.DrawFn, data: bytes, now: int, *, steady: bool) -> bytes:
    """A price update of this second, wide up to 4 %, with its average at most a fifth from it, or (steady) at it."""
    changed = bytearray(data)
    price = draw(st.integers(10**4, 10**13))
    spot = (price, price * draw(st.integers(0, 400)) // 10_000)
    average = price * draw(st.integers(80, 120)) // 100
    _MESSAGE.pack_into(changed, _SPOT, *spot)
    _MESSAGE.pack_into(
        changed, _AVERAGE, *(spot if steady else (average, average * draw(st.integers(0, 400)) // 10_000))
    )
    struct.pack_into("<q", changed, _PUBLISHED, now)
    return bytes(changed)


@settings(max_examples=settings().max_examples * 2 // 5)
@given(made=accounts_of_groups())
def test_marginfi_client_has_the_same_values_to_its_own_precision(sdk: Driver, made: Made) -> None:
    unit = valued(made)
    assert unit.native, unit.reasons

    said = sdk.ask(asked(made))

    assert "error" not in said, said
    slack = slack_of(unit)
    compared = dict(pairs(said, unit.native, steady=steady(made)))
    assert {name: pair for name, pair in compared.items() if abs(pair[0] - pair[1]) > slack} == {}
    assets, debts = (Fraction(number) for number in said["maintenance"])
    if abs(assets - debts) > 2 * slack:
        assert unit.native["liquidatable_stored"] == int(assets < debts)


def test_the_client_takes_the_spot_price_for_equity_and_the_program_the_average() -> None:
    """A deposit at 100 dollars with an average of 80; no interval. The account and its banks are as recorded."""
    chosen = next(each for each in recorded() if each.number == len(each.run.samples) - 1 and holds_only(each))
    sample = chosen.run.samples[chosen.number]
    accounts = {address: data_of(account) for address, account in sample["accounts"].items() if account is not None}
    for bank in chosen.run.case["banks"].values():
        changed = bytearray(accounts[bank["oracle"]])
        _MESSAGE.pack_into(changed, _SPOT, 100 * 10**8, 0)
        _MESSAGE.pack_into(changed, _AVERAGE, 80 * 10**8, 0)
        struct.pack_into("<q", changed, _PUBLISHED, sample["unix_timestamp"])
        accounts[bank["oracle"]] = bytes(changed)
    made = Made(chosen, accounts)

    unit = valued(made)
    with marginfi() as client:
        said = client.ask(asked(made))

    assert unit.native
    theirs, ours = Fraction(said["equity"][0]), Fraction(unit.native["asset_value_equity"], ONE)
    assert ours > 0
    assert abs(theirs * 80 / 100 - ours) < STEPS * (theirs + 1)


def holds_only(each: Recorded) -> bool:
    """Whether a recorded account holds something and owes nothing."""
    data = data_of(each.run.samples[each.number]["accounts"][each.account])
    balances = read(ACCOUNT.fields, data)["balances"]
    return any(slot["asset_shares"] > ONE for slot in balances) and not any(
        slot["liability_shares"] for slot in balances
    )


def test_there_are_recorded_accounts_to_generate_from() -> None:
    """The comparison above is of something."""
    assert len(recorded()) > 100


def valued(made: Made) -> VenueUnit:
    run, number = made.recorded.run, made.recorded.number
    venue = replace(run.venue, options={**run.venue.options, "version": "0.1.7"})
    journals = Journals(venue)
    journals.fold([(address, now_holding(made, address, account)) for address, account in run_accounts(made)])
    return open_book(journals.market(run.at(number)))(journals.unit(from_base58(made.recorded.account)))


def run_accounts(made: Made) -> list[tuple[bytes, AccountBytes]]:
    run = replace(made.recorded.run, samples=made.recorded.run.samples[made.recorded.number :])
    return run.seen(0)


def now_holding(made: Made, address: bytes, account: AccountBytes) -> AccountBytes:
    return account._replace(data=made.accounts[base58(address)]) if not account.closed else account


def asked(made: Made) -> dict[str, Any]:
    banks = {bank["address"]: bank["oracle"] for bank in made.recorded.run.case["banks"].values()}
    needed = [made.recorded.account, *banks, *banks.values()]
    return {
        "account": made.recorded.account,
        "banks": banks,
        "accounts": {address: {"data": base64.b64encode(made.accounts[address]).decode()} for address in needed},
    }


def steady(made: Made) -> bool:
    """Whether all averages are their spot prices, intervals too."""
    oracles = [made.accounts[bank["oracle"]] for bank in made.recorded.run.case["banks"].values()]
    return all(_MESSAGE.unpack_from(data, _SPOT) == _MESSAGE.unpack_from(data, _AVERAGE) for data in oracles)


def slack_of(unit: VenueUnit) -> Fraction:
    """`STEPS` for each token and each dollar of it, a debt weighed with at most three."""
    total = Fraction(1)
    for position in unit.positions:
        tokens = Fraction(position.amount_raw, 10**position.decimals)
        assert position.price
        total += tokens + 3 * tokens * Fraction(position.price.answer_raw, position.price.unit_raw)
    return STEPS * total


def pairs(
    said: Mapping[str, Any], native: Mapping[str, int], *, steady: bool
) -> Iterator[tuple[str, tuple[Fraction, Fraction]]]:
    """What the SDK says of each number, and what is computed here; of equity where averages are spot prices."""
    kinds = {"initial": "", "maintenance": "_maint"} | ({"equity": "_equity"} if steady else {})
    for kind, suffix in kinds.items():
        for side, theirs in zip(("asset", "liability"), said[kind], strict=True):
            name = f"{side}_value{suffix}"
            yield name, (Fraction(theirs), Fraction(native[name], ONE))
