"""An account as the program liquidates it: what is not known of it on the way, by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from aggregator.risk.liquidation import Borrower, Outlet, Scene, Terms
from aggregator.risk.liquidation_run import simulate
from chains.liquidating import WAD
from chains.solana.marginfi.liquidating import Liquidable
from tests.unit.chains.solana.marginfi.builders import JTO, JTO_MINT, SOL, USDC
from tests.unit.chains.solana.marginfi.test_health import STALE, at, leg

HUGE = Liquidable.of([leg(SOL, at(200), held=2e12), leg(JTO, at(4), owed=5e13, mint=JTO_MINT)])
"""3.5e14 USD that count against 2.25e14 that are owed: about all that an I80F48 has room for, 6e23 raw units."""


def mint(name: bytes) -> bytes:
    """The token of a bank in `HUGE`."""
    assert isinstance(HUGE, Liquidable)
    return next(lot.asset for lot in (*HUGE.collaterals, *HUGE.debts) if lot.market == name)


def test_what_the_program_cannot_check_is_unknown_and_nobody_is_liquidated() -> None:
    assert isinstance(HUGE, Liquidable)
    beyond = HUGE.moved({mint(JTO): Fraction(4)})

    assert HUGE.health_factor_wad == pytest.approx(WAD * 14 / 9)
    assert beyond.health_factor_wad is None
    assert beyond.most(SOL, JTO) == 0
    assert beyond.moved({}).health_factor_wad == HUGE.health_factor_wad


def test_a_run_names_who_became_unknown_on_the_way() -> None:
    assert isinstance(HUGE, Liquidable)
    assets = {lot.asset: lot.asset.hex() for lot in (*HUGE.collaterals, *HUGE.debts)}
    identities = {asset: asset for asset in assets.values()}
    scene = Scene(
        borrowers=(Borrower(name="ann", account="a", venue="m", chain="c", exposed=HUGE, assets=assets),),
        identities=identities,
        outlets={name: Outlet(identity=name, fixed=0.0) for name in identities},
    )

    calm, wild = (
        simulate(replace(scene, moves={assets[mint(JTO)]: move}), Terms(impact_cap=1.0)) for move in (0.0, 3.0)
    )

    assert (calm.unknown, calm.standing) == ((), ())
    assert (wild.unknown, wild.standing, wild.steps) == (("ann",), (), ())
    assert wild.bad_debt > 0


def test_an_isolated_deposit_without_a_price_is_worth_nothing_and_cannot_be_taken() -> None:
    found = Liquidable.of(
        [leg(JTO, STALE, held=10, risk_tier=1), leg(SOL, at(200), held=10), leg(USDC, at(1), owed=2_000)]
    )

    assert isinstance(found, Liquidable)
    assert [lot.market for lot in found.collaterals] == [SOL]
    assert found.health_factor_wad == pytest.approx(WAD * 1_750 / 2_250)
    assert found.most(JTO, USDC) == 0
    assert found.most(SOL, USDC) > 0


def test_an_amount_that_the_program_cannot_pay_for_is_not_taken() -> None:
    """A debt next to nothing a unit: what is paid for much collateral has no room, and less of it has."""
    found = Liquidable.of([leg(SOL, at(2e-4), held=1e13), leg(JTO, at(1e-12), owed=3e13)])

    assert isinstance(found, Liquidable)
    assert found.settled(SOL, JTO, 1).paid > 0
    assert found.most(SOL, JTO) == 0
