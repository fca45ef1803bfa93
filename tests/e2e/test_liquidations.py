"""`crossmargin liquidations` over recorded chains: what it comes to, that it adds up, and alike over HTTP."""

from __future__ import annotations

import json
import urllib.request
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.conftest import Indexed
from tests.e2e.test_stress import said
from tests.support.recorded import crossmargin, service

CRASH = ("--shock", "ETH=-0.6", "--shock", "BTC=-0.6")


def test_a_book_is_liquidated_by_command_and_by_http_alike(indexed: Indexed) -> None:
    still = said(indexed, "liquidations", "simulate")
    found = said(indexed, "liquidations", "simulate", *CRASH, "--fund", "1000", "--venue-fund", "aave-north=50")

    assert still["scenario"] is None
    assert found["flows"]["equity_before_usd"] != still["flows"]["equity_before_usd"]
    assert [each["order"] for each in found["orders"]] == [
        "least_liquid_first",
        "pro_rata",
        "most_liquid_first",
        "cheapest_per_health",
    ]
    flows = {name: Decimal(amount) for name, amount in found["flows"].items()}
    gains = flows["liquidators_gain_usd"] + flows["venues_keep_usd"] + flows["impact_usd"]
    assert flows["accounts_lose_usd"] == pytest.approx(gains, abs=Decimal("0.01"))
    change = flows["accounts_lose_usd"] - flows["forgiven_usd"] + flows["revalued_usd"]
    assert flows["equity_before_usd"] - flows["equity_after_usd"] == pytest.approx(change, abs=Decimal("0.01"))
    assert flows["accounts_lose_usd"] > 0
    assert {each["symbol"] for each in found["pools"]} == {"USDC"}
    paid = sum(Decimal(each["by_fund_usd"]) for each in found["pools"])
    assert Decimal(found["fund_left_usd"]) == pytest.approx(1_000 - paid, abs=Decimal("0.01"))
    assert set(found["assumed"]) == {each["identity"] for each in found["prices"]}
    assert found["rules"]
    assert found["policy"].startswith("sha256:")
    assert found == said(indexed, "liquidations", "simulate", *CRASH, "--fund", "1000", "--venue-fund", "aave-north=50")

    plain = said(indexed, "liquidations", "simulate", *CRASH, "--depth", "0.1")
    frozen = said(indexed, "liquidations", "freeze", *CRASH, "--days", "0", "--days", "30", "--fund", "0.01")
    now, later = frozen["freezes"]
    first = plain["orders"][0]
    for name in ("liquidated_units", "impact_usd", "bad_debt_usd", "accounts_lose_usd", "standing_units"):
        assert now[name] == first[name], name
    assert Decimal(now["interest_usd"]) == 0
    assert Decimal(later["interest_usd"]) > 0
    assert Decimal(later["bad_debt_usd"]) > Decimal(now["bad_debt_usd"])
    assert frozen["fund_exhausted_after_days"] == (0 if Decimal(now["bad_debt_usd"]) > 1 else 30)

    shown = [crossmargin(indexed.folder, "liquidations", way, *CRASH) for way in ("simulate", "freeze")]
    assert [each.returncode for each in shown] == [0, 0], shown[0].stderr + shown[1].stderr
    pool = found["pools"][0]
    assert f"{pool['venue']} USDC ({pool['market'][:8]}…{pool['market'][-4:]})" in shown[0].stdout
    with service(indexed.folder, "serve") as (url, _):
        assert said(indexed, "liquidations", "simulate", *CRASH, "--depth", "0.1") == plain
        assert (
            said(indexed, "liquidations", "freeze", *CRASH, "--days", "0", "--days", "30", "--fund", "0.01") == frozen
        )
        asked = f"{url}/v1/liquidations?shock=ETH=-0.6,BTC=-0.6&depth=0.1"
        with urllib.request.urlopen(asked, timeout=30) as reply:  # noqa: S310 - our own loopback address
            answered: Any = json.load(reply)
    assert answered == plain


