"""Estimates are kept for as long as nothing changed that they rest on, and are then those that would be made anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from aggregator.gather import Catalogue
from aggregator.histories import newest_liquidity, traits_of
from aggregator.margin.estimate_policy import AgePolicy, EstimatePolicy
from aggregator.margin.inputs import Asset, Cut
from aggregator.margin.risk import NO_RISK, RiskInputs
from aggregator.risk.estimates import Trait
from chains.model import FEEDS, Block, FeedSpec, Finality, Rows
from chains.ports import Covered
from crossmargin.estimates import Estimates
from indexer.store import MEMORY, ImportedDay, ImportedLiquidity, Store
from tests.unit.aggregator.builders import shipped_policy
from tests.unit.store.builders import CHAIN, append, batch, block, finalize, market, price

LAST = date(2024, 6, 1)
NOW = datetime(2024, 6, 2, 12, tzinfo=UTC)


def asset(name: str, asset_class: str, identity: str | None = None) -> Asset:
    return Asset(id=f"{CHAIN}/erc20:0x{name}", symbol=name, asset_class=asset_class, same_as=identity or name)


CATALOGUE = Catalogue(
    venues=(), feeds=(), assets=(asset("ETH", "major"), asset("BTC", "major")), policy=shipped_policy()
)


def cuts(time: datetime = NOW, until: datetime | None = None) -> dict[str, Cut]:
    block = Block(number=30, hash=b"\x01" * 32, parent_hash=b"\x00" * 32, time=int(time.timestamp()))
    moment = None if until is None else int(until.timestamp())
    return {CHAIN: Cut(block=block, finality=Finality.FINALIZED, until=moment)}


def learn(store: Store, identity: str, seed: int, *, last: date = LAST, days: int = 700) -> None:
    closes = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.03, days))).tolist()
    rows = [
        ImportedDay(identity, last - timedelta(days=days - 1 - n), close, None, None, "desk", 0, "sha256:00")
        for n, close in enumerate(closes)
    ]
    with store.histories() as ledger:
        ledger.add_days(rows)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        yield opened


@pytest.fixture
def told(store: Store) -> Store:
    append(store, batch(1, 30))
    finalize(store, 20)
    learn(store, "ETH", 1)
    return store


def at(store: Store, estimates: Estimates, time: datetime = NOW, catalogue: Catalogue = CATALOGUE) -> RiskInputs:
    with store.reading() as reader:
        return estimates.at(reader, cuts(time), catalogue)


def test_without_any_history_or_any_cut_there_is_no_risk(store: Store) -> None:
    append(store, batch(1, 30))

    assert at(store, Estimates()) is NO_RISK
    with store.reading() as reader:
        assert Estimates().at(reader, {}, CATALOGUE) is NO_RISK


def test_what_is_kept_is_what_would_be_made_anew(told: Store) -> None:
    estimates = Estimates()
    first = at(told, estimates)

    assert [known.identity for known in first.assets] == ["ETH"]
    assert at(told, estimates, NOW + timedelta(hours=11)) is first
    assert at(told, Estimates()) == first


def test_an_import_another_day_and_another_policy_are_estimated_anew(told: Store) -> None:
    estimates = Estimates()
    first = at(told, estimates)

    next_day = at(told, estimates, NOW + timedelta(days=1))
    policy = replace(CATALOGUE.policy, estimates=EstimatePolicy(ages=AgePolicy(fewest_days=800)))
    strict = at(told, estimates, catalogue=replace(CATALOGUE, policy=policy))
    learn(told, "BTC", 2)
    later = at(told, estimates)

    assert next_day == first
    assert next_day is not first
    assert strict.assets == ()
    assert [known.identity for known in later.assets] == ["BTC", "ETH"]
    assert later.digest != first.digest


def test_what_is_known_of_later_days_changes_nothing(told: Store) -> None:
    first = at(told, Estimates())

    learn(told, "ETH", 5, last=LAST + timedelta(days=30), days=30)

    assert at(told, Estimates()) == first
    assert at(told, Estimates(), NOW + timedelta(days=1)) != first


def test_the_day_that_ended_between_the_last_block_and_the_moment_of_the_cut_is_known(told: Store) -> None:
    before, midnight = NOW.replace(day=1, hour=23, minute=59, second=48), NOW.replace(hour=0)

    with told.reading() as reader:
        found = Estimates().at(reader, cuts(before, midnight), CATALOGUE)

    assert [known.last_day for known in found.assets] == ["2024-06-01"]
    assert found == at(told, Estimates(), midnight)


def test_histories_grow_old_up_to_the_moment_of_the_cut(told: Store) -> None:
    """The last stored block is of the day after the history's last, the moment eleven days later."""
    with told.reading() as reader:
        found = Estimates().at(reader, cuts(NOW, NOW + timedelta(days=11)), CATALOGUE)

    assert found.assets == ()
    assert found == at(told, Estimates(), NOW + timedelta(days=11))


