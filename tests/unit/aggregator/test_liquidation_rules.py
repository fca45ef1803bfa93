"""Properties of simulated liquidations under every venue's rule, over generated books, by the numbers of docs/properties.md.

Aave's rule is compared with the contracts (`tests/contract/test_liquidation_simulated.py`); the others stand here beside the toy's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.risk.liquidation import Borrower, Outlet, Pool, Scene, Terms
from aggregator.risk.liquidation_run import Lines, simulate
from chains.evm.compound_v3.absorbing import Absorbable, Factors
from chains.evm.morpho_blue.liquidating import Liquidable as Position
from chains.evm.morpho_blue.maths import Totals, to_shares_up
from chains.liquidating import WAD, Discount, Exposed, Lot, Weighted
from chains.solana.kamino.engines import engine_of
from chains.solana.marginfi.liquidating import Liquidable as Member
from tests.unit.aggregator.test_liquidation_properties import CURVE, SEEDS, TERMS, amounts, assert_conserved
from tests.unit.chains.solana.drift.test_liquidating import short as drift_short
from tests.unit.chains.solana.jupiter_lend.test_liquidating import owing as jupiter_owing
from tests.unit.chains.solana.kamino.test_liquidating import owing as kamino_owing
from tests.unit.chains.solana.marginfi.builders import JTO, JTO_MINT, SOL, USDC, USDC_MINT
from tests.unit.chains.solana.marginfi.test_health import at, leg
from tests.unit.chains.solana.save.test_liquidating import owing as save_owing

ETH, BTC, USD = (bytes([number]) * 20 for number in (0xA1, 0xA2, 0xA3))
TOKENS = {ETH: (18, 2_000 * 10**8), BTC: (8, 60_000 * 10**8), USD: (6, 10**8)}
"""Decimals and price in USD of eight digits."""

RULES = ("compound", "euler", "morpho", "marginfi", "save", "kamino", "drift", "jupiter_lend")

EVM = ("compound", "euler", "morpho")


def lot(asset: bytes, usd: float, threshold: int = 8_000) -> Lot:
    decimals, price = TOKENS[asset]
    return Lot(asset, asset, decimals, int(usd * 10**8 * 10**decimals) // price, price, 10**8, threshold)


def compound(drawn: random.Random) -> Absorbable:
    owed = drawn.uniform(10, 50_000)
    lots = [
        lot(asset, owed * drawn.uniform(0.5, 1.2), 8_500) for asset in drawn.sample([ETH, BTC], drawn.randint(1, 2))
    ]
    factors = Factors(85 * 10**16, 93 * 10**16)
    return Absorbable(
        lots=tuple(lots),
        loan=lot(USD, owed, 10_000),
        factors={each.market: factors for each in lots},
        store_front=6 * 10**17,
    )


def euler(drawn: random.Random) -> Weighted:
    owed = drawn.uniform(10, 50_000)
    lots = [lot(asset, owed * drawn.uniform(0.5, 1.2)) for asset in drawn.sample([ETH, BTC], drawn.randint(1, 2))]
    least = drawn.choice([8_500, 9_500])
    return Weighted(
        rule="euler-v2",
        lots=tuple(lots),
        owed=(lot(USD, owed, 10_000),),
        discount=Discount(WAD, WAD * 10_000 // least),
        forgives=drawn.random() < 0.7,
    )


def morpho(drawn: random.Random) -> Position:
    owed = drawn.uniform(10, 50_000)
    pledged, loan = lot(ETH, owed * drawn.uniform(1.1, 1.8), 8_600), lot(USD, owed, 10_000)
    others = drawn.randint(0, 10**12)
    totals = Totals(10**13, 10**19, loan.amount_raw + others, (loan.amount_raw + others) * 10**6 * 97 // 100, 0, 0)
    price = TOKENS[ETH][1] * 10 ** (36 - 8 + 6 - 18)
    return Position(
        pledged=pledged,
        loan=loan._replace(market=b"\x05" * 32),
        shares=to_shares_up(loan.amount_raw, totals.borrow_assets, totals.borrow_shares),
        totals=totals,
        lltv=86 * 10**16,
        price=price,
    )


def marginfi(drawn: random.Random) -> Member:
    owed = drawn.uniform(100, 50_000)
    dear, other = owed * drawn.uniform(0.6, 1.3) / 200, owed * drawn.uniform(0.0, 0.5) / 4
    found = Member.of(
        [
            leg(SOL, at(200, drawn.choice([0, 2])), held=dear),
            leg(JTO, at(4), held=other, mint=JTO_MINT),
            leg(USDC, at(1, drawn.choice([0, 0.01])), owed=owed, mint=USDC_MINT),
        ]
    )
    assert isinstance(found, Member)
    return found


def save(drawn: random.Random) -> Exposed:
    owed = drawn.randint(10**6, 50_000 * 10**6)
    return save_owing(owed, sol_raw=int(owed * drawn.uniform(9, 16)))


def kamino(drawn: random.Random) -> Exposed:
    owed = drawn.randint(10**6, 50_000 * 10**6)
    return kamino_owing(owed, sol_raw=int(owed * drawn.uniform(9, 16)))


def drift(drawn: random.Random) -> Exposed:
    owed = drawn.randint(10**6, 500 * 10**9)
    fees = {"liquidator_fee": drawn.choice([0, 5_000]), "if_liquidation_fee": drawn.choice([0, 10_000])}
    return drift_short(int(owed * drawn.uniform(90, 130)), owed, buffer=200, **fees)


def jupiter_lend(drawn: random.Random) -> Exposed:
    owed = drawn.randint(10**9, 50_000 * 10**9)
    return jupiter_owing(owed, int(owed / (100 * drawn.uniform(0.5, 0.99))), penalty=drawn.choice([0, 100, 500]))


def exposed_of(rule: str, drawn: random.Random) -> Exposed:
    rules: dict[str, Callable[[random.Random], Exposed]] = {
        "compound": compound,
        "euler": euler,
        "morpho": morpho,
        "marginfi": marginfi,
        "save": save,
        "kamino": kamino,
        "drift": drift,
        "jupiter_lend": jupiter_lend,
    }
    return rules[rule](drawn)


def scene(rules: tuple[str, ...], seed: int) -> Scene:
    """Ten borrowers of each rule after a move of everything; two tokens are of one identity."""
    drawn = random.Random(seed)
    borrowers = tuple(
        Borrower(
            name=f"{rule}/{number:02}",
            account=f"{rule}/{number:02}",
            venue=rule,
            chain="c",
            exposed=(found := exposed_of(rule, drawn)),
            assets={each.asset: each.asset.hex() for each in (*found.collaterals, *found.debts)},
        )
        for rule in rules
        for number in range(10)
    )
    assets = sorted({asset for each in borrowers for asset in each.assets.values()})
    identities = {asset: "coin" if asset in {ETH.hex(), BTC.hex()} else asset for asset in assets}
    slope, curve = drawn.choice([0.0, 1e-4, 1e-3]), drawn.random() < 0.3
    return Scene(
        borrowers=borrowers,
        identities=identities,
        outlets={
            name: Outlet(identity=name, fixed=0.01, slope=slope, volume_usd=1e6, curve=CURVE if curve else ())
            for name in identities.values()
        },
        supplied={Pool(rule, "0x" + USD.hex()): (USD.hex(), 1e6) for rule in rules if rule in EVM},
        moves={asset: drawn.uniform(-0.8, 0.1) for asset in assets},
        shown={asset: drawn.uniform(-0.8, 0.1) for asset in assets} if drawn.random() < 0.3 else {},
        funds={rules[0]: 500.0},
        common_usd=200.0,
    )


@pytest.mark.parametrize("rules", [*((rule,) for rule in RULES), RULES])
@settings(max_examples=6, deadline=None)
@given(SEEDS, TERMS)
def test_l1_l4_value_and_units_are_conserved_under_every_rule(rules: tuple[str, ...], seed: int, terms: Terms) -> None:
    made = scene(rules, seed)
    found = simulate(made, terms)

    assert_conserved(found)
    assert found.unknown == ()
    for borrower in made.borrowers:
        steps = [step for step in found.steps if step.unit == borrower.name]
        had, has = (amounts(each, "collaterals") for each in (borrower.exposed, found.left[borrower.name]))
        taken = sum(step.seized_raw + step.fee_raw for step in steps)
        assert abs(sum(had.values()) - sum(has.values()) - taken) <= len(steps)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=12, deadline=None)
@given(SEEDS, st.floats(0.1, 1.0), st.floats(0.01, 1))
def test_l8_no_rule_takes_more_than_there_is_or_is_allowed(rule: str, seed: int, price: float, part: float) -> None:
    before = exposed_of(rule, random.Random(seed))
    moved: Exposed = before.moved({each.asset: Fraction(price) for each in before.collaterals})
    assert moved.health_factor_wad is not None
    for pledged in moved.collaterals:
        for owed in moved.debts:
            most = moved.most(pledged.market, owed.market)
            assert 0 <= most <= owed.amount_raw
            assert most == 0 or moved.health_factor_wad < WAD
            cover = moved.most(pledged.market, owed.market, max(int(most * part), 1)) if most else 0
            for market, had, has, said in leftovers(moved, pledged.market, owed.market, cover):
                assert 0 <= has <= had, market
                assert abs(had - has - said) <= 1, market


def leftovers(before: Exposed, collateral: bytes, debt: bytes, cover: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield each market of a unit with what there was, what is left, and what is said to be gone."""
    if not cover:
        return
    after, done = before.taken(collateral, debt, cover)
    for side, portions in (("collaterals", (*done.seized, *done.fee)), ("debts", (*done.relieved, *done.forgiven))):
        left = amounts(after, side)
        for market, had in amounts(before, side).items():
            yield market, had, left.get(market, 0), sum(each.amount_raw for each in portions if each.market == market)


