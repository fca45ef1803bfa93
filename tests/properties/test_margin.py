"""Whatever an account holds and whatever is known of it, the judgement errs to the safe side only.

M1 more collateral never lowers health
M2 more debt never raises health
M3 no unpriced debt is ever healthy
M4 the status is never better than the worst unit's
M5 a supply that does not count changes no status
M6 inputs read back from canonical JSON give the same document
M7 a higher haircut never raises headroom, and touches nothing else
M8 a lower liquidation threshold never raises health
M9 every number is a finite decimal, and low ≤ mid ≤ high
M10 a mark lies among what was used, in any order
M11 a larger deposit against known liabilities never lowers health
M12 a larger requirement or a smaller profit never raises health or headroom
M13 older liabilities never make anything better
M14 whoever owed something when last heard of is unknown as soon as that is too old
M15 a wider interval of a feed never narrows a mark
M28 nor does it ever raise the low health factor or the headroom of an account
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import HealthInputs, VenueInputs
from aggregator.margin.liabilities import Liabilities
from aggregator.margin.status import Status
from aggregator.oracle.mark import Mark, Observation, mark
from chains import registry
from chains.model import Reason, Side
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    NOW,
    OTHER_CHAIN,
    OWNER,
    USDC,
    WETH,
    Holding,
    Price,
    escrow,
    inputs,
    liabilities,
    observation,
    venue,
)

SEVERITY = {status: place for place, status in enumerate(Status)}
DOUBTS = ["feed_without_answer", "unsupported_version"]

amounts = st.integers(min_value=0, max_value=10**9).map(lambda thousandths: thousandths / 1000)
ages = st.sampled_from([0, 1, 3_600, 4_020, 4_021, 95_100, 95_101, -1])
usd = st.integers(min_value=1, max_value=10**12).map(lambda cents: cents / 100)
cents = st.integers(min_value=0, max_value=10**12).map(lambda number: Decimal(number) / 100)
TOO_OLD = 601


@pytest.fixture(autouse=True, scope="module")
def toy_protocol() -> Iterator[None]:
    """An escrow's arithmetic is that of `chains.escrow`, whatever its fold."""
    before = dict(registry.PROTOCOLS)
    registry.PROTOCOLS |= {"toy": "tests.unit.aggregator.builders", "escrow": "chains.escrow"}
    yield
    registry.PROTOCOLS.clear()
    registry.PROTOCOLS.update(before)


@st.composite
def prices(draw: st.DrawFn, *, sound: bool = False) -> dict[bytes, Price]:
    return {
        asset: Price(
            usd=draw(usd if sound else st.none() | usd),
            age_s=0 if sound else draw(ages),
            threshold_bp=draw(st.integers(min_value=0, max_value=10_000)),
        )
        for asset in (WETH, USDC, JUNK)
    }


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    some = st.dictionaries(st.sampled_from([WETH, USDC, JUNK]), amounts, max_size=3)
    return Holding(
        supplied=draw(some),
        owed=draw(st.dictionaries(st.sampled_from([WETH, USDC]), amounts, max_size=2)),
        flagged=tuple(draw(st.sets(st.sampled_from([WETH, USDC, JUNK])))),
        mute=draw(st.none() | st.none() | st.sampled_from(DOUBTS)),
    )


@st.composite
def claims(draw: st.DrawFn, *, sound: bool = False) -> Liabilities:
    """What another system says of a unit; `sound`: not long ago."""
    maintenance, more, pnl = draw(cents), draw(cents), draw(cents) * draw(st.sampled_from([-1, 0, 1]))
    age_s = 0 if sound else draw(st.sampled_from([0, 600, TOO_OLD, 10**6, -1]))
    some = draw(st.booleans())
    required = (maintenance, maintenance + more) if some else (Decimal(0), Decimal(0))
    return liabilities(str(required[0]), str(pnl), initial=str(required[1]), age_s=age_s)


@st.composite
def vaults(draw: st.DrawFn, *, sound: bool = False) -> VenueInputs:
    """A deposit that others have a claim on."""
    assets = [WETH, USDC] if sound else [WETH, USDC, JUNK]
    deposits = draw(st.dictionaries(st.sampled_from(assets), amounts, max_size=3))
    return escrow(deposits, said=draw(claims(sound=True) if sound else st.none() | claims()))


