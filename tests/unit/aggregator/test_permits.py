"""How a document says what a venue lets be done to a unit."""

from __future__ import annotations

from aggregator.margin.views import permits_view
from chains.identifiers import format_address
from chains.model import Allowance, CollateralTerms, Liquidation, Permits, Reason
from tests.unit.aggregator.builders import CHAIN, USDC, WETH

PAUSED = Reason("reserve_paused", "0x01", "the reserve is paused")
UNKNOWN = Reason("liquidity_unknown", "0x02", "how many tokens the market has left is not known")


def test_shares_are_fractions_and_amounts_are_raw() -> None:
    permits = Permits(
        collaterals=(CollateralTerms(WETH, bonus=10_500, protocol_fee=1_000),),
        liquidations=(
            Liquidation(collateral=WETH, debt=USDC, close_factor=5_000, covered=7, seized=8, fee=1, blocked=(PAUSED,)),
        ),
        borrowable=(
            Allowance(USDC, 10**30, (), cap=10**31, cap_left=10**30, unknown=(UNKNOWN,)),
            Allowance(WETH, 0, (PAUSED,)),
        ),
        withdrawable=(Allowance(WETH, 5, ()),),
    )

    said = permits_view(permits, CHAIN).model_dump(mode="json")

    weth, usdc = (format_address(CHAIN, asset) for asset in (WETH, USDC))
    paused = PAUSED._asdict()
    assert said == {
        "collaterals": [{"market": weth, "bonus": "0.0500", "protocol_fee": "0.1000"}],
        "liquidations": [
            {
                "collateral": weth,
                "debt": usdc,
                "close_factor": "0.5000",
                "covered_raw": "7",
                "seized_raw": "8",
                "fee_raw": "1",
                "blocked": [paused],
            }
        ],
        "borrowable": [
            {
                "market": usdc,
                "most_raw": str(10**30),
                "cap_raw": str(10**31),
                "cap_left_raw": str(10**30),
                "blocked": [],
                "unknown": [UNKNOWN._asdict()],
            },
            {
                "market": weth,
                "most_raw": "0",
                "cap_raw": None,
                "cap_left_raw": None,
                "blocked": [paused],
                "unknown": [],
            },
        ],
        "withdrawable": [
            {"market": weth, "most_raw": "5", "cap_raw": None, "cap_left_raw": None, "blocked": [], "unknown": []}
        ],
        "reasons": [],
    }