MIDNIGHT, BEFORE = 2 * 86_400, 14_316
"""The end of a day, and the block 8 s before it; the one after comes 4 s later."""


@pytest.mark.parametrize(
    "until, finalized, followed_to, known",
    [
        (MIDNIGHT, BEFORE + 4, BEFORE + 10, [1]),
        (MIDNIGHT - 1, BEFORE + 4, BEFORE + 10, []),
        (None, BEFORE + 4, BEFORE + 10, []),
        (MIDNIGHT, BEFORE - 1, BEFORE + 10, []),
        (MIDNIGHT, BEFORE + 4, BEFORE, []),
    ],
    ids=[
        "it is over",
        "a second before",
        "nobody knows beyond the block",
        "the block is not final",
        "followed to the block alone",
    ],
)
def test_a_day_of_feeds_is_over_by_the_moment_of_a_cut(
    store: Store, until: int | None, finalized: int, followed_to: int, known: list[int]
) -> None:
    proxy, source, first = b"\xf0" * 20, b"\xa0" * 20, BEFORE - 6
    state = json.dumps({"aggregator": f"0x{source.hex()}", "decimals": 2, "fault": "", "problem": ""})
    phase = market(first, state, aspect="phase", venue_id=FEEDS, market=proxy)
    said = [
        price(first + place, 100_00, source=source)._replace(updated_at=time)
        for place, time in enumerate((80_000, 100_000))
    ]
    followed = Covered(interest=FEEDS, first=first, last=followed_to, level="bloom", evidence="every block's bloom")
    rows = Rows(markets=[phase], prices=said)
    append(store, batch(first, BEFORE + 10, rows, logs=[(BEFORE, 0)], covered=(followed,)))
    finalize(store, finalized)
    feed = FeedSpec(
        asset=CATALOGUE.assets[0].id,
        kind="chainlink",
        chain_id=CHAIN,
        address=proxy,
        heartbeat_s=86_400,
        deviation=0.005,
    )

    with store.reading() as reader:
        cut = Cut(block=block(BEFORE), finality=Finality.FINALIZED, until=until)
        days = Estimates().days(reader, CHAIN, cut, replace(CATALOGUE, feeds=(feed,)))

    assert [sorted(one) for one in days.prices["ETH"]] == [known]


@pytest.mark.parametrize("age_s, reasons", [(300, ()), (350, ("marks_not_ok",)), (1_000, ("marks_not_ok",))])
def test_a_mark_in_an_unsound_state_is_not_well(store: Store, age_s: int, reasons: tuple[str, ...]) -> None:
    """The same price: fresh, late by more than half of the 90 s that are allowed beyond 300, and too old to be a mark."""
    last, catalogue = block(30), one_feed(store, age_s=age_s)
    finalize(store, 20)

    with store.reading() as reader:
        cut = {CHAIN: Cut(block=last, finality=Finality.LATEST)}
        found = Estimates().at(reader, cut, catalogue)

    assert found.regime_reasons == reasons


def one_feed(store: Store, *, age_s: int = 0) -> Catalogue:
    """Store 30 blocks, in which a feed of a price each 300 s answered so long before the last one, and a history of ETH."""
    proxy, source, last = b"\xf0" * 20, b"\xa0" * 20, block(30)
    state = json.dumps({"aggregator": f"0x{source.hex()}", "decimals": 2, "fault": "", "problem": ""})
    said = price(2, 100_00, source=source)._replace(updated_at=last.time - age_s)
    phase = market(1, state, aspect="phase", venue_id=FEEDS, market=proxy)
    append(store, batch(1, 30, Rows(markets=[phase], prices=[said])))
    learn(store, "ETH", 1, last=date(1969, 12, 31))
    feed = FeedSpec(
        asset=CATALOGUE.assets[0].id, kind="chainlink", chain_id=CHAIN, address=proxy, heartbeat_s=300, deviation=0.005
    )
    return replace(CATALOGUE, feeds=(feed,))


