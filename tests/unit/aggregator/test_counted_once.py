"""What shares of a vault are a claim on is shown beside them, and counted once."""

from __future__ import annotations

from dataclasses import replace

from aggregator.margin.account import Assessment, assess
from aggregator.margin.health import context_of, open_units
from aggregator.margin.views import venues
from chains.model import Basis, Claim, Component, Side
from tests.unit.aggregator.builders import CHAIN, WETH, Price, borrower, inputs, venue
from tests.unit.aggregator.builders import USDC as TOKEN

MARKET = b"\x77" * 32


def test_what_shares_are_a_claim_on_is_shown_and_enters_no_number() -> None:
    """The share is valued as what it is; its components stand in markets whose numbers are somebody else's."""
    whole = Claim(
        asset=WETH, symbol="WETH", decimals=18, assets_raw=10**19, lost_raw=0, redeemable_raw=10**19,
        components=(Component("morpho", MARKET, WETH, "WETH", 18, 10**19, 10**19, Basis.EXACT),),
    )  # fmt: skip

    plain, looked = assessed(None), assessed(whole)

    assert (looked.margins, looked.status, looked.score, looked.reasons) == (
        plain.margins,
        plain.status,
        plain.score,
        plain.reasons,
    )
    assert looked.margins.mid.collateral == 10 * 2000
    assert [pool.margins for pool in looked.pools] == [pool.margins for pool in plain.pools]
    (unit,) = venues(looked, inputs().policy.status)[0].units
    assert [position.look_through is not None for position in unit.positions] == [False, True]


def assessed(claim: Claim | None) -> Assessment:
    """10 WETH, as shares that are a claim on something or not, against 8000 USDC."""
    account = inputs(venue({WETH: Price(usd=2000), TOKEN: Price(usd=1)}, borrower(8000, weth=10)))
    (held_in,) = open_units(account.venues[0])
    positions = tuple(
        replace(each, claim=claim) if each.side is Side.SUPPLY else each for each in held_in.unit.positions
    )
    held_in = replace(held_in, unit=replace(held_in.unit, positions=positions))
    return assess(context_of(account), [held_in], chains={CHAIN}, gaps=())
