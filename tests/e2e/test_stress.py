"""`crossmargin stress`, `at-risk` and `watch-list` over recorded chains: against what the venues' own numbers say, and alike over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.conftest import Indexed
from tests.support.recorded import crossmargin, service


def said(indexed: Indexed, *arguments: str) -> Any:
    done = crossmargin(indexed.folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_book_is_stressed_by_command_and_by_http_alike(indexed: Indexed) -> None:
    still = said(indexed, "stress", "--shock", "ETH=0")
    fallen = said(indexed, "stress", "--shock", "ETH=-0.9")
    (calm,), (crash,) = still["scenarios"], fallen["scenarios"]

    assert still["units"] > 0
    assert [each["newly_liquidatable"] for each in calm["venues"].values()] == [0] * len(calm["venues"])
    assert calm["house"]["newly_below"] == 0
    assert sum(each["newly_liquidatable"] for each in crash["venues"].values()) > 0
    assert sum(Decimal(each["shortfall_usd"]) for each in crash["venues"].values()) > 0
    assert {each["rule"] for each in crash["moves"]} == {"said", "untouched"}

    whole = said(indexed, "stress")
    assert len(whole["scenarios"]) > 9 + 21
    assert (
        said(indexed, "stress", "--scenario", "covid-2020", "--severity", "close")["scenarios"][0]["id"]
        == "covid-2020:close"
    )

    assert set(whole["not_made"]) == {"together"}
    [doubled] = said(indexed, "stress", "--scenario", "all-50%", "--fund", "1000")["scenarios"]
    falling = [each["asset"] for each in doubled["moves"] if each["rule"] == "said"]
    lacking = []
    for move in (-Decimal(doubled["multiple"]) / 2, -Decimal(doubled["multiple"]) / 2 - Decimal("0.0001")):
        shocks = [part for asset in falling for part in ("--shock", f"{asset}={move}")]
        [one] = said(indexed, "stress", *shocks)["scenarios"]
        lacking.append(sum(Decimal(each["shortfall_usd"]) for each in one["venues"].values()))
    assert lacking[0] <= 1001 < lacking[1]

    curve = said(indexed, "at-risk")
    deepest = curve["jointly"][0]
    grid = next(each for each in whole["scenarios"] if each["id"] == "all-50%")
    assert deepest["move"] == "-0.5"
    assert deepest["units"] == sum(each["liquidatable"] for each in grid["venues"].values())

    watched = said(indexed, "watch-list", "--top", "3")
    assert (watched["accounts"], watched["forecasts"]) == (0, [])
    assert {each["reason"]["code"] for each in watched["unknown"]} == {"nothing_estimated"}
    assert watched["unknown_accounts"] >= len(watched["unknown"]) > 0

    first, second = (said(indexed, "risk-run") for _ in range(2))
    assert (first["run"], second["run"]) == (1, 2)
    kept = "SELECT venue_id, newly_falling FROM public.fct_stress WHERE run_id = 2 AND scenario_id = 'all-50%' AND venue_id IS NOT NULL"
    rows = said(indexed, "sql", kept)["rows"]
    assert {tuple(row) for row in rows} == {
        (venue, group["newly_liquidatable"]) for venue, group in grid["venues"].items()
    }
    units = "SELECT units FROM public.fct_at_risk WHERE run_id = 2 AND identity_id IS NULL ORDER BY move LIMIT 1"
    assert said(indexed, "sql", units)["rows"] == [[deepest["units"]]]
    reasons = "SELECT DISTINCT split_part(reason, ':', 1) FROM public.fct_breach_forecast"
    assert said(indexed, "sql", reasons)["rows"] == [["nothing_estimated"]]

    for arguments in (("stress", "--scenario", "ftx-2022"), ("at-risk",), ("watch-list",)):
        shown = crossmargin(indexed.folder, *arguments)
        assert shown.returncode == 0, shown.stderr
    with service(indexed.folder, "serve") as (url, _):
        assert said(indexed, "stress", "--shock", "ETH=-0.9") == fallen
        with urllib.request.urlopen(f"{url}/v1/at-risk", timeout=30) as reply:  # noqa: S310 - our own loopback address
            assert json.load(reply) == curve
        assert said(indexed, "watch-list", "--top", "3") == watched
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(f"{url}/v1/stress?shock=ETH=-1.5", timeout=30)  # noqa: S310 - as above


@pytest.mark.parametrize(
    "arguments, told",
    [
        (("--shock", "ETH=-1.5"), "from -1"),
        (("--shock", "ETH"), "is no shock"),
        (("--shock", "XYZ=-0.5"), "nobody holds or owes"),
        (("--scenario", "flood"), "there is no scenario"),
        (("--severity", "worst"), "severity must be"),
        (("--scenario", "together"), "nobody knows how far days go"),
        (("--fund", "inf"), "a fund has 0 USD or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(indexed: Indexed, arguments: tuple[str, ...], told: str) -> None:
    done = crossmargin(indexed.folder, "stress", *arguments)

    assert done.returncode == 2
    assert told in done.stderr


def native(document: Any, when: str, place: int) -> dict[str, int]:
    return {name: int(value) for name, value in document[when]["units"][place]["native"].items()}


def test_an_account_is_shown_before_and_after(indexed: Indexed) -> None:
    held = said(indexed, "health", "stretched")
    unit = held["venues"][0]
    venue, ether = unit["venue"], next(each for each in unit["units"][0]["positions"] if each["side"] == "supply")
    owed = next(each for each in unit["units"][0]["positions"] if each["side"] == "borrow")
    symbol, debt = ether["symbol"], owed["symbol"]

    fallen = said(indexed, "what-if", "stretched", "--shock", "BTC=-0.25")
    before, after = native(fallen, "before", 1), native(fallen, "after", 1)
    assert fallen["before"]["health_factor"] == held["health_factor"]
    assert after["totalDebtBase"] == before["totalDebtBase"]
    # The other venue has nothing but bitcoin: what its contract would say is three quarters, but for the price's own rounding.
    assert after["totalCollateralBase"] == pytest.approx(before["totalCollateralBase"] * 3 / 4, abs=10)
    assert after["healthFactor"] == pytest.approx(before["healthFactor"] * 3 / 4, rel=1e-8)
    assert after["currentLiquidationThreshold"] == before["currentLiquidationThreshold"]
    assert Decimal(fallen["after"]["health_factor"]) < Decimal(held["health_factor"])
    assert fallen["notes"] == []

    repaid = said(indexed, "what-if", "stretched", "--do", f"repay:{venue}:{debt}=100")
    before, after = native(repaid, "before", 0), native(repaid, "after", 0)
    assert after["totalCollateralBase"] == before["totalCollateralBase"]
    paid = before["totalDebtBase"] - after["totalDebtBase"]
    assert after["healthFactor"] * after["totalDebtBase"] == pytest.approx(
        before["healthFactor"] * before["totalDebtBase"], rel=1e-8
    )
    assert paid == pytest.approx(100 * 10**8, rel=0.05)
    assert native(repaid, "after", 1) == native(repaid, "before", 1)

    supplied, taken = f"supply:{venue}:{symbol}=0.5", f"withdraw:{venue}:{symbol}=0.5"
    both = said(indexed, "what-if", "stretched", "--do", supplied, "--do", taken)
    assert native(both, "after", 0)["totalCollateralBase"] == pytest.approx(
        native(both, "before", 0)["totalCollateralBase"], rel=1e-9
    )
    gone = crossmargin(indexed.folder, "what-if", "stretched", "--shock", "ETH=-0.9")
    assert gone.returncode == 0, gone.stderr
    with service(indexed.folder, "serve"):
        assert said(indexed, "what-if", "stretched", "--shock", "BTC=-0.25") == fallen


@pytest.mark.parametrize(
    "arguments, told",
    [
        ((), "nothing is to change"),
        (("--do", "sell:north:ETH=1"), "is no action"),
        (("--do", "repay:nowhere:USDC=1"), "nothing at"),
        (("--do", "repay:VENUE:DOGE=1"), "has or owes there"),
        (("--do", "repay:VENUE:DEBT=100000000"), "there are only"),
        (("--do", "repay:VENUE:DEBT=0.000000000000000000001"), "is no amount"),
        (("--shock", "ETH=-1"), "above -1"),
        (("--shock", "XYZ=-0.1"), "has and owes no"),
    ],
)
def test_what_an_account_cannot_do_is_refused(indexed: Indexed, arguments: tuple[str, ...], told: str) -> None:
    venue = said(indexed, "health", "stretched")["venues"][0]
    debt = next(each["symbol"] for each in venue["units"][0]["positions"] if each["side"] == "borrow")
    asked = [each.replace("VENUE", venue["venue"]).replace("DEBT", debt) for each in arguments]

    done = crossmargin(indexed.folder, "what-if", "stretched", *asked)

    assert done.returncode == 2
    assert told in done.stderr
