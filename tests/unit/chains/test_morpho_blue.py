"""Morpho Blue's arithmetic and fold, and what makes a position unknown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from chains.errors import NoContract, NodeWrong
from chains.evm.abi import Event
from chains.evm.erc20 import DECIMALS, SYMBOL
from chains.evm.logs import log_table
from chains.evm.morpho_blue import MorphoBlue, open_book
from chains.evm.morpho_blue import events as ev
from chains.evm.morpho_blue.curve import INITIAL_RATE_AT_TARGET, PROBES, borrow_rate, exp_approximately
from chains.evm.morpho_blue.maths import (
    WAD,
    TooLarge,
    Totals,
    accrued,
    compounded,
    liquidation_incentive_factor,
    to_assets_down,
    to_assets_up,
)
from chains.evm.ports import Answer, Folded, NeedReads, Read, Reads
from chains.evm.records import RpcLog
from chains.model import (
    Block,
    PriceAnswer,
    Rows,
    Side,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
    VenueUnit,
)
from tests.support.state import Tips

MORPHO, IRM, ORACLE, FEED, AGGREGATOR = (bytes([n]) * 20 for n in (0xAA, 0x11, 0x22, 0x33, 0x44))
LOAN, COLLATERAL = b"\x0a" * 20, b"\x0b" * 20
ANN, BOB = b"\x01" * 20, b"\x02" * 20
ID = b"\x77" * 32
LLTV = 8 * WAD // 10
START, SECONDS = 1_700_000_000, 12
TIMES = {block: START + block * SECONDS for block in range(100)}

RULE = {"kind": "composition", "parts": {"base_1": "0x" + FEED.hex()}, "numbers": {"scale": str(10**18)}}
"""The oracle's price: that of one feed."""

Said = tuple[int, bytes, Event, tuple[Any, ...]]
"""(block, emitter, event, arguments)"""


@pytest.mark.parametrize(
    "lltv, factor",
    [(98 * 10**16, 1_006_036_217_303_822_937), (86 * 10**16, 1_043_841_336_116_910_229), (0, 115 * 10**16)],
)
def test_the_incentive_grows_with_what_the_collateral_does_not_cover(lltv: int, factor: int) -> None:
    assert liquidation_incentive_factor(lltv) == factor


def test_growth_is_three_terms_each_rounded_down() -> None:
    # rt = 0.1: 0.1 + 0.01/2 + 0.005·0.1/3
    assert compounded(10**16, 10) == 10**17 + 5 * 10**15 + 166_666_666_666_666