def capped_kamino(owed: int, sol_raw: int) -> Exposed:
    """An obligation of klend 1.7 whose market limits what any debt may come to: 50,000 USD."""
    found = kamino_owing(owed, sol_raw=sol_raw)
    engine = engine_of((1, 7))
    assert engine is not None
    market = replace(found.conditions.market, global_unhealthy_borrow_value=50_000)
    return replace(found, conditions=found.conditions._replace(engine=engine, market=market))


@pytest.mark.parametrize(
    "make, owed, sol, price",
    [
        (save_owing, 75_000_000 * 10**6, 1_000_000 * 10**9, 1.0),  # 75M of 80M that the threshold allows, of 70M that the program does
        (save_owing, 69_000_000 * 10**6, 1_000_000 * 10**9, 1.05),  # only the debt rises, to 72.45M
        (capped_kamino, 70_000 * 10**6, 1_000 * 10**9, 1.0),
    ],
)  # fmt: skip
def test_who_owes_more_than_his_program_lets_anybody_owe_is_liquidated(
    make: Callable[..., Exposed], owed: int, sol: int, price: float
) -> None:
    exposed = make(owed, sol_raw=sol)
    [debt] = exposed.debts
    [pledged] = exposed.collaterals
    borrower = Borrower(
        name="a", account="a", venue="v", chain="c", exposed=exposed,
        assets={lot.asset: lot.asset.hex() for lot in (debt, pledged)},
    )  # fmt: skip
    names = {lot.asset.hex(): lot.asset.hex() for lot in (debt, pledged)}
    outlets = {name: Outlet(identity=name, fixed=0.0, volume_usd=1e9) for name in names}
    scene = Scene(borrowers=(borrower,), identities=names, outlets=outlets, moves={debt.asset.hex(): price - 1})

    found = simulate(scene, Terms(rounds=2))

    assert found.liquidated == ("a",)
    assert [step.round for step in found.steps] == [1, 2]