@st.composite
def accounts(draw: st.DrawFn, *, sound: bool = False) -> HealthInputs:
    """An account at two lending venues and a vault; `sound`: all is priced, answered and known, so that only amounts decide."""
    said = draw(prices(sound=sound))
    held = [draw(holdings()) for _ in range(2)]
    if sound:
        held = [replace(item, mute=None) for item in held]
    first = venue(said, held[0], name="toy-1")
    second = venue(draw(prices(sound=sound)), held[1], name="toy-10", chain=OTHER_CHAIN)
    feeds = [
        observation(WETH, draw(usd), age_s=0 if sound else draw(ages), deviation=draw(st.sampled_from([0.0, 0.05])))
    ]
    if sound or draw(st.booleans()):
        feeds.append(observation(USDC, draw(usd), age_s=0 if sound else draw(ages)))
    stale = [] if sound else draw(st.sampled_from([[], [], [Reason("chain_stale", CHAIN, "silent")]]))
    return inputs(first, second, draw(vaults(sound=sound)), observations=feeds, stale_chains=stale)


def changed(account: HealthInputs, place: int, asset: bytes, side: Side, factor: Fraction) -> HealthInputs:
    """Multiply one position of an account; without such a position nothing changes."""
    venues = list(account.venues)
    venues[place] = _scaled(venues[place], asset, side, factor)
    return replace(account, venues=tuple(venues))


def _scaled(item: VenueInputs, asset: bytes, side: Side, factor: Fraction) -> VenueInputs:
    (unit,) = item.units
    amount_raw = unit.positions.get((asset, side), 0)
    positions = dict(unit.positions) | ({(asset, side): int(amount_raw * factor)} if amount_raw else {})
    return replace(item, units=(replace(unit, positions=positions),))


def health_factors(document: HealthDocument) -> list[Fraction]:
    """Low, middle and high as numbers; without debt, larger than any."""
    if document.status is Status.NO_DEBT:
        return [Fraction(10**30)] * 3
    interval = document.health_factor_interval
    assert interval is not None
    assert interval.high is not None
    return [Fraction(interval.low), Fraction(interval.mid), Fraction(interval.high)]


def no_better(worse: HealthDocument, better: HealthDocument) -> bool:
    return (
        all(left <= right for left, right in zip(health_factors(worse), health_factors(better), strict=True))
        and SEVERITY[worse.status] >= SEVERITY[better.status]
        and (worse.score or 0) <= (better.score or 0)
    )


more = st.fractions(min_value=1, max_value=1000)
supplies = st.tuples(st.integers(0, 1), st.sampled_from([WETH, USDC, JUNK]), st.just(Side.SUPPLY), more)
debts = st.tuples(st.integers(0, 1), st.sampled_from([WETH, USDC]), st.just(Side.BORROW), more)


@given(accounts(sound=True), supplies)
def test_m1_more_collateral_never_lowers_health(
    account: HealthInputs, growth: tuple[int, bytes, Side, Fraction]
) -> None:
    before, after = evaluate(account), evaluate(changed(account, *growth))

    assert no_better(before, after)


@given(accounts(sound=True), debts)
def test_m2_more_debt_never_raises_health(account: HealthInputs, growth: tuple[int, bytes, Side, Fraction]) -> None:
    before, after = evaluate(account), evaluate(changed(account, *growth))

    assert no_better(after, before)


@given(accounts())
def test_m3_no_unpriced_debt_is_ever_healthy(account: HealthInputs) -> None:
    document = evaluate(account)

    unpriced = any(
        position.side == "borrow" and position.mark_usd is None and position.amount_raw != "0"
        for item in document.venues
        for unit in item.units
        for position in unit.positions
    )
    if unpriced:
        assert document.status is Status.UNKNOWN
        assert document.health_factor is None
        assert document.debt.raw is None


@given(accounts())
def test_m4_the_status_is_never_better_than_the_worst_units(account: HealthInputs) -> None:
    document = evaluate(account)

    worst = max((unit.status for item in document.venues for unit in item.units), key=SEVERITY.__getitem__)
    assert SEVERITY[document.status] >= SEVERITY[worst]


@given(accounts(), amounts, st.sampled_from([0, 1]), st.none() | usd)
def test_m5_a_supply_that_does_not_count_changes_no_status(
    account: HealthInputs, tokens: float, place: int, price: float | None
) -> None:
    """Whatever it is worth, and whether or not anybody knows."""
    (unit,) = account.venues[place].units
    assume((JUNK, Side.SUPPLY) not in unit.positions)
    with_junk = _junk(account, place, tokens, price)

    before, after = evaluate(_junk(account, place, 0, price)), evaluate(with_junk)

    assert (after.status, after.score, after.health_factor) == (before.status, before.score, before.health_factor)
    assert after.health_factor_interval == before.health_factor_interval


