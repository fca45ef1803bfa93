"""Histories that are imported change what collateral counts for, and say so; what cannot be meant is refused by its line."""

from __future__ import annotations

import json
import tomllib
import urllib.request
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import Indexed
from tests.support.recorded import crossmargin, service

WILD = 0.09
"""The deviation of a day, in which more falls than any class's own number allows for."""


def said(indexed: Indexed, *arguments: str) -> Any:
    done = crossmargin(indexed.folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def day(indexed: Indexed) -> date:
    """The day of the newest block that is indexed."""
    times = [chain["time"] for chain in said(indexed, "prices")["as_of"].values()]
    return max(datetime.fromisoformat(time) for time in times).astimezone(UTC).date()


def told(indexed: Indexed) -> dict[str, int]:
    """How many days of ETH each source told."""
    listed = {line["identity"]: line["sources"] for line in said(indexed, "prices", "list")["histories"]}
    return dict(listed["ETH"])


def history(folder: Path, name: str, last: date, *, days: int = 800, deviation: float = WILD, seed: int = 3) -> str:
    """Write a history that ends on a day and return the name of its file."""
    returns = np.random.default_rng(seed).normal(0, deviation, days)
    closes = 1000 * np.exp(np.concatenate([[0.0], np.cumsum(returns - returns.mean())]))
    lines = [
        f"{last - timedelta(days=days - number)},{close!r},{close * 0.95!r},{close * 1.05!r}"
        for number, close in enumerate(closes.tolist())
    ]
    (folder / f"{name}.csv").write_text("\n".join(["date,close,low,high", *lines]) + "\n", encoding="utf-8")
    return f"{name}.csv"


def test_an_imported_history_takes_more_off_than_the_class_does_and_says_what_it_rests_on(
    indexed: Indexed, day: date
) -> None:
    before = said(indexed, "health", "stretched")
    file = history(indexed.folder, "ETH", day - timedelta(days=1))

    (imported,) = said(indexed, "prices", "import", file, "--source", "desk")["imported"]
    after = said(indexed, "health", "stretched")

    assert (imported["identity"], imported["days"], imported["new"], imported["corrected"]) == ("ETH", 801, 801, 0)
    assert Decimal(after["collateral"]["haircut"]) < Decimal(before["collateral"]["haircut"])
    assert Decimal(after["headroom"]) < Decimal(before["headroom"])
    assert after["collateral"]["raw"] == before["collateral"]["raw"]
    assert after["venues"][0]["units"][0]["native"] == before["venues"][0]["units"][0]["native"]
    assert json.loads(said_text(indexed, after["input_digest"]))["risk"]["assets"][0]["identity"] == "ETH"
    assert json.loads(said_text(indexed, before["input_digest"]))["risk"]["assets"] == []
    listed = {row["identity"]: row for row in said(indexed, "prices")["prices"]}
    shown = {row["identity"]: row for row in after["prices"]}
    assert shown["ETH"]["basis"] == "estimated"
    assert {name: listed[name] | {"assets": []} for name in shown} == {
        name: row | {"assets": []} for name, row in shown.items()
    }


def test_what_a_bridge_carries_is_listed_beside_an_account_and_counts_nothing(indexed: Indexed, day: date) -> None:
    before = said(indexed, "health", "stretched")
    north, south = before["members"]
    chains = [member.rpartition(":")[0] for member in (north, south)]
    (asset,) = {row["asset"] for row in before["venues"][1]["units"][0]["positions"] if row["side"] == "borrow"}
    row = f"cctp,0:7,{chains[0]},{chains[1]},{asset},5000000,6,{north},{south},{day - timedelta(days=1)}T00:00:00Z,0x01,sent"
    names = "protocol,message,source_chain,destination_chain,asset,amount_raw,decimals,sender,recipient,sent_at,source_tx,state"
    (indexed.folder / "bridge.csv").write_text(f"{names}\n{row}\n", encoding="utf-8")

    assert said(indexed, "transfers", "import", "bridge.csv", "--source", "desk")["new"] == 1

    after = said(indexed, "health", "stretched")
    (shown,) = after["in_flight"]
    assert (shown["message"], shown["amount"], shown["proven"], shown["source"]) == (
        "cctp:0:7",
        "5.000000",
        False,
        "desk",
    )
    assert shown["value_usd"] is not None
    varying = {"in_flight", "input_digest"}
    assert {name: after[name] for name in after.keys() - varying} == {
        name: before[name] for name in before.keys() - varying
    }
    assert said(indexed, "transfers", "list")["transfers"][0]["state"] == "sent"
    assert "On its way" in crossmargin(indexed.folder, "health", "stretched").stdout


def test_what_the_store_gathered_is_estimated_and_walked_forward_like_the_same_file(
    indexed: Indexed, day: date
) -> None:
    whole = history(indexed.folder, "ETH", day - timedelta(days=1))
    lines = (indexed.folder / whole).read_text(encoding="utf-8").splitlines()
    (indexed.folder / "gap.csv").write_text("\n".join([*lines[:200], *lines[201:]]) + "\n", encoding="utf-8")
    said(indexed, "prices", "import", "gap.csv", "--asset", "ETH", "--gaps")
    stored = [f"{row['day']},{row['close']}" for row in said(indexed, "prices", "show", "ETH")["days"]]
    (indexed.folder / "late.csv").write_text("\n".join(["date,close", *stored[199:]]) + "\n", encoding="utf-8")

    for arguments, rows in (((), "haircuts"), (("--model", "fhs"), "results")):
        command = ("haircuts", "backtest" if arguments else "estimate")
        (in_file,) = said(indexed, *command, "late.csv", *arguments)[rows]
        (in_store,) = said(indexed, *command, "--stored", "ETH", *arguments)[rows]
        assert in_store == in_file | {"asset": "ETH", "left_out": 199}
    unknown = crossmargin(indexed.folder, "haircuts", "estimate", "--stored", "ETC")
    assert unknown.returncode == 2
    assert "ETH" in unknown.stderr


def said_text(indexed: Indexed, digest: str) -> str:
    done = crossmargin(indexed.folder, "inputs", digest)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_haircuts_are_shown_layer_by_layer(indexed: Indexed, day: date) -> None:
    said(indexed, "prices", "import", history(indexed.folder, "ETH", day - timedelta(days=1)))
    pools = "asset,as_of,daily_volume_usd,spread,fee\n" + f"ETH,{day},400000000,0.001,0.0005\n"
    (indexed.folder / "pools.csv").write_text(pools, encoding="utf-8")
    said(indexed, "liquidity", "import", "pools.csv", "--source", "desk")

    document = said(indexed, "haircuts", "show", "--value", "1000000")

    by_name = {line["identity"]: line for line in document["haircuts"]}
    eth, btc = by_name["ETH"], by_name["BTC"]
    assert (eth["estimate"]["basis"], eth["estimate"]["days"], eth["sources"]) == ("fhs", 800, ["ETH.csv", "feeds"])
    assert (btc["estimate"], btc["sources"]) == (None, ["feeds"])
    (asset, *_), (unknown, *_) = eth["assets"], btc["assets"]
    deviation = Decimal(eth["estimate"]["daily_deviation"])
    impact = deviation * Decimal(10**6 / (4e8 * 0.3)).sqrt()
    assert Decimal(asset["maintenance"]["liquidity"]) == pytest.approx(Decimal("0.001") + impact, abs=Decimal("2e-6"))
    assert Decimal(asset["initial"]["total"]) > Decimal(asset["initial"]["static"])
    assert {"market", "liquidity"} <= set(unknown["assumed"])
    assert unknown["maintenance"]["total"] == unknown["maintenance"]["static"]
    assert said(indexed, "liquidity", "list")["liquidity"][0]["source"] == "desk"
    shown = crossmargin(indexed.folder, "haircuts", "show")
    assert shown.returncode == 0
    assert "no estimate" in shown.stdout


def test_what_is_imported_again_is_known_and_what_differs_is_a_correction(indexed: Indexed, day: date) -> None:
    file = history(indexed.folder, "ETH", day - timedelta(days=1))
    path = indexed.folder / file
    said(indexed, "prices", "import", file)

    again = said(indexed, "prices", "import", file)["imported"][0]
    lines = path.read_text().splitlines()
    lines[5] = lines[5].split(",")[0] + ",77,76,78"
    path.write_text("\n".join(lines) + "\n")
    mended = said(indexed, "prices", "import", file)["imported"][0]

    assert (again["new"], again["corrected"]) == (0, 0)
    assert (mended["new"], mended["corrected"]) == (0, 1)
    days = said(indexed, "prices", "show", "ETH")["days"]
    assert days[4] == {"day": lines[5].split(",")[0], "close": "77.0", "low": "76.0", "high": "78.0", "source": file}
    (listed,) = [line for line in said(indexed, "prices", "list")["histories"] if line["identity"] == "ETH"]
    assert (listed["days"], listed["corrections"], listed["missing_days"]) == (801, 1, 0)
    (row,) = said(indexed, "sql", "SELECT count(*) AS days, sum(corrections) AS corrections FROM public.fct_price_day")[
        "rows"
    ]
    assert [int(value) for value in row] == [801, 1]


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("2020-01-03,3", "2020-01-03,-3", "x.csv line 4: a close of -3 is no price"),
        ("2020-01-03,3", "2020-01-03,nan", "x.csv line 4: close nan is no number"),
        ("2020-01-03,3", "2020-01-03", "x.csv line 4: has not as many cells"),
        ("2020-01-03,3", "2020-01-02,3", "x.csv line 4: 2020-01-02 follows 2020-01-02"),
        ("2020-01-03,3", "3 January,3", "x.csv line 4: '3 January' is no day"),
        ("2020-01-03,3\n", "", "2020-01-03 is missing; fill no gap"),
        ("2020-01-04,4", "2999-01-04,4", "x.csv line 5: 2999-01-04 is not over"),
        ("date,close", "day,close", "x.csv has no column 'date'"),
    ],
)
def test_a_history_that_is_none_is_refused_by_its_line(indexed: Indexed, old: str, new: str, complaint: str) -> None:
    text = "date,close\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-04,4\n"
    (indexed.folder / "x.csv").write_text(text.replace(old, new, 1), encoding="utf-8")

    done = crossmargin(indexed.folder, "prices", "import", "x.csv", "--asset", "ETH")

    assert done.returncode == 2
    assert complaint in " ".join(done.stderr.split())
    assert told(indexed).keys() <= {"feeds"}