@pytest.mark.parametrize("rule", [*RULES, "capped"])
@given(seed=SEEDS, price=st.floats(0.2, 3.0), other=st.floats(0.2, 3.0))
def test_l9_whom_a_venue_would_liquidate_is_always_looked_at(rule: str, seed: int, price: float, other: float) -> None:
    drawn = random.Random(seed)
    if rule == "capped":
        exposed = capped_kamino(owed := drawn.randint(10**9, 90_000 * 10**6), int(owed * drawn.uniform(9, 30)))
    else:
        exposed = exposed_of(rule, drawn)
    tokens = sorted({lot.asset for lot in (*exposed.collaterals, *exposed.debts)})
    borrower = Borrower(
        name="a", account="a", venue="v", chain="c", exposed=exposed, assets={each: each.hex() for each in tokens}
    )
    times = {token: drawn.choice((price, other)) for token in tokens}
    lines = Lines(Scene(borrowers=(borrower,), identities={each.hex(): each.hex() for each in tokens}, outlets={}))

    factor = exposed.moved({token: Fraction(move) for token, move in times.items()}).health_factor_wad

    assert factor is None or factor >= WAD or lines.near({token.hex(): move for token, move in times.items()}) == ["a"]


def test_what_a_comet_gives_back_stays_the_accounts_own() -> None:
    # 8,000 of ETH and 2,000 of BTC, 85 % of which cover 8,500 less than 8,600: credited for 93 % of it, 9,300, and given back 700.
    # The store front sells at 1 − 0.6 · 0.07 of the price: 9,580 are paid, and the Comet keeps what is not credited.
    factors = Factors(85 * 10**16, 93 * 10**16)
    exposed = Absorbable(
        lots=(lot(ETH, 8_000), lot(BTC, 2_000)),
        loan=lot(USD, 8_600, 10_000),
        factors={ETH: factors, BTC: factors},
        store_front=6 * 10**17,
    )
    assets = {asset: asset.hex() for asset in TOKENS}
    both = Scene(
        borrowers=(Borrower(name="a", account="a", venue="comet", chain="c", exposed=exposed, assets=assets),),
        identities={ETH.hex(): "coin", BTC.hex(): "coin", USD.hex(): "USD"},
        outlets={"coin": Outlet(identity="coin", fixed=0.0, slope=1e-4), "USD": Outlet(identity="USD", fixed=0.0)},
    )
    found = simulate(both, Terms(impact_cap=1.0))

    [step] = found.steps
    assert (step.seized, step.relieved, step.returned, step.forgiven) == pytest.approx((10_000, 8_600, 700, 0))
    assert (step.paid, step.lost, step.kept) == pytest.approx((9_580, 700, 280))
    assert step.impact == pytest.approx(10_000 * 1e-4 * 100)  # both are of one identity, and sold together
    assert (found.equity_before, found.equity_after) == pytest.approx((1_400, 700))
    assert_conserved(found)
