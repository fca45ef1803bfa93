"""Banks whose deposits are positions in Kamino, Drift or Save: priced by the exchange rate that these would have at the block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import pytest

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, Basis, Block, Component, Side, UnitPosition, VenueUnit
from chains.solana.kamino.layout import PROGRAM as KLEND
from chains.solana.layouts import Layout
from chains.solana.marginfi import Marginfi, doubts, open_book
from chains.solana.marginfi.fixed import ONE
from chains.solana.marginfi.integrations import PROGRAMS
from chains.solana.marginfi.options import check_options
from chains.solana.programs import DEPLOYMENT, UPGRADEABLE, UPGRADED, enter, watched_of
from chains.solana.save.layout import PROGRAM as SAVE
from chains.solana.save.layout import RESERVE as SAVE_RESERVE
from tests.support import kamino_accounts as klend
from tests.support.marginfi_runs import Journals
from tests.unit.chains.solana.drift.builders import SOL as SPOT_MARKET
from tests.unit.chains.solana.drift.builders import spot_market
from tests.unit.chains.solana.marginfi.builders import (
    ANN,
    ANNS,
    GROUP_KEY,
    NOW,
    PROGRAM_ID,
    SLOT,
    SOL,
    SOL_PRICE,
    USDC,
    USDC_MINT,
    USDC_PRICE,
    balance,
    bank,
    bits,
    encoded,
    group,
    member,
    price_seen,
    pyth,
    seen,
    switchboard,
    venue,
)

DRIFT = from_base58("dRiftyHA39MWEi3m9aunc5MzRF1JYuBsbn6VPcn33UH")
RESERVE, MARKET = b"\xa1" * 32, klend.MARKET_ADDRESS
UNITS = 10 * 10**9
WAD = 10**18
MINTS = {"kamino": klend.SOL_MINT, "drift": b"\x72" * 32, "save": b"\x77" * 32}
POOLS = {"kamino": RESERVE, "drift": SPOT_MARKET, "save": RESERVE}
TAGS = {"kamino": 3, "drift": 4, "save": 5}
SETUPS = {"kamino": (6, 7), "drift": (9, 10), "save": (11, 12)}
KAMINO_BANK = bank(MINTS["kamino"], asset_tag=3, oracle_setup=6, oracle_keys=[{"key": SOL_PRICE}, {"key": RESERVE}])
MARK = 5
"""With which 0.1.7 marks accounts."""


def kamino_reserve(slot: int = SLOT, **changes: Any) -> AccountBytes:
    """1200 tokens that 1000 collateral tokens stand for; half are lent, interest of a tenth a year, of which a fifth is taken."""
    liquidity = {
        "total_available_amount": 600 * 10**9,
        "borrowed_amount_sf": 600 * 10**9 << 60,
        **changes.pop("liquidity", {}),
    }
    config = {
        "protocol_take_rate_pct": 20,
        "borrow_rate_curve": [{"borrow_rate_bps": 1000}, {"utilization_rate_bps": 10_000, "borrow_rate_bps": 1000}],
        **changes.pop("config", {}),
    }
    return klend.reserve(slot, liquidity=liquidity, config=config, **changes)


def save_reserve(slot: int = SLOT, **changes: Any) -> AccountBytes:
    """The same at Save, by the price of SOL's account."""
    fields: dict[str, Any] = {
        "version": 1,
        "last_update_slot": slot,
        "lending_market": MARKET,
        "liquidity_mint": MINTS["save"],
        "liquidity_mint_decimals": 9,
        "pyth_oracle": SOL_PRICE,
        "switchboard_oracle": from_base58("nu11111111111111111111111111111111111111111"),
        "available_amount": 600 * 10**9,
        "borrowed_amount_wads": 600 * 10**9 * WAD,
        "cumulative_borrow_rate_wads": WAD,
        "collateral_mint_total_supply": 1000 * 10**9,
        "min_borrow_rate": 10,
        "optimal_utilization_rate": 100,
        "optimal_borrow_rate": 10,
        "max_borrow_rate": 10,
        "max_utilization_rate": 100,
        "protocol_take_rate": 20,
    }
    return seen(encoded(_without_tag(SAVE_RESERVE), **fields | changes), slot=slot, owner=SAVE)


def _without_tag(layout: Layout) -> Layout:
    return replace(layout, discriminator=b"")


