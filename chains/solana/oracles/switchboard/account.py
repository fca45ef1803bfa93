"""The bytes of a `PullFeedAccountData` account of Switchboard On-Demand.

Source: the program's interface description (`switchboard_on_demand`); values are multiplied by 10^18.
"""

from __future__ import annotations

from dataclasses import dataclass

from chains.solana.layouts import Layout, read

PROGRAM = bytes.fromhex("0673bd46f2e47e04f12bd92fb731968ecd9d9757c274da87476f465c040c6573")
"""The program, SBondMDrcV3K4kxZR1HNVT7osZxAHVHgYXL5Ze1oMUv."""

DECIMALS = 18

PULL_FEED = Layout(
    name="PullFeedAccountData",
    size=3208,
    discriminator=bytes.fromhex("c41b6cc40ad7db28"),
    fields={
        "last_update_timestamp": (2216, "i64"),
        "value": (2264, "i128"),
        "std_dev": (2280, "i128"),
        "slot": (2368, "u64"),
    },
    grows=True,
)


class NoFeed(ValueError):
    """An account that is no pull feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFeed:
    """The last result: the median `value` of its samples and their standard deviation, times 10^18; when and in which slot."""

    value: int
    std_dev: int
    last_update_timestamp: int
    slot: int


def pull_feed(data: bytes) -> PullFeed:
    """Read an account's bytes; raises `NoFeed`."""
    problem = PULL_FEED.problem(data)
    if problem is not None:
        raise NoFeed(problem)
    return PullFeed(**read(PULL_FEED.fields, data))
