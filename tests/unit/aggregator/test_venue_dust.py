"""Stale dust of a venue whose debts require more than they are worth: its own health factor tells whether it matters."""

from __future__ import annotations

import pytest

from aggregator.margin.account import Assessment, assess
from aggregator.margin.inputs import Asset, Cut
from aggregator.margin.status import Status
from aggregator.margin.valuation import OpenUnit, make_context
from aggregator.oracle.mark import Observation, Reading
from chains.identifiers import token
from chains.model import Finality
from chains.solana.drift.layout import PYTH_LAZER_ORACLE
from chains.solana.drift.states import spot_address
from tests.support.drift_runs import PROGRAM_ID, venue
from tests.unit.aggregator.builders import shipped_policy
from tests.unit.chains.solana.drift.builders import (
    NOW,
    SLOT,
    SOL_MINT,
    USDC_MINT,
    World,
    deposit,
    loan,
    spot_market,
    user,
)
from tests.unit.chains.solana.marginfi.builders import encoded

TOKEN = 10**9
OLD_MINT, OLD_FEED, OLD_MARKET = bytes([0x73]) * 32, bytes([0x83]) * 32, 2
OLD_S = 10 * 86_400


def held(dollars: int, old: int) -> Assessment:
    """Dollars, and a token of a dollar each whose price is old, against 4 SOL of 100 that require 440."""
    world = World()
    world.accounts[spot_address(PROGRAM_ID, OLD_MARKET)] = spot_market(
        OLD_MARKET,
        mint=OLD_MINT,
        oracle=OLD_FEED,
        name=b"OLD".ljust(32),
        decimals=6,
        last_oracle_price_twap=1_000_000,
        last_oracle_price_twap_5min=1_000_000,
    )
    world.accounts[OLD_FEED] = encoded(
        PYTH_LAZER_ORACLE,
        price=1_000_000,
        posted_slot=SLOT - 1,
        publish_time=(NOW - OLD_S) * 10**6,
        exponent=-6,
        conf=0,
    )
    spot = [deposit(0, dollars * TOKEN), loan(1, 4 * TOKEN), *([deposit(OLD_MARKET, old * TOKEN)] if old else [])]
    unit, drift = world.value(user(spot=spot)), venue()
    named = ((USDC_MINT, "USDC", "stable", 1), (SOL_MINT, "SOL", "major", 100), (OLD_MINT, "OLD", "long-tail", 1))
    known = [
        (Asset(id=str(token(drift.chain_id, mint)), symbol=symbol, asset_class=kind, same_as=symbol), price)
        for mint, symbol, kind, price in named
    ]
    context = make_context(
        as_of={drift.chain_id: Cut(block=world.at, finality=Finality.FINALIZED)},
        assets=[asset for asset, _ in known],
        policy=shipped_policy(),
        feeds=(),
        observations=[
            Observation(
                asset=asset.id,
                kind="chainlink",
                chain_id=drift.chain_id,
                feed=bytes([number]) * 32,
                heartbeat_s=3600,
                deviation=0.0,
                reading=Reading(price * 10**8, 10**8, NOW, 1),
                operator="chainlink",
            )
            for number, (asset, price) in enumerate(known)
        ],
        stale_chains=(),
    )
    return assess(context, [OpenUnit(venue=drift, at=world.at, unit=unit)], chains={drift.chain_id}, gaps=())


@pytest.mark.parametrize(
    "dollars, old, status, code",
    [
        (439, 2, Status.UNKNOWN, "venue_price_stale"),  # covered with 1.80 of it, and not without
        (450, 2, Status.DANGER, "venue_price_stale_dust"),
        (430, 2, Status.LIQUIDATABLE, "venue_price_stale_dust"),  # neither with it nor without
    ],
)
def test_it_matters_where_the_venue_would_say_otherwise_without_it(
    dollars: int, old: int, status: Status, code: str
) -> None:
    found = held(dollars, old)

    assert found.status is status
    assert code in {reason.code for reason in found.reasons}