def test_a_fee_is_shares_of_a_market_that_has_grown_by_all_but_the_fee() -> None:
    totals = Totals(1_000_000, 10**12, 500_000, 5 * 10**11, 0, 10**17)

    now = accrued(totals, 10**16, 10)

    # interest 500,000 · 0.105166… = 52,583, fee 5,258; 5,258 · (10¹² + 10⁶) / (1,052,583 − 5,258 + 1)
    assert (now.interest, now.fee_shares) == (52_583, 5_258 * (10**12 + 10**6) // 1_047_326)
    assert now.totals == Totals(1_052_583, 10**12 + now.fee_shares, 552_583, 5 * 10**11, 10, 10**17)


def test_interest_that_has_no_room_is_none_at_all() -> None:
    with pytest.raises(TooLarge):
        accrued(Totals(2**127, 1, 2**127, 1, 0, 0), WAD, 100)


@given(st.integers(0, 2**100), st.integers(0, 2**100), st.integers(0, 2**100))
def test_who_owes_never_owes_less_than_who_lent_the_same_shares_has(shares: int, assets: int, total: int) -> None:
    assert 0 <= to_assets_up(shares, assets, total) - to_assets_down(shares, assets, total) <= 1


@given(st.floats(-40, 90))
def test_the_exponential_is_within_a_percent_and_a_half(x: float) -> None:
    assert exp_approximately(int(x * WAD)) / WAD == pytest.approx(math.exp(x), rel=0.015, abs=1e-17)


def test_the_exponential_is_bounded_on_both_sides() -> None:
    assert exp_approximately(-42 * WAD) == 0
    assert exp_approximately(10**40) == exp_approximately(94 * WAD)


@given(st.integers(1, 10**27), st.integers(0, 10**27), st.integers(0, 10**9))
def test_a_rate_lies_between_a_quarter_of_the_lowest_and_four_times_the_highest(
    supplied: int, owed: int, seconds: int
) -> None:
    totals = Totals(supplied, 0, min(owed, supplied), 0, 0, 0)
    rate = borrow_rate(INITIAL_RATE_AT_TARGET, totals, seconds)

    assert WAD // 1_000 // 31_536_000 <= rate.at_target <= 2 * WAD // 31_536_000
    assert WAD // 4_000 // 31_536_000 - 1 <= rate.average <= 8 * WAD // 31_536_000


def test_a_market_and_its_people_become_journals() -> None:
    rows = fold(Tips(), story())

    assert {(m.market, m.aspect) for m in rows.markets} >= {
        (ID, "params"),
        (ID, "totals"),
        (ID, "rate"),
        (LOAN, "token"),
    }
    assert [(p.unit_id, p.market, p.side, p.amount_raw) for p in rows.positions] == [
        (ID + ANN, ID, Side.SUPPLY, 10**15),
        (ID + BOB, ID + COLLATERAL, Side.SUPPLY, 10**18),
        (ID + BOB, ID, Side.BORROW, 5 * 10**14),
    ]
    assert [(e.kind, e.owner, e.asset, e.amount_raw) for e in rows.events] == [
        ("supply", ANN, LOAN, 10**9),
        ("supply", BOB, COLLATERAL, 10**18),
        ("borrow", BOB, LOAN, 5 * 10**8),
    ]
    assert rows.quarantined == []


@given(st.sets(st.integers(1, 12)))
def test_any_cut_gives_the_same_rows(cuts: set[int]) -> None:
    said, tips, rows = [*story(), *ending()], Tips(), Rows()
    bounds = [0, *sorted(cuts), 99]
    for first, last in pairwise(bounds):
        rows.extend(fold(tips, [each for each in said if first <= each[0] < last]))

    assert rows == fold(Tips(), said)


def test_an_owner_is_healthy_up_to_the_very_unit() -> None:
    # a loan token has 6 decimals, collateral 18: 10^18 · price / 10^36 · 0.8, and 5·10^8 are owed
    assert valued(price=625 * 10**6).liquidatable is False
    unit = valued(price=625 * 10**6)
    assert (unit.health_factor_wad, unit.native and unit.native["maxBorrow"]) == (WAD, 5 * 10**8)
    below = valued(price=625 * 10**6 - 2)
    assert (below.liquidatable, below.health_factor_wad) == (True, (5 * 10**8 - 2) * WAD // (5 * 10**8))
    assert [(p.side, p.asset, p.amount_raw, p.counts, p.liquidation_threshold) for p in unit.positions] == [
        (Side.SUPPLY, COLLATERAL, 10**18, True, 8_000),
        (Side.BORROW, LOAN, 5 * 10**8, True, None),
    ]
    assert (unit.collateral_base, unit.debt_base, unit.base_unit) == (625 * 10**6, 5 * 10**8, 10**6)
    assert unit.in_token


def test_interest_is_unknown_where_the_model_is_another() -> None:
    assert codes(valued(seconds=100, model=lambda _: encode(["uint256"], [7]))) == ["unsupported_irm"]
    assert codes(valued(seconds=0, model=lambda _: encode(["uint256"], [7]))) == []


def test_a_model_whose_word_is_not_its_arithmetic_is_in_doubt() -> None:
    rate: Said = (4, IRM, ev.BORROW_RATE_UPDATE, (ID, 5, INITIAL_RATE_AT_TARGET))
    interest: Said = (4, MORPHO, ev.ACCRUE_INTEREST, (ID, 5, 1, 0))

    assert codes(valued(seconds=100, more=[rate])) == ["irm_in_doubt"]
    assert codes(valued(seconds=100, more=[interest])) == ["irm_in_doubt"]


def test_the_word_of_a_model_that_the_market_does_not_ask_changes_nothing() -> None:
    assert codes(valued(seconds=100, more=[(4, FEED, ev.BORROW_RATE_UPDATE, (ID, 5, 5))])) == []


def test_only_debt_needs_a_price() -> None:
    broken = valued(rule=None)
    assert (broken.native, codes(broken)) == (None, ["unsupported_oracle"])
    lender = valued(owner=ANN, rule=None)
    assert (lender.native and lender.native["supplyAssets"], codes(lender)) == (10**9, [])


def test_an_oracle_that_reverts_or_is_in_doubt_says_so() -> None:
    assert codes(valued(price=-1)) == ["oracle_reverts"]
    assert codes(valued(fault="it says something else")) == ["feed_in_doubt"]


def test_an_amount_that_fits_no_column_is_kept_exactly_and_makes_its_unit_unknown() -> None:
    tips = Tips()
    fold(tips, [*story(), (5, MORPHO, ev.SUPPLY_COLLATERAL, (ID, BOB, BOB, 10**38))])
    assert codes(unit_of(tips, BOB)) == ["amount_too_wide"]
    rows = fold(tips, [(6, MORPHO, ev.WITHDRAW_COLLATERAL, (ID, BOB, BOB, BOB, 10**38))])
    assert [p.amount_raw for p in rows.positions] == [10**18]
    assert codes(unit_of(tips, BOB)) == []


def test_bad_debt_is_taken_from_all_suppliers() -> None:
    tips = Tips()
    fold(tips, story())
    fold(tips, [(5, MORPHO, ev.LIQUIDATE, (ID, ANN, BOB, 3 * 10**8, 3 * 10**14, 10**18, 2 * 10**8, 2 * 10**14))])

    assert json.loads(tips.aspects[ID, "totals"])["supply_assets"] == str(8 * 10**8)
    assert set(tips.held.values()) == {10**15, 0}


@pytest.mark.parametrize(
    "impossible",
    [
        (ev.SUPPLY, (b"\x66" * 32, ANN, ANN, 1, 1)),
        (ev.WITHDRAW, (ID, ANN, ANN, ANN, 1, 2 * 10**15)),
        (ev.REPAY, (ID, ANN, ANN, 1, 1)),
    ],
)
def test_what_cannot_be_is_said_to_be_the_nodes_fault(impossible: tuple[Event, tuple[Any, ...]]) -> None:
    tips = Tips()
    fold(tips, story())
    with pytest.raises(NodeWrong):
        fold(tips, [(5, MORPHO, *impossible)])


def test_a_deployment_before_the_first_block_is_refused() -> None:
    with pytest.raises(NoContract):
        MorphoBlue.found(venue(), Answer("returned", b"\x60"))


# A market with one feed, and two people


def story() -> list[Said]:
    first = borrow_rate(0, Totals(0, 0, 0, 0, 0, 0), 0)
    return [
        (1, MORPHO, ev.SET_OWNER, (ANN,)),
        (1, MORPHO, ev.ENABLE_IRM, (IRM,)),
        (2, MORPHO, ev.CREATE_MARKET, (ID, LOAN, COLLATERAL, ORACLE, IRM, LLTV)),
        (2, IRM, ev.BORROW_RATE_UPDATE, (ID, *first)),
        (2, MORPHO, ev.SUPPLY, (ID, ANN, ANN, 10**9, 10**15)),
        (2, MORPHO, ev.SUPPLY_COLLATERAL, (ID, BOB, BOB, 10**18)),
        (2, MORPHO, ev.BORROW, (ID, BOB, BOB, BOB, 5 * 10**8, 5 * 10**14)),
    ]


def ending() -> list[Said]:
    """Interest with a fee, in a later block, and a market that is wound up."""
    totals = Totals(10**9, 10**15, 5 * 10**8, 5 * 10**14, TIMES[2], WAD // 10)
    rate = borrow_rate(INITIAL_RATE_AT_TARGET, totals, TIMES[8])
    now = accrued(totals, rate.average, TIMES[8])
    return [
        (2, MORPHO, ev.SET_FEE, (ID, WAD // 10)),
        (3, MORPHO, ev.SET_FEE_RECIPIENT, (ANN,)),
        (8, IRM, ev.BORROW_RATE_UPDATE, (ID, *rate)),
        (8, MORPHO, ev.ACCRUE_INTEREST, (ID, rate.average, now.interest, now.fee_shares)),
        (9, MORPHO, ev.REPAY, (ID, ANN, BOB, 10**8, 10**14)),
        (11, MORPHO, ev.WITHDRAW_COLLATERAL, (ID, BOB, BOB, BOB, 10**17)),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What contracts answer: tokens, and the model's word."""

    model: Callable[[Read], bytes] | None = None

    def __call__(self, read: Read) -> Answer:
        output = self.said(read)
        return Answer("reverted", b"") if output is None else Answer("returned", output)

    def said(self, read: Read) -> bytes | None:
        plain = {
            DECIMALS.calldata(): encode(["uint8"], [6 if read.address == LOAN else 18]),
            SYMBOL.calldata(): encode(["string"], ["TKN"]),
        }
        if read.input[:4] == ev.BORROW_RATE_VIEW.selector:
            return self.model(read) if self.model else curve(read)
        return plain.get(read.input)


def curve(read: Read) -> bytes:
    """The adaptive curve's answer to one of the questions that it is known by."""
    words = [int.from_bytes(read.input[4 + 32 * i :][:32]) for i in range(11)]
    totals, now = Totals(words[5], 0, words[7], 0, words[9], 0), TIMES[read.block]
    assert (words[5], words[7], now - words[9]) in PROBES
    return encode(["uint256"], [borrow_rate(INITIAL_RATE_AT_TARGET, totals, now).average])


def venue() -> VenueSpec:
    return VenueSpec(id="blue", protocol="morpho-blue", chain_id="eip155:1", address=MORPHO, start_block=1)


def fold(tips: Tips, said: Sequence[Said], world: World | None = None) -> Rows:
    """Fold a span as the chain does, and let the tips be what they are after it."""
    blue, known = MorphoBlue(venue()), dict[Read, Answer]()
    decoded = blue.decode(log_table(list(logs(said))))
    while True:
        match blue.fold(tips, decoded, TIMES, Reads(known)):
            case NeedReads(reads=reads):
                assert reads.isdisjoint(known)
                known |= {read: (world or World())(read) for read in reads}
            case Folded(rows=rows):
                tips.take(rows)
                return rows


def logs(said: Iterable[Said]) -> Iterable[RpcLog]:
    for index, (block, emitter, event, values) in enumerate(said):
        pairs = list(zip(event.arguments, values, strict=True))
        topics = [event.topic0, *(encode([a.type], [value]) for a, value in pairs if a.indexed)]
        plain = [(a.type, value) for a, value in pairs if not a.indexed]
        yield RpcLog(
            address="0x" + emitter.hex(),
            topics=["0x" + topic.hex() for topic in topics],
            data="0x" + encode([kind for kind, _ in plain], [value for _, value in plain]).hex(),
            block_number=hex(block),
            block_hash="0x" + "11" * 32,
            transaction_hash="0x" + block.to_bytes(32).hex(),
            transaction_index="0x3",
            log_index=hex(sum(other[0] == block for other in list(said)[:index])),
        )


def valued(
    *,
    owner: bytes = BOB,
    price: int = 625 * 10**6,
    seconds: int = 0,
    rule: dict[str, Any] | None = RULE,
    fault: str = "",
    model: Callable[[Read], bytes] | None = None,
    more: Sequence[Said] = (),
) -> VenueUnit:
    """Somebody's unit `seconds` after the market's first block, at a price that may be another than then."""
    tips = Tips()
    fold(tips, [*story(), *more], World(model=model))
    return unit_of(tips, owner, price=price, seconds=seconds, rule=rule, fault=fault)


def unit_of(
    tips: Tips,
    owner: bytes,
    *,
    price: int = 625 * 10**6,
    seconds: int = 0,
    rule: dict[str, Any] | None = RULE,
    fault: str = "",
) -> VenueUnit:
    time = TIMES[2] + seconds
    phase = {"aggregator": "0x" + AGGREGATOR.hex(), "problem": None, "fault": "", "decimals": 8}
    oracle = {"aggregator": None, "problem": "", "fault": fault, **({"rule": rule} if rule else {})}
    snapshot = VenueSnapshot(
        venue=venue(),
        at=Block(number=50, hash=b"", parent_hash=b"", time=time),
        markets=tips.aspects,
        feeds={FEED: json.dumps(phase), ORACLE: json.dumps(oracle)},
        answers={AGGREGATOR: PriceAnswer(price, 1, START, 1)},
    )
    unit = UnitSnapshot(
        unit_id=ID + owner,
        owner=owner,
        positions={
            (market, side): amount for (unit_id, market, side), amount in tips.held.items() if unit_id == ID + owner
        },
        settings={
            (market, name): text for (unit_id, market, name), text in tips.settings.items() if unit_id == ID + owner
        },
    )
    return open_book(snapshot)(unit)


def codes(unit: VenueUnit) -> list[str]:
    return [reason.code for reason in unit.reasons]
