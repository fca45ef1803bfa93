"""What is said of simulated liquidations: numbers of any width, and funds of which nothing is left."""

from __future__ import annotations

from typing import Any

from aggregator.book import Book
from aggregator.risk.liquidation_run import simulate
from crossmargin.documents import Document
from crossmargin.liquidation_asked import Asked
from crossmargin.liquidation_documents import flow, frozen, simulated, stopped
from crossmargin.liquidation_known import Known
from crossmargin.server.web.figures import factor
from crossmargin.server.web.frame import written
from crossmargin.server.web.liquidations import liquidations
from crossmargin.stress_documents import usd
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, USDC, WETH, Holding
from tests.unit.aggregator.test_liquidation import FREELY, scene
from tests.unit.aggregator.test_stressing import book, owner

SUNK = Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(1))


def test_numbers_of_any_width_are_written() -> None:
    assert flow(1e25) == "1" + "0" * 25 + ".000000"
    assert flow(-1.5) == "-1.500000"
    assert usd(1e30) == "1" + "0" * 30 + ".00"
    assert usd(0.001) == "0.01"
    assert "1" + ",000" * 9 + ".0000" in factor("1" + "0" * 27)


def test_a_fund_is_exhausted_once_nothing_of_it_is_left() -> None:
    # ETH falls by 60 %: at the venue that falls 272.73 are lacking, and the fund of the other one is of no use there.
    made = book({CHAIN: [SUNK], OTHER_CHAIN: [Holding(supplied={USDC: 1}, owner=owner(2))]})

    def exhausted(*funds: str, common: float = 0.0) -> int | None:
        asked = Asked(shocks=("ETH=-0.6",), funds=funds, fund_usd=common, days=(0,), depth=1.0)
        found: int | None = frozen(made, asked, Known())["fund_exhausted_after_days"]
        return found

    assert exhausted("toy-1=10") == 0
    assert exhausted("toy-1=10", common=5.0) == 0
    assert exhausted("toy-2=10") is None
    assert exhausted(common=1e6) is None
    assert exhausted() is None


def test_where_a_run_stopped_is_told() -> None:
    both = scene(SUNK, ether=-0.6), scene(Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1)), ether=-0.1)

    sunk, fallen = (stopped(simulate(each, FREELY)) for each in both)

    assert sunk["ended"]
    assert fallen == {"rounds": 2, "ended": True, "standing_units": 0, "unknown_units": 0}


def test_losses_are_told_up_and_what_funds_pay_and_have_left_down() -> None:
    # ETH falls by 60 %: 500 are paid for 550 of it, which costs it 5 %, and 215.909… for the other 237.50: 284.0909… are lacking.
    lender = Holding(supplied={USDC: 7_000}, owner=owner(2))
    made = book({CHAIN: [SUNK, lender], OTHER_CHAIN: [lender]})

    [bare], _ = told(made)
    [paid], _ = told(made, funds=("toy-1=100.0000019",))
    _, left = told(made, funds=("toy-1=900.0000019",))

    assert bare["lenders_share"] == "0.040585"  # 0.0405844…
    assert (bare["bad_debt_usd"], bare["lenders_lose_usd"]) == ("284.10", "284.10")
    assert paid["by_venue_fund_usd"] == "100.000001"
    assert left["funds_left_usd"] == {"toy-1": "615.909092"}  # 900.0000019 − 284.090909
    assert left["orders"][0]["accounts_lose_usd"] == "71.60"  # a tenth of 715.909…, and half a cent


def test_a_page_says_how_many_units_are_in_no_total_and_why() -> None:
    made = book({CHAIN: [SUNK], OTHER_CHAIN: []})
    why = {"venue": "drift-main", "detail": "it has perp positions", "units": 1_234}
    document = dict(simulated(made, Asked(), Known())) | {
        "units_with_debt": 1_235, "units_left_out": 1_234, "left_out_by_reason": [why]
    }  # fmt: skip

    page = written(liquidations(document, frozen(made, Asked(days=(0,)), Known()), {"chains": []}, "")).decode()

    assert "1,234 of 1,235 units with debt" in page
    assert "1,234 units at drift-main: it has perp positions" in page


def told(made: Book, **more: Any) -> tuple[list[Document], Document]:
    found = simulated(made, Asked(shocks=("ETH=-0.6",), impact_cap=1.0, **more), Known())
    return found["pools"], found
