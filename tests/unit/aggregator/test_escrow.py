"""Free collateral in escrows, on any chain: what counts of it, and what is said of what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import VenueInputs
from aggregator.margin.policy import parse_policy
from aggregator.margin.status import Status
from chains.identifiers import format_address
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    MINT,
    POLICY,
    SOLANA,
    SOLANA_OWNER,
    USDC,
    WETH,
    Price,
    borrower,
    escrow,
    inputs,
    observation,
    venue,
)

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
TAKES_THE_VENUES = POLICY.replace("liquidation_threshold = 0.5", 'liquidation_threshold = "venue"')
"""The policy that ships has such a default class; the one of these tests has not."""


def codes(document: HealthDocument) -> set[str]:
    return {reason.code for reason in document.reasons}


def with_market(item: VenueInputs, asset: bytes, aspect: str, state: Any) -> VenueInputs:
    markets = dict(item.snapshot.markets) | {(asset, aspect): json.dumps(state)}
    return replace(item, snapshot=replace(item.snapshot, markets=markets))


def test_collateral_on_solana_and_debt_on_an_evm_chain_are_one_account() -> None:
    document = evaluate(
        inputs(
            venue(PRICES, borrower(1000, weth=1)),
            escrow({MINT: 500}, imports=False, chain=SOLANA, owner=SOLANA_OWNER),
        )
    )

    assert document.health_factor == "2.050000"  # (2000 · 0.8 + 500 · 0.9) / 1000
    assert document.min_unit_health_factor == "1.600000"  # 2000 · 0.8 / 1000: the venue knows of nothing else
    lending, vault = document.venues
    assert lending.units[0].status is Status.HEALTHY
    assert (vault.units[0].status, vault.units[0].health_factor) == (Status.NO_DEBT, None)
    assert document.status is Status.HEALTHY


def test_everything_of_solana_is_written_as_solana_writes_it() -> None:
    document = evaluate(inputs(escrow({MINT: 500}, imports=False, chain=SOLANA, owner=SOLANA_OWNER)))

    (vault,) = document.venues
    (unit,) = vault.units
    (position,) = unit.positions
    owner, mint = format_address(SOLANA, SOLANA_OWNER), format_address(SOLANA, MINT)
    assert (unit.unit_id, unit.owner, position.market) == (owner, owner, mint)
    assert position.asset == f"{SOLANA}/token:{mint}"
    assert unit.native == {mint: "500000000"}
    assert "0x" not in json.dumps([vault.model_dump(), *(price.model_dump() for price in document.prices)])


def test_an_account_with_free_collateral_alone_has_no_debt() -> None:
    document = evaluate(inputs(escrow({WETH: 1}, imports=False), observations=[observation(WETH, 2000.0)]))

    assert (document.status, document.score) == (Status.NO_DEBT, 100)
    assert document.collateral.raw == "2000.00000000"
    assert document.headroom == "1500.00000000"  # 2000 · (1 − 0.25)
    (unit,) = document.venues[0].units
    assert unit.liabilities is not None
    assert (unit.liabilities.state, unit.liabilities.max_age_s) == ("none", None)


def test_a_lending_venue_is_no_collateral_for_others() -> None:
    assert evaluate(inputs(venue(PRICES, borrower(1, weth=1)))).venues[0].units[0].liabilities is None


def test_an_asset_without_a_class_of_its_own_counts_zero_and_is_named() -> None:
    """An escrow has no liquidation threshold that the class could take."""
    held = [venue(PRICES | {JUNK: Price(usd=100)}, borrower(1000, weth=1)), escrow({JUNK: 7, WETH: 1}, imports=False)]

    document = evaluate(replace(inputs(*held), policy=parse_policy(TAKES_THE_VENUES)))

    assert document.health_factor == "3.200000"  # 2 · 2000 · 0.8 / 1000
    (reason,) = (item for item in document.reasons if item.code == "asset_not_configured")
    assert reason.subject == f"{CHAIN}/erc20:{format_address(CHAIN, JUNK)}"
    assert reason.detail == (
        "JUNK is of class default, which takes the liquidation threshold of the venue, and vault has none: "
        "it counts zero until an [[asset]] gives it a class of its own"
    )
    counted = {position.symbol: position.counted for position in document.venues[1].units[0].positions}
    assert counted == {"JUNK": False, "WETH": True}
    assert document.status is Status.HEALTHY


def test_an_asset_of_a_class_with_a_threshold_counts_by_it() -> None:
    document = evaluate(
        inputs(venue(PRICES | {JUNK: Price(usd=100)}, borrower(1000, weth=1)), escrow({JUNK: 2}, imports=False))
    )

    # the default class of this policy says 0.5; JUNK has no price where it lies, and no venue of the account prices it
    assert "asset_not_configured" not in codes(document)
    assert "collateral_unpriced" in codes(document)


@pytest.mark.parametrize(
    "aspect, state, code",
    [
        ("token", {"decimals": None, "symbol": "USDC"}, "token_unknown"),
        ("vault", {"balance": "1", "claims": "2"}, "vault_short"),
    ],
)
def test_a_token_in_doubt_does_not_count_and_takes_no_other_with_it(
    aspect: str, state: dict[str, Any], code: str
) -> None:
    vault = with_market(escrow({USDC: 500, WETH: 1}, imports=False), USDC, aspect, state)

    document = evaluate(inputs(venue(PRICES, borrower(1000, weth=1)), vault))

    assert document.health_factor == "3.200000"  # 2 · 2000 · 0.8 / 1000, without the 500 USDC
    assert code in codes(document)
    assert document.status is Status.HEALTHY


def test_what_a_stranger_sends_to_a_lending_venue_does_not_price_a_deposit() -> None:
    """Nor does it move the price that a venue gives where the asset counts."""
    prices = PRICES | {JUNK: Price(usd=100)}
    uncounted = replace(borrower(1000, weth=1, junk=1), flagged=(WETH,))
    vault = escrow({JUNK: 50}, imports=False)

    for held in (borrower(1000, weth=1), uncounted):
        document = evaluate(inputs(venue(prices, held), vault))
        assert document.health_factor == "1.600000"  # 2000 · 0.8 / 1000
    enabled = replace(uncounted, flagged=(WETH, JUNK))
    assert evaluate(inputs(venue(prices, enabled), vault)).health_factor == "4.150000"  # (1600 + 51 · 100 · 0.5) / 1000