def test_days_that_feeds_tell_are_theirs_and_imports_fill_the_others(indexed: Indexed, day: date) -> None:
    feeds = told(indexed)["feeds"]
    before = {each["day"]: each for each in said(indexed, "prices", "show", "ETH")["days"]}

    said(indexed, "prices", "import", history(indexed.folder, "ETH", day - timedelta(days=1)))

    assert feeds > 0
    assert told(indexed) == {"ETH.csv": 801 - feeds, "feeds": feeds}
    after = {each["day"]: each for each in said(indexed, "prices", "show", "ETH")["days"]}
    assert {day: after[day] for day in before} == before
    assert max(before) < day.isoformat()


def test_a_name_that_no_asset_has_is_refused_with_the_nearest(indexed: Indexed) -> None:
    (indexed.folder / "ETHH.csv").write_text("date,close\n2020-01-01,1\n2020-01-02,2\n", encoding="utf-8")

    done = crossmargin(indexed.folder, "prices", "import", "ETHH.csv")

    assert done.returncode == 2
    assert 'no asset has the identity "ETHH"' in done.stderr
    assert 'did you mean "ETH"' in done.stderr


def test_one_file_may_hold_several_assets_and_a_gap_is_said(indexed: Indexed) -> None:
    lines = (
        "date,asset,close\n2020-01-01,ETH,1\n2020-01-01,BTC,2\n2020-01-02,ETH,1\n2020-01-05,ETH,1\n2020-01-02,BTC,2\n"
    )
    (indexed.folder / "all.csv").write_text(lines, encoding="utf-8")

    done = said(indexed, "prices", "import", "all.csv", "--gaps")["imported"]

    assert [(line["identity"], line["days"], line["gaps"]) for line in done] == [
        ("BTC", 2, []),
        ("ETH", 3, [["2020-01-03", "2020-01-04"]]),
    ]