def test_late_prices_and_kept_runs_say_what_a_simulation_says(indexed: Indexed) -> None:
    prompt = said(indexed, "liquidations", "lag", "--scenario", "worst-1d", "--hours", "0")
    late = said(indexed, "liquidations", "lag", "--scenario", "worst-1d", "--hours", "24")
    plain = said(indexed, "liquidations", "simulate", "--scenario", "worst-1d", "--accrue", "0")

    [day], [behind] = prompt["days"], late["days"]
    assert day["prompt"] == day["late"] == behind["prompt"]
    assert any(Decimal(each["move"]) for each in day["moves"])
    assert not any(Decimal(each["shown"]) for each in behind["moves"] if each["rule"] == "measured")
    assert behind["late"] != day["late"]

    said(indexed, "risk-run")
    asked = (
        "SELECT liquidated, sold_usd, bad_debt_usd, seed, policy_digest FROM public.fct_simulated_liquidation "
        "WHERE run_id = (SELECT max(run_id) FROM public.fct_risk_run) AND scenario_id = 'worst-1d:low' "
        "AND venue_id IS NULL AND depth = 1"
    )
    [[liquidated, sold, bad, seed, policy]] = said(indexed, "sql", asked)["rows"]
    first = plain["orders"][0]
    assert (liquidated, seed, policy) == (first["liquidated_units"], plain["terms"]["seed"], plain["policy"])
    assert (Decimal(str(sold)), Decimal(str(bad))) == (Decimal(first["sold_usd"]), Decimal(first["bad_debt_usd"]))
    more = said(indexed, "liquidations", "simulate", *CRASH, "--accrue", "30")
    assert Decimal(more["flows"]["equity_before_usd"]) < Decimal(
        said(indexed, "liquidations", "simulate", *CRASH)["flows"]["equity_before_usd"]
    )
    with service(indexed.folder, "serve"):
        assert said(indexed, "liquidations", "lag", "--scenario", "worst-1d", "--hours", "24") == late
        assert said(indexed, "liquidations", "simulate", *CRASH, "--accrue", "30") == more


@pytest.mark.parametrize(
    "arguments, told",
    [
        (("simulate", "--order", "random"), "order must be"),
        (("simulate", "--impact-cap", "0"), "impact cap"),
        (("simulate", "--impact-cap", "nan"), "impact cap"),
        (("simulate", "--depth", "2"), "a depth is"),
        (("simulate", "--venue-limit", "-1"), "a venue's limit"),
        (("simulate", "--seed", "-1"), "a seed is"),
        (("simulate", "--venue-fund", "nowhere=5"), "nobody has anything at"),
        (("simulate", "--venue-fund", "aave-north"), "is no fund"),
        (("simulate", "--fund", "inf"), "0 USD or more"),
        (("simulate", "--shock", "ETH=-1.5"), "from -1"),
        (("simulate", "--scenario", "flood"), "there is no scenario"),
        (("simulate", "--scenario", "ftx-2022", "--shock", "ETH=-0.1"), "one scenario"),
        (("freeze", "--days", "-1"), "numbers of days"),
        (("freeze", "--days", "9999"), "numbers of days"),
        (("simulate", "--accrue", "366"), "interest accrues for 0 to 365 days"),
        (("lag", "--scenario", "flood"), "there is no window"),
        (("lag", "--scenario", "worst-1d", "--hours", "-1"), "hours late"),
        (("lag", "--scenario", "covid-2020"), "not every day of BTC"),
    ],
)
def test_what_cannot_be_meant_is_refused(indexed: Indexed, arguments: tuple[str, ...], told: str) -> None:
    done = crossmargin(indexed.folder, "liquidations", *arguments)

    assert done.returncode == 2
    assert told in done.stderr


def test_an_account_is_advised_by_command_and_by_http_alike(indexed: Indexed) -> None:
    found = said(indexed, "advise", "stretched", "--usd", "100")
    held = said(indexed, "health", "stretched")
    lowest = min(Decimal(held["health_factor"]), Decimal(held["min_unit_health_factor"]))

    assert Decimal(found["health"]) == pytest.approx(lowest, abs=Decimal("0.00001"))
    assert found["advice"]
    best = found["advice"][0]
    done = [part for each in best["actions"] for part in ("--do", action_of(each))]
    after = said(indexed, "what-if", "stretched", *done)["after"]
    assert after["health_factor"] == best["health_factor_after"]
    assert after["min_unit_health_factor"] == best["min_unit_health_factor_after"]
    assert Decimal(best["moved_usd"]) <= 100
    assert min(each["rank_by_cost"] for each in found["advice"]) == 1

    first, second = (venue["venue"] for venue in held["venues"])
    refused = crossmargin(indexed.folder, "what-if", "stretched", "--do", f"move:{first}>{second}:BTC=0.001")
    assert refused.returncode == 2
    for arguments, told in ((("--usd", "-5"), "more than 0 USD"), (("--usd", "1e12"), "no more than 1e+06 USD")):
        wrong = crossmargin(indexed.folder, "advise", "stretched", *arguments)
        assert wrong.returncode == 2
        assert told in wrong.stderr
    shown = crossmargin(indexed.folder, "advise", "stretched")
    assert shown.returncode == 0, shown.stderr
    with service(indexed.folder, "serve"):
        assert said(indexed, "advise", "stretched", "--usd", "100") == found


def action_of(action: dict[str, str]) -> str:
    return f"{action['kind']}:{action['venue']}:{action['asset']}={action['tokens']}"
