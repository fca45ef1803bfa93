"""Accounts of a lending market into journals: what is noted, in which order, and what is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from chains.model import WHOLE_VENUE, AccountBytes, Basis, Rows, Side
from chains.solana.kamino import Kamino, obligations
from chains.solana.kamino.journal import OBLIGATION, PRICE, PROBLEM, obligation_of
from chains.solana.kamino.layout import PROGRAM
from tests.support.kamino_accounts import (
    MARKET_ADDRESS,
    ONE,
    OWNER,
    SOL,
    SOL_MINT,
    SOL_PRICE,
    UNIT,
    USDC,
    USDC_MINT,
    account,
    gone,
    market,
    obligation,
    pull,
    reserve,
    scope,
)
from tests.support.kamino_runs import Journals, venue

SPEC = venue(MARKET_ADDRESS, "1.22")
SCOPE = b"C" * 32
Seen = tuple[bytes, AccountBytes]


class Fold:
    """Folds accounts one look after the other, as into a store."""

    def __init__(self) -> None:
        self.journals = Journals()
        self.rows = Rows()

    def __call__(self, *seen: Seen) -> Rows:
        rows = Kamino(SPEC).fold(self.journals, seen)
        self.journals.store(rows, seen)
        self.rows.extend(rows)
        return rows

    def setting(self, unit: bytes = UNIT) -> Any:
        return json.loads(self.journals.settings[unit, WHOLE_VENUE, OBLIGATION])

    def state(self, market: bytes, aspect: str) -> Any:
        return json.loads(self.journals.market_states[market, aspect])


@pytest.fixture
def fold() -> Fold:
    begun = Fold()
    begun((MARKET_ADDRESS, market()), (SOL, reserve()), (USDC, reserve(mint=USDC_MINT, decimals=6)))
    return begun


def test_an_adapter_looks_for_reserves_obligations_the_market_and_its_prices(fold: Fold) -> None:
    kamino = Kamino(SPEC)

    assert [(wanted.role, wanted.program, wanted.size) for wanted in kamino.sets] == [
        ("Reserve", PROGRAM, 8624),
        ("Obligation", PROGRAM, 3344),
    ]
    assert all(wanted.holding[1] == (32, MARKET_ADDRESS) for wanted in kamino.sets)
    assert kamino.others(fold.journals) == sorted([MARKET_ADDRESS, SOL_PRICE])


def test_a_new_owner_alone_shows_in_the_bytes_by_which_changed_obligations_are_found() -> None:
    (wanted,) = (each for each in Kamino(SPEC).sets if each.pulse)
    assert wanted.pulse is not None
    place = slice(wanted.pulse[0], sum(wanted.pulse))

    before, after = (obligation(11, owner=owner, deposits=[(SOL, 5)]) for owner in (b"O" * 32, b"N" * 32))

    assert before.data[place] != after.data[place]


def test_an_obligation_is_a_unit_with_amounts_by_reserve_and_all_else_in_one_setting(fold: Fold) -> None:
    seen = obligation(11, deposits=[(SOL, 5)], borrows=[(USDC, 7 * ONE + 1)], rate=2 * ONE, elevation_group=3)

    rows = fold((UNIT, seen))

    supply, borrow = rows.positions
    assert supply[3:] == ("main", UNIT, OWNER, SOL, Side.SUPPLY, SOL_MINT, 5, "kamino-1", Basis.OBSERVED)
    assert borrow[3:] == ("main", UNIT, OWNER, USDC, Side.BORROW, USDC_MINT, 7 * ONE + 1, "kamino-1", Basis.OBSERVED)
    assert {row[:3] for row in (*rows.positions, *rows.accounts)} == {(11, -1, 2**31 - 1)}
    assert fold.setting() == {
        "owner": "0x" + OWNER.hex(),
        "elevation_group": 3,
        "has_debt": 1,
        "lowest_reserve_deposit_max_ltv_pct": 0,
        "autodeleverage_margin_call_started_timestamp": 0,
        "orders": 0,
        "deposits": ["0x" + SOL.hex()],
        "borrows": {"0x" + USDC.hex(): [str(2 * ONE), 0]},
        "problem": None,
    }
    assert rows.events == []


def test_what_stands_as_it_stood_is_not_noted_again(fold: Fold) -> None:
    seen = obligation(11, deposits=[(SOL, 5)])
    fold((UNIT, seen))

    again = fold((UNIT, seen._replace(slot=12, lamports=2)), (SOL, reserve()._replace(slot=12, lamports=2)))

    assert len(again) == 0


def test_a_change_is_noted_with_what_must_have_happened(fold: Fold) -> None:
    fold((UNIT, obligation(11, deposits=[(SOL, 5)], borrows=[(USDC, 100 * ONE)])))

    # the debt doubles by the rate, and a repayment of 50 leaves 150
    rows = fold((UNIT, obligation(12, deposits=[(SOL, 2)], borrows=[(USDC, 150 * ONE)], rate=2 * ONE)))

    assert [(row.market, row.amount_raw) for row in rows.positions] == [(SOL, 2), (USDC, 150 * ONE)]
    assert [(event.kind, event.market, event.asset, event.amount_raw) for event in rows.events] == [
        ("withdraw", SOL, SOL_MINT, 3),
        ("repay", USDC, USDC_MINT, 50),
    ]
    assert {event.owner for event in rows.events} == {OWNER}
    assert all(json.loads(event.extra)["observed"] is True for event in rows.events)
    assert json.loads(rows.events[1].extra)["change_raw"] == str(-50 * ONE)


def test_a_debt_that_is_gone_was_repaid_with_interest(fold: Fold) -> None:
    fold((UNIT, obligation(11, borrows=[(USDC, 100 * ONE)])))

    grown = reserve(mint=USDC_MINT, decimals=6, liquidity={"cumulative_borrow_rate_bsf": 3 * ONE // 2})
    rows = fold((USDC, grown._replace(slot=12)), (UNIT, obligation(12)))

    assert [(event.kind, event.amount_raw) for event in rows.events] == [("repay", 150)]


def test_interest_alone_is_no_event(fold: Fold) -> None:
    fold((UNIT, obligation(11, borrows=[(USDC, 100 * ONE)])))

    rows = fold((UNIT, obligation(12, borrows=[(USDC, 200 * ONE - 1)], rate=2 * ONE)))

    assert len(rows.positions) == 1
    assert rows.events == []


def test_an_account_that_is_gone_leaves_nothing(fold: Fold) -> None:
    fold((UNIT, obligation(11, deposits=[(SOL, 5)], borrows=[(USDC, ONE)])))

    rows = fold((UNIT, gone(12)))

    assert [(row.market, row.side, row.amount_raw) for row in rows.positions] == [
        (SOL, Side.SUPPLY, 0),
        (USDC, Side.BORROW, 0),
    ]
    assert {event.kind for event in rows.events} == {"withdraw", "repay"}
    assert (fold.setting()["deposits"], fold.setting()["borrows"]) == ([], {})
    assert len(fold((UNIT, gone(13)))) == 0


def test_an_obligation_that_is_handed_over_stands_under_its_new_owner(fold: Fold) -> None:
    fold((UNIT, obligation(11, deposits=[(SOL, 5)])))

    rows = fold((UNIT, obligation(12, owner=b"N" * 32, deposits=[(SOL, 5)])))

    assert [(row.owner, row.amount_raw) for row in rows.positions] == [(b"N" * 32, 5)]
    assert rows.events == []


def test_a_debt_of_more_digits_than_a_column_stands_in_the_setting_until_it_fits_again(fold: Fold) -> None:
    wide = 10**38 + 1
    rows = fold((UNIT, obligation(11, borrows=[(USDC, wide)])))
    assert [row.amount_raw for row in rows.positions] == [wide]
    assert fold.setting()["borrows"]["0x" + USDC.hex()] == [str(ONE), 0, str(wide)]
    assert len(fold((UNIT, obligation(12, borrows=[(USDC, wide)])))) == 0

    rows = fold((UNIT, obligation(13, borrows=[(USDC, ONE)])))

    assert [row.amount_raw for row in rows.positions] == [ONE]
    assert obligation_of(fold.journals.settings[UNIT, WHOLE_VENUE, OBLIGATION]).borrows[USDC].wide is None
    assert [event.kind for event in rows.events] == ["repay"]


@pytest.mark.parametrize(
    "address, seen, reason",
    [
        (UNIT, account(12, obligation(12).data + b"\0"), "malformed_account:Obligation"),
        (SOL, account(12, reserve(12).data[:-1]), "malformed_account:Reserve"),
        (MARKET_ADDRESS, account(12, b"x" * 4664), "malformed_account:LendingMarket"),
        (SOL, account(12, reserve(12).data[:32] + b"?" * 32 + reserve(12).data[64:]), "malformed_account:Reserve"),
        (
            UNIT,
            account(12, obligation(12).data[:32] + b"?" * 32 + obligation(12).data[64:]),
            "malformed_account:Obligation",
        ),
        (b"?" * 32, account(12, b"x" * 100), "unknown_account"),
    ],
)
def test_an_account_that_is_not_what_it_must_be_is_kept_and_named(
    fold: Fold, address: bytes, seen: AccountBytes, reason: str
) -> None:
    rows = fold((address, seen))

    assert [(row.reason, row.word) for row in rows.quarantined] == [(reason, seen.data)]
    assert rows.positions == []


def test_an_obligation_whose_account_changed_its_form_is_in_doubt_until_it_has_it_again(fold: Fold) -> None:
    good = obligation(11, deposits=[(SOL, 5)])
    fold((UNIT, good))

    fold((UNIT, account(12, good.data + b"\0")))
    assert "3345 bytes" in fold.setting()["problem"]
    assert fold.journals.held[UNIT, SOL, Side.SUPPLY] == 5

    fold((UNIT, good._replace(slot=13)))
    assert fold.setting()["problem"] is None


def test_an_obligation_whose_address_is_another_program_s_by_now_is_in_doubt(fold: Fold) -> None:
    good = obligation(11, deposits=[(SOL, 5)])
    fold((UNIT, good))

    fold((UNIT, good._replace(slot=12, owner=b"other" + bytes(27))))

    assert fold.setting()["problem"] == "the Obligation is of another program or lending market"


def test_a_reserve_that_is_gone_is_in_doubt(fold: Fold) -> None:
    fold((SOL, gone(12)))

    assert fold.state(SOL, PROBLEM) == "the Reserve is gone"

    fold((SOL, reserve(13)))
    assert fold.state(SOL, PROBLEM) is None


def test_one_reserve_in_two_slots_is_in_doubt(fold: Fold) -> None:
    fold((UNIT, obligation(11, deposits=[(SOL, 5), (SOL, 6)])))

    assert "two slots" in fold.setting()["problem"]


def test_within_a_slot_prices_and_obligations_come_after_reserves_in_whatever_order_they_were_read() -> None:
    seen = [
        (UNIT, obligation(10, deposits=[(SOL, 5)])),
        (SOL_PRICE, pull(1)),
        (SOL, reserve()),
        (MARKET_ADDRESS, market()),
    ]
    there, back = Fold(), Fold()

    there(*seen)
    back(*reversed(seen))

    assert there.journals.market_states == back.journals.market_states
    assert there.rows.positions == back.rows.positions
    assert there.rows.positions[0].asset == SOL_MINT


def test_a_price_account_is_read_as_it_is_given_and_later_otherwise_from_bytes_that_are_known(fold: Fold) -> None:
    chain = [{"index": 3}, *[{"index": 0xFFFF}] * 3]
    prices = SCOPE, scope({3: (150, 0, 9, 1000), 4: (149, 0, 9, 1000)})
    named = SOL, reserve(11, token={"scope_price_feed": SCOPE, "scope_price_chain": chain})

    fold(prices)  # of somebody else's, as another venue's would be stored
    fold(named)
    assert (SCOPE, PRICE) not in fold.journals.market_states
    fold(named, prices)
    assert fold.state(SCOPE, PRICE)["prices"] == {
        "0": ["0", "0", "0", "0"],
        "3": ["150", "0", "9", "1000"],
    }

    token = {"scope_price_feed": SCOPE, "scope_price_chain": chain, "scope_twap_chain": [{"index": 4}]}
    fold((SOL, reserve(12, token=token)))
    assert "4" in fold.state(SCOPE, PRICE)["prices"]


def test_a_price_account_that_is_none_is_in_doubt(fold: Fold) -> None:
    fold((SOL_PRICE, account(11, b"?" * 50, b"x" * 32)))

    assert "no prices of Pyth or Scope" in fold.state(SOL_PRICE, PROBLEM)


def test_many_new_obligations_give_the_rows_that_they_give_one_by_one(
    fold: Fold, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = crowd(400)
    state = fold.journals

    many = Kamino(SPEC).fold(state, seen)
    monkeypatch.setattr(obligations, "MANY", 10**9)
    single = Kamino(SPEC).fold(state, seen)

    assert many.columns["accounts"][0].num_rows > 300
    assert listed(many) == listed(single)
    assert len(listed(single)[0]) > 500
    assert many.quarantined == single.quarantined


def test_what_was_noted_as_columns_is_known_to_the_next_look_of_the_same_fold(fold: Fold) -> None:
    seen = crowd(400)
    later = [(unit, told._replace(slot=12)) for unit, told in seen]
    changed = (seen[0][0], obligation(13, deposits=[(SOL, 77)]))

    at_once = Kamino(SPEC).fold(fold.journals, [*seen, *later, changed])
    fold(*seen)
    apart = [fold(*later), fold(changed)]

    assert at_once.positions[-len(apart[1].positions) :] == apart[1].positions
    assert len(at_once.positions) == len(fold.rows.positions)
    assert at_once.accounts[-1] == apart[1].accounts[-1]


@pytest.mark.parametrize("seed", range(4))
def test_a_history_gives_the_same_rows_however_it_is_cut(seed: int) -> None:
    history = story(seed)
    rng = random.Random(seed)
    whole, parts = Fold(), Fold()

    whole(*history)
    for part in cut(history, sorted(rng.sample(range(1, len(history)), 5))):
        parts(*part)

    assert listed(whole.rows) == listed(parts.rows)
    assert sorted(whole.rows.markets) == sorted(parts.rows.markets)
    assert sorted(whole.rows.events, key=repr) == sorted(parts.rows.events, key=repr)
    assert whole.journals == parts.journals
    assert len(whole.rows.events) > 3


def crowd(count: int) -> list[Seen]:
    """Obligations of every kind: none, one and several of each side, odd ones among them."""
    rng = random.Random(5)
    found = []
    for number in range(count):
        deposits = [(key, rng.randrange(2**64)) for key in rng.sample([SOL, USDC], rng.randrange(3))]
        borrows = [(key, rng.randrange(1, 10**37)) for key in rng.sample([SOL, USDC], rng.randrange(3))]
        values: dict[str, Any] = {"rate": rng.choice([ONE, 2**64 + 5])}
        if number % 50 == 7:
            borrows = [(SOL, 10**38 + number)]
        if number % 50 == 8:
            deposits = [(SOL, 1), (SOL, 2)]
        if number % 9 == 0:
            values |= {"obligation_orders": b"\0\1", "elevation_group": 2}
        unit = number.to_bytes(32, "big")
        found.append((unit, obligation(11, owner=rng.randbytes(32), deposits=deposits, borrows=borrows, **values)))
    return found


def story(seed: int) -> list[Seen]:
    """Looks at a few accounts over some slots."""
    rng = random.Random(seed)
    found: list[Seen] = [(MARKET_ADDRESS, market()), (SOL, reserve()), (USDC, reserve(mint=USDC_MINT))]
    for slot in range(11, 40):
        kind, unit = rng.randrange(6), bytes([rng.randrange(1, 4)]) * 32
        if kind == 0:
            found.append((SOL_PRICE, pull(rng.randrange(1, 10**9), slot=slot)))
        elif kind == 1:
            found.append((SOL, reserve(slot, token={"max_age_price_seconds": rng.randrange(9)})))
        elif kind == 2:
            found.append((unit, gone(slot)))
        else:
            held = [(SOL, rng.randrange(1, 9))]
            found.append((unit, obligation(slot, deposits=held, borrows=[(USDC, rng.randrange(9) * ONE)])))
    return found


def cut(history: Sequence[Seen], places: Sequence[int]) -> list[Sequence[Seen]]:
    ends = [*places, len(history)]
    return [history[first:last] for first, last in zip([0, *places], ends, strict=True)]


def listed(rows: Rows) -> tuple[list[Any], list[Any]]:
    """Positions and settings of lists and of columns, sorted."""
    positions = [tuple(row) for row in rows.positions]
    settings = [tuple(row) for row in rows.accounts]
    for table in rows.columns.get("positions", []):
        positions += [tuple(row.values()) for row in table.to_pylist()]
    for table in rows.columns.get("accounts", []):
        settings += [tuple(row.values()) for row in table.to_pylist()]
    return sorted(positions), sorted(settings)