def _junk(account: HealthInputs, place: int, tokens: float, price: float | None) -> HealthInputs:
    item = account.venues[place]
    (unit,) = item.units
    settings = {key: value for key, value in unit.settings.items() if key != (JUNK, "collateral")}
    positions = dict(unit.positions) | ({(JUNK, Side.SUPPLY): round(tokens)} if tokens else {})
    markets = dict(item.snapshot.markets) | dict(venue({JUNK: Price(usd=price)}).snapshot.markets)
    changed_item = replace(
        item,
        snapshot=replace(item.snapshot, markets=markets),
        units=(replace(unit, positions=positions, settings=settings),),
    )
    return replace(account, venues=(*account.venues[:place], changed_item, *account.venues[place + 1 :]))


@given(accounts())
def test_m6_what_is_written_is_read_back_and_gives_the_same_answer(account: HealthInputs) -> None:
    read = from_json(to_json(account))

    assert read == account
    assert evaluate(read) == evaluate(account)


@given(accounts(sound=True), st.sampled_from(["major", "stable", "default"]), st.floats(min_value=0, max_value=1))
def test_m7_a_higher_haircut_never_raises_headroom_and_touches_nothing_else(
    account: HealthInputs, asset_class: str, haircut: float
) -> None:
    terms = account.policy.of_class(asset_class)
    assume(haircut >= terms.haircut)
    classes = dict(account.policy.classes) | {asset_class: replace(terms, haircut=haircut)}
    stricter = replace(account, policy=replace(account.policy, classes=classes))

    before, after = evaluate(account), evaluate(stricter)

    assert Fraction(after.headroom or 0) <= Fraction(before.headroom or 0)
    assert (after.health_factor, after.status) == (before.health_factor, before.status)


@given(accounts(sound=True), st.sampled_from(["major", "stable", "default"]), st.floats(min_value=0, max_value=1))
def test_m8_a_lower_liquidation_threshold_never_raises_health(
    account: HealthInputs, asset_class: str, threshold: float
) -> None:
    terms = account.policy.of_class(asset_class)
    assume(threshold <= terms.liquidation_threshold)
    classes = dict(account.policy.classes) | {asset_class: replace(terms, liquidation_threshold=threshold)}
    stricter = replace(account, policy=replace(account.policy, classes=classes))

    assert no_better(evaluate(stricter), evaluate(account))


@given(accounts())
def test_m9_every_number_is_a_finite_decimal_and_the_interval_is_in_order(account: HealthInputs) -> None:
    document = evaluate(account)

    text = document.model_dump_json()
    assert not any(word in text for word in ('"NaN', '"nan', "Infinity", '"inf', '"-inf', "E+", '"-0.00000000"'))
    interval = document.health_factor_interval
    if interval is not None:
        assert Fraction(interval.low) <= Fraction(interval.mid)
        assert interval.high is None or Fraction(interval.mid) <= Fraction(interval.high)
        assert interval.mid == document.health_factor


@given(st.lists(st.tuples(usd, ages, st.sampled_from([0.0, 0.01, 0.5])), max_size=7), st.randoms(use_true_random=False))
def test_m10_a_mark_lies_among_what_was_used_in_any_order(
    said: list[tuple[float, int, float]], chance: random.Random
) -> None:
    feeds = [
        observation(WETH, price, age_s=age_s, deviation=deviation, feed=bytes([place]) * 20)
        for place, (price, age_s, deviation) in enumerate(said)
    ]
    found = mark("ETH", feeds, {CHAIN: NOW})
    chance.shuffle(feeds)
    again = mark("ETH", feeds, {CHAIN: NOW})

    used = found.used if isinstance(found, Mark) else ()
    assert len(used) + len(found.discarded) == len(feeds)
    if isinstance(found, Mark) and isinstance(again, Mark):
        assert (found.low, found.mid, found.high) == (again.low, again.mid, again.high)
        assert found.low <= found.mid <= found.high
        assert min(item.price for item in used) <= found.mid <= max(item.price for item in used)


def saying(account: HealthInputs, said: Liabilities | None) -> HealthInputs:
    """Let something else be said of the vault's unit."""
    *lending, vault = account.venues
    return replace(account, venues=(*lending, replace(vault, liabilities={OWNER: said})))


def said_of(account: HealthInputs) -> Liabilities:
    said = account.venues[-1].liabilities[OWNER]
    assert said is not None
    return said


def unit_of_the_vault(document: HealthDocument) -> Fraction | None:
    (unit,) = document.venues[-1].units
    return None if unit.health_factor is None else Fraction(unit.health_factor)