def drift_market(slot: int = SLOT, **changes: Any) -> AccountBytes:
    """A spot market in which a scaled unit is 1.2 tokens; half of them are lent."""
    known = {
        "mint": MINTS["drift"],
        "cumulative_deposit_interest": 12 * 10**9,
        "deposit_balance": 1000 * 10**9,
        "borrow_balance": 600 * 10**9,
    }
    return seen(spot_market(1, **known | changes), slot=slot, owner=DRIFT)


POOL = {"kamino": kamino_reserve, "drift": drift_market, "save": save_reserve}


@dataclass(kw_only=True)
class Case:
    """Ann holds ten units of a position and owes 1000 USDC, in a group as it would be stored."""

    protocol: str
    pool: AccountBytes | None = None
    price: bytes = field(default_factory=lambda: pyth(200 * 10**8))
    setup: int = 0
    slot: int = SLOT
    time: int = NOW
    mark: int = MARK
    options: Mapping[str, Any] = field(default_factory=lambda: {"kamino_version": "1.20"})
    bank: Mapping[str, Any] = field(default_factory=dict)

    def journals(self) -> Journals:
        """The journals after two looks, of which the second has what pools name."""
        found = Journals(venue(**self.options))
        changes: dict[str, Any] = {
            "asset_tag": TAGS[self.protocol],
            "oracle_setup": SETUPS[self.protocol][self.setup],
            "oracle_keys": [{"key": SOL_PRICE}, {"key": POOLS[self.protocol]}],
            "total_liability_shares": 0,
        }
        accounts = [
            (GROUP_KEY, seen(group())),
            (SOL, seen(bank(MINTS[self.protocol], **{**changes, **self.bank}))),
            (USDC, seen(bank(USDC_MINT, USDC_PRICE, mint_decimals=6))),
            (
                ANNS,
                seen(
                    member(ANN, balance(SOL, held=UNITS), balance(USDC, owed=1000 * 10**6), program_version=self.mark)
                ),
            ),
            (SOL_PRICE, price_seen(self.price)),
            (USDC_PRICE, price_seen(pyth(10**8))),
            (POOLS[self.protocol], self.pool or POOL[self.protocol]()),
            (MARKET, klend.market(SLOT)),
        ]
        named = set[bytes]()
        while not named >= (wanted := {*Marginfi(found.venue).others(found.tips), SOL, USDC, ANNS}):
            found.fold([each for each in accounts if each[0] in wanted - named])
            named |= wanted
        deployed(found, 77)
        return found

    def valued(self) -> VenueUnit:
        """Ann's account at the block."""
        journals = self.journals()
        at = Block(number=self.slot, hash=b"", parent_hash=b"", time=self.time)
        return open_book(journals.market(at))(journals.unit(ANNS))


def deployed(journals: Journals, *slots: int) -> None:
    """Let the programs be deployed at a slot, and then at others."""
    text = None
    for number, slot in enumerate(slots):
        accounts = []
        for program in (PROGRAM_ID, *PROGRAMS):
            own, code = watched_of([program])
            accounts.append((own, AccountBytes(number, UPGRADEABLE, 1, (2).to_bytes(4, "little") + code, closed=False)))
            head = (3).to_bytes(4, "little") + slot.to_bytes(8, "little") + b"\0"
            accounts.append((code, AccountBytes(number, UPGRADEABLE, 1, head, closed=False)))
        (row,) = enter("mrgn", [PROGRAM_ID, *PROGRAMS], text, accounts)
        text = row.state
    assert text is not None
    journals.tips.aspects[b"", DEPLOYMENT] = text


def supply_of(found: VenueUnit) -> UnitPosition:
    (supply,) = (each for each in found.positions if each.side is Side.SUPPLY)
    return supply


def codes(found: VenueUnit) -> set[str]:
    return {reason.code for reason in found.reasons}


def assets(found: VenueUnit) -> int:
    assert found.native is not None, found.reasons
    return found.native["asset_value_maint"]


