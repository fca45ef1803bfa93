"""Switchboard's price accounts: a real feed, and what is none."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from chains.solana.oracles.switchboard import NoFeed, aggregator, pull_feed
from chains.solana.oracles.switchboard.account import PROGRAM, PULL_FEED, RESULT
from tests.support.save_accounts import aggregator as aggregator_account
from tests.support.save_accounts import feed as feed_account

SHARED = Path(__file__).parents[5] / "shared" / "fixtures" / "solana"
UNITS = {"value", "std_dev", "mean"}
WIDTHS = {"u8": 1, "u32": 4, "u64": 8, "i64": 8, "i128": 16, "key": 32, "bytes:32": 32}


@pytest.fixture(scope="module")
def dump() -> bytes:
    found = SHARED / "switchboard" / "swb_pull_sol_price.json"
    if not found.exists():
        pytest.skip(f"no account dump at {found}")
    account = json.loads(found.read_text())["account"]
    return base64.b64decode(account["data"][0])


def test_a_real_feed_says_what_its_source_says_of_it(dump: bytes) -> None:
    expected = json.loads((SHARED / "switchboard" / "expected.json").read_text())["swb_pull_sol_price.json"]
    feed = pull_feed(dump)

    said = {name: value for name, value in expected.items() if name != "upstream"}
    assert said
    assert {name: getattr(feed, name) / (10**18 if name in UNITS else 1) for name in said} == pytest.approx(
        said, rel=1e-9
    )
    assert feed.value == 155_594_045_270_000_000_000
    assert feed.min_value <= feed.value <= feed.max_value
    assert feed.range == feed.max_value - feed.min_value
    assert feed.min_slot <= feed.slot <= feed.max_slot
    assert feed.num_samples >= 1


def test_fields_are_where_the_interface_description_has_them() -> None:
    found = SHARED / "layouts.json"
    if not found.exists():
        pytest.skip(f"no layouts at {found}")
    known: dict[str, Any] = json.loads(found.read_text())["switchboard_on_demand"]
    whole = known["accounts"]["PullFeedAccountData"]

    assert (PULL_FEED.size, PULL_FEED.discriminator.hex()) == (whole["size"], whole["discriminator"])
    ours = {name: place for name, place in PULL_FEED.fields.items() if name != "result"}
    assert places(ours) == {name: (at, width) for name, at, width, _ in whole["fields"] if name in ours}
    result = {name: (at, width) for name, at, width, _ in known["types"]["CurrentResult"]["fields"] if name in RESULT}
    assert places(RESULT) == result
    assert PULL_FEED.fields["result"] == (2264, (1, 128, RESULT))


@pytest.mark.parametrize("read_as", [pull_feed, aggregator])
@pytest.mark.parametrize("data", [b"", bytes(4_000), b"\xff" * 3208], ids=["empty", "zeros", "of another kind"])
def test_what_is_no_feed_is_named(read_as: Any, data: bytes) -> None:
    with pytest.raises(NoFeed, match=r"the account (has|begins)"):
        read_as(data)


def test_a_feed_without_a_result_has_slot_zero() -> None:
    assert pull_feed(feed_account(slot=0).data).slot == 0
    assert feed_account().owner == PROGRAM
    assert pull_feed(feed_account(range=-5, num_samples=3).data).range == -5


def test_an_aggregators_round_counts_if_enough_oracles_answered() -> None:
    good = aggregator(aggregator_account(mantissa=-7, scale=2, num_success=3).data)
    bad = aggregator(aggregator_account(num_success=2).data)

    assert (good.mantissa, good.scale, good.valid, bad.valid) == (-7, 2, True, False)


def places(table: Any) -> dict[str, tuple[int, int]]:
    return {name: (at, WIDTHS[kind]) for name, (at, kind) in table.items()}
