"""Pull feeds of Switchboard On-Demand: a real account, the published layout, and what is none."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from chains.identifiers import base58
from chains.solana.oracles.switchboard.account import PROGRAM, PULL_FEED, RESULT, NoFeed, pull_feed

FIXTURES = Path(__file__).parents[4] / ".." / "shared" / "fixtures" / "solana"
needs_dumps = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="the account dumps that the fixtures folder holds are not here"
)


def dump() -> dict[str, object]:
    found: dict[str, object] = json.loads(
        (FIXTURES / "switchboard/swb_pull_sol_price.json").read_text(encoding="utf-8")
    )
    return found


@needs_dumps
def test_a_real_account_is_read_to_the_last_unit() -> None:
    account = dump()["account"]
    assert isinstance(account, dict)
    stated = json.loads((FIXTURES / "switchboard/expected.json").read_text(encoding="utf-8"))["swb_pull_sol_price.json"]

    found = pull_feed(base64.b64decode(account["data"][0]))

    assert (found.value, found.std_dev) == (155_594_045_270_000_000_000, 240_161_790_000_000_000)
    assert (found.last_update_timestamp, found.slot) == (1_723_244_190, 282_612_970)
    assert (found.value / 1e18, found.std_dev / 1e18) == (stated["value"], stated["std_dev"])
    assert (found.slot, found.last_update_timestamp) == (stated["slot"], stated["last_update_timestamp"])
    assert account["owner"] == base58(PROGRAM)


@needs_dumps
def test_fields_stand_where_the_program_publishes_them() -> None:
    described = json.loads((FIXTURES / "layouts.json").read_text(encoding="utf-8"))["switchboard_on_demand"]
    feed = described["accounts"]["PullFeedAccountData"]
    at = {name: offset for name, offset, *_ in feed["fields"]}
    result = {name: offset for name, offset, *_ in described["types"]["CurrentResult"]["fields"]}

    assert (PULL_FEED.size, PULL_FEED.discriminator.hex()) == (feed["size"], feed["discriminator"])
    for name, (offset, _) in PULL_FEED.fields.items():
        assert offset == at[name], name
    for name, (offset, _) in RESULT.items():
        assert offset == result[name], name


def test_values_may_be_negative() -> None:
    data = bytearray(PULL_FEED.discriminator.ljust(PULL_FEED.size, b"\0"))
    data[2264:2280] = (-5).to_bytes(16, "little", signed=True)

    assert pull_feed(bytes(data)).value == -5


@pytest.mark.parametrize(
    "data, words",
    [
        (PULL_FEED.discriminator, "8 bytes"),
        (bytes(3208), "begins with 0000000000000000"),
        (PULL_FEED.discriminator.ljust(3207, b"\0"), "3207 bytes"),
    ],
)
def test_what_is_no_feed_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(NoFeed, match=words):
        pull_feed(data)


def test_a_longer_account_is_read_all_the_same() -> None:
    assert pull_feed(PULL_FEED.discriminator.ljust(4000, b"\0")).value == 0