def by_ratio(price: int, liquidity: Fraction, supply: int) -> int:
    """The program's product: both sides without nine decimals in 48 bits, their quotient in 48 bits, the product's whole part."""
    whole, unit = int(liquidity * ONE) // 10**9, supply * ONE // 10**9
    return price * (whole * ONE // unit) // ONE


def worth(price: int, weight: float = 0.875, units: int = UNITS) -> int:
    """What units weigh at a price of 8 decimals, each step down."""
    weighed = units * ONE * bits(weight) // ONE
    return weighed * (price * ONE // 10**8) // ONE // 10**9


@pytest.mark.parametrize("protocol", ["kamino", "save"])
def test_a_collateral_token_is_worth_what_the_reserve_has_for_it(protocol: str) -> None:
    found = Case(protocol=protocol).valued()

    price = by_ratio(200 * 10**8, Fraction(1200 * 10**9), 1000 * 10**9)
    assert price == 23_999_999_999, "1.2 has no end in 48 bits"
    assert found.reasons == ()
    assert assets(found) == worth(price)
    assert not found.liquidatable


def test_a_scaled_balance_of_drift_is_worth_its_interest_and_has_nine_decimals() -> None:
    found = Case(protocol="drift", bank={"mint_decimals": 6}).valued()

    assert assets(found) == worth(240 * 10**8)


def test_positions_are_the_tokens_behind_them_and_say_where_these_are() -> None:
    found = Case(protocol="kamino").valued()

    supply = supply_of(found)
    assert (supply.market, supply.asset, supply.decimals) == (SOL, klend.SOL_MINT, 9)
    assert (supply.amount_raw, supply.protocol_raw) == (12 * 10**9, UNITS * ONE)
    assert supply.price is not None
    assert supply.price.answer_raw == bits(200), "the token's own price: its value is counted once, as tokens"
    assert found.collateral_base == 2400 * 10**8
    assert supply.claim is not None
    assert (supply.claim.assets_raw, supply.claim.lost_raw, supply.claim.redeemable_raw) == (12 * 10**9, 0, 12 * 10**9)
    assert supply.claim.components == (
        Component(f"kamino:{base58(MARKET)}", RESERVE, klend.SOL_MINT, "", 9, 12 * 10**9, 600 * 10**9, Basis.OBSERVED),
    )


def test_what_is_lent_out_cannot_be_taken_at_once() -> None:
    dry = kamino_reserve(liquidity={"total_available_amount": 10**9, "borrowed_amount_sf": 1199 * 10**9 << 60})

    claim = supply_of(Case(protocol="kamino", pool=dry).valued()).claim

    assert claim is not None
    assert (claim.assets_raw, claim.redeemable_raw) == (12 * 10**9, 10**9)


@pytest.mark.parametrize(
    "protocol, market", [("kamino", f"kamino:{base58(MARKET)}"), ("save", f"save:{base58(MARKET)}"), ("drift", "drift")]
)
def test_every_position_says_which_market_it_is_in(protocol: str, market: str) -> None:
    claim = supply_of(Case(protocol=protocol).valued()).claim

    assert claim is not None
    assert [(part.venue_id, part.market) for part in claim.components] == [(market, POOLS[protocol])]
    assert claim.assets_raw == 12 * 10**9


def test_interest_of_a_reserve_that_is_not_up_to_date_is_added_as_its_own_program_would() -> None:
    """A tenth a year on 600 tokens for 1,000 slots of half a second, less a fifth."""
    slots = 1_000
    case = Case(protocol="kamino", slot=SLOT + slots)

    grown = 600 * 10**9 * Fraction(8, 10) * Fraction(1, 10) * slots / 63_072_000
    price = by_ratio(200 * 10**8, 1200 * 10**9 + grown, 1000 * 10**9)
    assert price == 24_000_015_220
    assert abs(assets(case.valued()) - worth(price)) <= worth(2), "compound interest, and 60 bits cut to 48"
    assert supply_of(case.valued()).amount_raw == (12_000 * 10**6 * (1200 * 10**9 + grown)) // (1200 * 10**9)


@pytest.mark.parametrize("version, chained", [("1.16", False), ("1.17", True)])
def test_the_version_of_klend_says_how_the_terms_of_that_interest_are_rounded(version: str, *, chained: bool) -> None:
    """A tenth a year on 600 tokens for a year, less a fifth."""
    slots = 63_072_000
    found = Case(protocol="kamino", slot=SLOT + slots, options={"kamino_version": version}).valued()

    base = 2**60 // 10 // slots
    first, square = base * slots, base * base >> 60
    second = ((first * base >> 60) if chained else square * slots) * (slots - 1) // 2
    third = (second * base >> 60) * (slots - 2) // 3 if chained else 0  # square · base is below 2^60
    debt = 600 * 10**9 * (2**60 + first + second + third)
    fees = (debt - (600 * 10**9 << 60)) * (2**60 // 5) >> 60
    liquidity = (600 * 10**9 << 60) + debt - fees
    assert supply_of(found).amount_raw == UNITS * liquidity // (1000 * 10**9) >> 60


def test_interest_of_save_and_drift_is_added_too() -> None:
    for protocol in ("save", "drift"):
        before, later = (Case(protocol=protocol, slot=SLOT + n, time=NOW + n // 2).valued() for n in (0, 100))
        assert assets(later) > assets(before)
        assert supply_of(later).amount_raw > supply_of(before).amount_raw


def test_switchboard_banks_are_multiplied_likewise_with_their_deviation() -> None:
    price = switchboard(200 * 10**18, 10**18)
    found = Case(protocol="drift", setup=1, price=price).valued()

    value, deviation = 240 * ONE, int(Fraction(12, 10) * ONE)
    interval = deviation * round(Fraction("1.96") * ONE) // ONE
    weighed = UNITS * ONE * bits(0.875) // ONE
    assert assets(found) == weighed * (value - interval) // ONE // 10**9


def test_the_interval_is_multiplied_like_the_price() -> None:
    wide = Case(protocol="drift", price=pyth(200 * 10**8, confidence=10**8)).valued()

    interval = (12 * 10**7 * ONE // 10**8) * round(Fraction("2.12") * ONE) // ONE
    weighed = UNITS * ONE * bits(0.875) // ONE
    assert assets(wide) == weighed * (240 * ONE - interval) // ONE // 10**9


def test_a_market_to_which_drift_adds_no_interest_has_no_price() -> None:
    """Nothing is lent: Drift leaves the time of the last interest as it is, and marginfi finds the market stale."""
    idle = drift_market(borrow_balance=0)

    assert Case(protocol="drift", pool=idle).valued().reasons == ()
    later = Case(protocol="drift", pool=idle, time=NOW + 1).valued()
    assert "reserve_stale" in codes(later)
    assert later.native is None
    assert later.liquidatable is None


def test_a_reserve_of_which_save_has_no_price_is_not_brought_up_to_date() -> None:
    old = Case(protocol="save", price=pyth(200 * 10**8, published=NOW - 121), bank={"oracle_max_age": 600}).valued()

    assert "reserve_stale" in codes(old)
    assert "121 s old" in next(reason.detail for reason in old.reasons if reason.code == "reserve_stale")


def test_a_stale_price_of_the_token_is_stale_for_the_position() -> None:
    assert "price_stale" in codes(Case(protocol="kamino", price=pyth(1, published=NOW - 61)).valued())


@pytest.mark.parametrize(
    "options, code, word",
    [
        ({}, "unsupported_integration", "kamino_version"),
        ({"kamino_version": "1.25"}, "unsupported_integration", "kamino_version"),
        ({"kamino_version": [[SLOT + 1, "1.20"]]}, "unsupported_integration", "kamino_version"),
        ({"kamino_version": "1.20", "version": "0.1.0"}, "unsupported_version", "marks"),
    ],
)
def test_versions_that_are_not_known_are_named_and_not_valued(options: dict[str, Any], code: str, word: str) -> None:
    found = Case(protocol="kamino", options=options).valued()

    assert found.native is None
    assert any(reason.code == code and word in reason.detail for reason in found.reasons)
    assert [each.market for each in found.positions if each.side is Side.SUPPLY] == []


@pytest.mark.parametrize("mark", [0, 4])
def test_a_program_that_was_not_seen_to_be_of_the_newest_version_is_not_taken_for_it(mark: int) -> None:
    found = Case(protocol="drift", mark=mark).valued()

    assert codes(found) == {"unsupported_integration"}


def test_a_later_deployment_of_the_other_program_concerns_who_has_positions_there() -> None:
    case = Case(protocol="drift")
    journals = case.journals()
    deployed(journals, 77, 88)
    own = json.loads(journals.tips.aspects[b"", DEPLOYMENT])
    own[base58(PROGRAM_ID)] = own[base58(PROGRAM_ID)] | {"deployed": "77", "first": True}
    journals.tips.aspects[b"", DEPLOYMENT] = json.dumps(own)
    at = Block(number=SLOT, hash=b"", parent_hash=b"", time=NOW)

    found = open_book(journals.market(at))(journals.unit(ANNS))
    assert codes(found) == {UPGRADED}
    assert "integration_slots" in found.reasons[0].detail
    assert doubts(journals.market(at)) == (), "nobody else is in doubt"
    journals.venue = replace(journals.venue, options={"integration_slots": [88]})
    assert open_book(journals.market(at))(journals.unit(ANNS)).reasons == ()


@pytest.mark.parametrize(
    "pool, code, word",
    [
        (seen(None), "price_unreadable", "no account"),
        (kamino_reserve()._replace(owner=SAVE), "price_unreadable", "belongs to program"),
        (kamino_reserve(mint=b"z" * 32), "integration_unreadable", "has token"),
        (kamino_reserve(config={"interest_rate_basis": 1}), "unsupported_interest", "not by slots"),
        (kamino_reserve(SLOT + 1), "reserve_stale", "after slot"),
        (kamino_reserve(version=2**64 - 1), "reserve_stale", "deprecated"),
        (kamino_reserve(liquidity={"accumulated_protocol_fees_sf": (2**68 - 1) << 60}), "price_unreadable", "rate"),
    ],
    ids=["gone", "owner", "token", "basis", "later", "version", "fees"],
)
def test_a_pool_that_is_not_what_it_should_be_is_named(pool: AccountBytes, code: str, word: str) -> None:
    found = Case(protocol="kamino", pool=pool).valued()

    assert any(reason.code == code and word in reason.detail for reason in found.reasons), found.reasons
    assert found.native is None


@pytest.mark.parametrize("protocol", ["kamino", "drift", "save"])
def test_a_bank_over_a_pool_without_an_age_limit_takes_prices_of_its_own_second_only(protocol: str) -> None:
    now, before = (
        Case(protocol=protocol, bank={"oracle_max_age": 0}, price=pyth(200 * 10**8, published=published)).valued()
        for published in (NOW, NOW - 1)
    )

    assert "price_stale" not in codes(now)
    (stale,) = (reason for reason in before.reasons if reason.code == "price_stale")
    assert stale.detail == "its price was published 1 s before the block, the bank's limit is 0 s"


def test_the_accounts_that_pools_name_are_read_once_the_pool_was() -> None:
    journals = Case(protocol="kamino").journals()
    first = Journals(journals.venue)
    first.fold([(SOL, seen(KAMINO_BANK))])

    assert Marginfi(first.venue).others(first.tips) == {GROUP_KEY, SOL_PRICE, RESERVE}
    assert MARKET in Marginfi(journals.venue).others(journals.tips)
    before = Case(protocol="kamino").journals()
    del before.tips.aspects[MARKET, "held_beside"]
    at = Block(number=SLOT, hash=b"", parent_hash=b"", time=NOW)
    assert codes(open_book(before.market(at))(before.unit(ANNS))) == {"integration_unknown"}


def test_however_looks_are_cut_the_journals_are_the_same() -> None:
    looks = [
        [(GROUP_KEY, seen(group())), (SOL, seen(KAMINO_BANK))],
        [(RESERVE, kamino_reserve(SLOT + 1)), (MARKET, klend.market(SLOT + 1))],
        [
            (RESERVE, kamino_reserve(SLOT + 2, liquidity={"total_available_amount": 1})),
            (MARKET, klend.market(SLOT + 2, referral_fee_bps=100)),
        ],
        [(RESERVE, seen(None, slot=SLOT + 3))],
    ]  # fmt: skip
    once, often = (Journals(venue(kamino_version="1.20")) for _ in range(2))
    once.fold([each for look in looks for each in look])
    for look in looks:
        often.fold(look)

    assert once.rows.markets == often.rows.markets
    assert once.rows.quarantined == often.rows.quarantined == []
    assert once.tips.aspects == often.tips.aspects
    assert [row.aspect for row in once.rows.markets].count("held_totals") == 2


def test_a_reserve_of_somebody_else_that_no_bank_names_is_not_taken_in() -> None:
    journals = Journals(venue())
    rows = journals.fold([(RESERVE, seen(b"x" * 8624, owner=KLEND))])

    assert rows.markets == []
    assert [row.reason for row in rows.quarantined] == [f"unknown_account:{base58(RESERVE)}"]


@pytest.mark.parametrize(
    "options",
    [
        {"kamino_version": "new"},
        {"kamino_version": [[True, "1.20"]]},
        {"integration_slots": [True]},
        {"integration_slots": 5},
    ],
)
def test_options_that_say_nothing_are_refused(options: dict[str, Any]) -> None:
    (problem,) = check_options(options)

    assert problem.startswith(next(iter(options)))
