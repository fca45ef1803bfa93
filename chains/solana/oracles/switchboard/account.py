"""The bytes of a `PullFeedAccountData` account of Switchboard On-Demand.

Source: the program's IDL (`switchboard_on_demand_30.json` of @drift-labs/sdk) and the `on_demand/accounts/pull_feed.rs` of the
switchboard-on-demand crate: numbers are scaled by 10^18, and a result of slot 0 is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, Table, read

PROGRAM = from_base58("SBondMDrcV3K4kxZR1HNVT7osZxAHVHgYXL5Ze1oMUv")
DECIMALS = 18

RESULT: Table = {
    "value": (0, "i128"),
    "std_dev": (16, "i128"),
    "mean": (32, "i128"),
    "range": (48, "i128"),
    "min_value": (64, "i128"),
    "max_value": (80, "i128"),
    "num_samples": (96, "u8"),
    "slot": (104, "u64"),
    "min_slot": (112, "u64"),
    "max_slot": (120, "u64"),
}

PULL_FEED = Layout(
    name="PullFeedAccountData",
    size=3208,
    discriminator=bytes.fromhex("c41b6cc40ad7db28"),
    fields={
        "queue": (2088, "key"),
        "feed_hash": (2120, "bytes:32"),
        "name": (2180, "bytes:32"),
        "last_update_timestamp": (2216, "i64"),
        "result": (2264, (1, 128, RESULT)),
        "max_staleness": (2392, "u32"),
    },
    grows=True,
)


class NoFeed(ValueError):
    """An account that is no feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFeed:
    """The current result of a feed: `value` (the median), `std_dev`, `mean`, `range`, `min_value` and `max_value` times 10^18.

    `slot`: which the value was signed for, 0 if there is none; `min_slot`, `max_slot`: of the submissions in it; `last_update_timestamp`:
    Unix seconds; `max_staleness`: slots, as the feed's own configuration has it; `queue`: whose oracles sign; `feed_hash`: of their jobs.
    """

    name: str
    queue: bytes
    feed_hash: bytes
    value: int
    std_dev: int
    mean: int
    range: int
    min_value: int
    max_value: int
    num_samples: int
    slot: int
    min_slot: int
    max_slot: int
    last_update_timestamp: int
    max_staleness: int


def pull_feed(data: bytes) -> PullFeed:
    """Read an account's bytes; raises `NoFeed`."""
    if problem := PULL_FEED.problem(data):
        raise NoFeed(problem)
    fields = read(PULL_FEED.fields, data)
    (result,) = fields.pop("result")
    name = fields.pop("name").rstrip(b"\0").decode("utf-8", "replace")
    return PullFeed(name=name, **fields, **result)