def test_a_running_service_takes_histories_in_from_the_owner_alone(indexed: Indexed, day: date) -> None:
    file = history(indexed.folder, "ETH", day - timedelta(days=1))
    with service(indexed.folder, "serve") as (url, _):
        done = said(indexed, "prices", "import", file)
        with urllib.request.urlopen(f"{url}/v1/haircuts", timeout=30) as reply:  # noqa: S310 - our own loopback address
            document = json.load(reply)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/v1/price-histories", data=b"{}", timeout=30)  # noqa: S310

    assert done["imported"][0]["new"] == 801
    assert [line["identity"] for line in document["haircuts"] if line["estimate"]] == ["ETH"]


def test_what_is_imported_announces_breaches_and_drafts_a_policy(indexed: Indexed, day: date) -> None:
    said(indexed, "prices", "import", history(indexed.folder, "ETH", day - timedelta(days=1)), "--source", "desk")

    watched = said(indexed, "watch-list", "--top", "1000")
    assert watched["identities"] == ["ETH"]
    chances = [
        [float(each["breach_probability"][name]) for name in ("1h", "24h", "7d")] for each in watched["forecasts"]
    ]
    assert len(chances) == watched["accounts"] > 1
    assert all(1 / watched["paths"] <= hour <= one <= week <= 1 for hour, one, week in chances)
    assert [one for _, one, _ in chances] == sorted((one for _, one, _ in chances), reverse=True)
    gone = {each["account"]: each for each in watched["forecasts"] if each["status"] == "liquidatable"}
    assert all(float(each["breach_probability"]["1h"]) == 1 for each in gone.values())
    assert said(indexed, "watch-list", "--top", "1000") == watched

    advice = said(indexed, "haircuts", "recommend", "--out", "draft.toml")
    changed = [each for each in advice["proposals"] if each["move"] != "keep"]
    assert {each["move"] for each in changed} <= {"alert", "raise"}
    assert any(each["move"] == "alert" for each in changed)
    draft = tomllib.loads((indexed.folder / "draft.toml").read_text(encoding="utf-8"))
    for each in changed:
        of_class = draft["class"][each["class"]]
        taken = of_class["haircut"] if each["margin"] == "initial" else 1 - of_class["liquidation_threshold"]
        assert taken == pytest.approx(float(each["proposed"]))
    assert draft["policy"]["effective_from"] == advice["effective_from"]
    assert crossmargin(indexed.folder, "policy", "check", "draft.toml").returncode == 0
    assert {each["key"].split(".")[1] for each in advice["preview"]["changes"]} == {each["class"] for each in changed}
    again = crossmargin(indexed.folder, "haircuts", "recommend", "--out", "draft.toml")
    assert again.returncode == 2
    assert "is there already" in again.stderr