@given(accounts(sound=True), st.sampled_from([WETH, USDC]), more)
def test_m11_a_larger_deposit_against_known_liabilities_never_lowers_health(
    account: HealthInputs, asset: bytes, factor: Fraction
) -> None:
    before, after = evaluate(account), evaluate(changed(account, 2, asset, Side.SUPPLY, factor))

    assert no_better(before, after)
    assert (unit_of_the_vault(before) or 0) <= (unit_of_the_vault(after) or 0)
    assert Fraction(before.headroom or 0) <= Fraction(after.headroom or 0)


@given(accounts(sound=True), cents, cents, cents)
def test_m12_a_larger_requirement_or_a_smaller_profit_never_raises_health_or_headroom(
    account: HealthInputs, initial: Decimal, maintenance: Decimal, lost: Decimal
) -> None:
    said = said_of(account)
    heavier = replace(
        said,
        initial_requirement_usd=said.initial_requirement_usd + maintenance + initial,
        maintenance_requirement_usd=said.maintenance_requirement_usd + maintenance,
        pnl_usd=said.pnl_usd - lost,
    )

    before, after = evaluate(account), evaluate(saying(account, heavier))

    assert no_better(after, before)
    assert Fraction(after.headroom or 0) <= Fraction(before.headroom or 0)
    own = unit_of_the_vault(before)
    assert own is None or (unit_of_the_vault(after) or 0) <= own


@given(accounts(sound=True), st.integers(min_value=0, max_value=2 * TOO_OLD))
def test_m13_older_liabilities_never_make_anything_better(account: HealthInputs, seconds: int) -> None:
    said = said_of(account)
    older = replace(said, as_of=said.as_of - seconds)

    before, after = evaluate(account), evaluate(saying(account, older))

    assert SEVERITY[after.status] >= SEVERITY[before.status]
    assert (after.score or 0) <= (before.score or 0)
    assert Fraction(after.collateral.raw) <= Fraction(before.collateral.raw)
    if after.status is not Status.UNKNOWN:
        assert no_better(after, before)


@given(accounts(), claims())
def test_m14_whoever_owed_something_is_unknown_as_soon_as_that_is_too_old(
    account: HealthInputs, said: Liabilities
) -> None:
    assume(said.initial_requirement_usd > 0 or said.pnl_usd < 0)
    stale = replace(said, as_of=NOW - TOO_OLD)

    document = evaluate(saying(account, stale))

    assert document.status is Status.UNKNOWN
    assert (document.health_factor, document.debt.raw, document.headroom) == (None, None, None)
    assert not any(position.counted for unit in document.venues[-1].units for position in unit.positions)


def used_by(found: Mark) -> list[bytes]:
    return [item.observation.feed for item in found.used]


@given(
    st.lists(st.tuples(usd, st.floats(0, 0.02)), min_size=1, max_size=5),
    st.integers(min_value=0, max_value=4),
    st.floats(min_value=1, max_value=10),
)
def test_m15_a_wider_interval_never_narrows_a_mark(said: list[tuple[float, float]], place: int, wider: float) -> None:
    """Unless it is so wide that the answer is left out."""

    def feeds(factor: float) -> list[Observation]:
        return [
            observation(
                WETH, price, confidence=price * share * (factor if number == place else 1), feed=bytes([number]) * 20
            )
            for number, (price, share) in enumerate(said)
        ]

    before, after = mark("ETH", feeds(1), {CHAIN: NOW}), mark("ETH", feeds(wider), {CHAIN: NOW})

    if isinstance(before, Mark) and isinstance(after, Mark) and used_by(before) == used_by(after):
        assert after.low <= before.low <= before.mid <= before.high <= after.high
        assert after.low >= 0


def with_interval(account: HealthInputs, place: int, share: float) -> HealthInputs:
    """Let a feed give an interval, as a share of its price."""
    feeds = list(account.observations)
    feed = feeds[place % len(feeds)]
    assert feed.reading is not None
    reading = feed.reading._replace(confidence_raw=int(feed.reading.answer_raw * share))
    feeds[place % len(feeds)] = replace(feed, reading=reading)
    return replace(account, observations=tuple(feeds))


@given(accounts(sound=True), st.integers(0, 1), st.floats(0, 0.019), st.floats(0, 1))
def test_m28_a_wider_interval_never_raises_low_health_or_headroom(
    account: HealthInputs, place: int, share: float, part: float
) -> None:
    wide, narrow = (evaluate(with_interval(account, place, each)) for each in (share, share * part))

    assert SEVERITY[wide.status] >= SEVERITY[narrow.status]
    assert Fraction(wide.headroom or 0) <= Fraction(narrow.headroom or 0)
    low, mid, high = zip(health_factors(wide), health_factors(narrow), strict=True)
    assert low[0] <= low[1]
    assert mid[0] == mid[1]
    assert high[0] >= high[1]