def test_whether_it_is_stress_rests_on_the_moment_of_the_cut_and_not_on_what_was_asked_before(store: Store) -> None:
    """As of two moments after the same block: ten seconds later, and when the feed's price is too old to be a mark."""
    last, catalogue = block(30), one_feed(store)
    finalize(store, 30)
    estimates = Estimates()

    with store.reading() as reader:
        soon, later = (
            {CHAIN: Cut(block=last, finality=Finality.FINALIZED, until=last.time + age_s)} for age_s in (10, 7_200)
        )
        asked = [estimates.at(reader, cut, catalogue).regime_reasons for cut in (soon, later, soon)]

    assert asked == [(), ("marks_not_ok",), ()]


@pytest.mark.parametrize("answer, reasons", [(0, ()), (1, ("marks_not_ok",))])
def test_prices_of_a_chain_whose_sequencer_is_down_are_not_well(
    store: Store, answer: int, reasons: tuple[str, ...]
) -> None:
    """As in every answer: the grace after it came up is over."""
    eth, uptime, last = b"\xf0" * 20, b"\xf1" * 20, block(30)
    feeds, rows = [], Rows(markets=[], prices=[])
    for address, kind, raw, heartbeat_s in (
        (eth, "chainlink", 100_00, 3_600),
        (uptime, "sequencer-uptime", answer, 10),
    ):
        source = bytes([address[0] - 0x10]) * 20
        state = json.dumps({"aggregator": f"0x{source.hex()}", "decimals": 2, "fault": "", "problem": ""})
        rows.markets.append(market(1, state, aspect="phase", venue_id=FEEDS, market=address))
        rows.prices.append(price(2, raw, source=source)._replace(updated_at=last.time - 60))
        feeds.append(
            FeedSpec(
                asset=CATALOGUE.assets[0].id,
                kind=kind,
                chain_id=CHAIN,
                address=address,
                heartbeat_s=heartbeat_s,
                deviation=0.005,
            )
        )
    append(store, batch(1, 30, rows))
    finalize(store, 20)
    learn(store, "ETH", 1, last=date(1969, 12, 31))

    with store.reading() as reader:
        cut = {CHAIN: Cut(block=last, finality=Finality.LATEST)}
        found = Estimates().at(reader, cut, replace(CATALOGUE, feeds=tuple(feeds)))

    assert found.regime_reasons == reasons


def test_the_newest_liquidity_up_to_the_day_counts() -> None:
    rows = [
        ImportedLiquidity("ETH", date(2024, 1, day), volume, 0.0, 0.0, "desk", 0, "")
        for day, volume in ((1, 1.0), (3, 2.0))
    ]

    assert newest_liquidity(rows, date(2024, 1, 2))["ETH"].daily_volume_usd == 1.0
    assert newest_liquidity(rows, date(2024, 1, 3))["ETH"].daily_volume_usd == 2.0
    assert newest_liquidity(rows, date(2023, 12, 31)) == {}


def test_of_assets_of_one_identity_that_differ_what_is_said_of_the_riskier_counts() -> None:
    steth, usd = asset("stETH", "lst"), asset("USDC", "stable", "USD")
    rate = FeedSpec(
        asset=steth.id,
        kind="redemption-rate",
        chain_id=CHAIN,
        address=b"\x01" * 20,
        heartbeat_s=60,
        deviation=0.0,
        of=CATALOGUE.assets[0].id,
        unit_raw=10**18,
    )
    found = traits_of(replace(CATALOGUE, feeds=(rate,), assets=(*CATALOGUE.assets, steth, usd)))

    assert found["stETH"] == Trait(pegged=True, usd_like=False, worst=1.0, correlation=0.95, base="ETH")
    assert found["USD"] == Trait(pegged=True, usd_like=True, worst=0.5, correlation=0.3)
    assert found["ETH"].free
    mixed = traits_of(replace(CATALOGUE, assets=(usd, replace(asset("X", "long-tail"), same_as="USD"))))
    assert mixed["USD"] == Trait(pegged=True, usd_like=False, worst=1.0, correlation=0.9)
