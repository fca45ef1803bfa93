"""Switchboard's pull feeds as prices of the house: the median, and 1.96 standard deviations of the submissions as its interval."""

from __future__ import annotations

from collections.abc import Iterable

from chains.model import AccountBytes, FeedSpec
from chains.solana.oracles.observed import NoAnswer, Observed, Told
from chains.solana.oracles.switchboard.account import DECIMALS, PROGRAM, NoFeed, pull_feed

ENGINE = "switchboard-1"
DEVIATIONS = 196
"""Hundredths of a standard deviation in half an interval: 95 of 100 normal submissions, as lending programs take it."""


def switchboard(feeds: Iterable[FeedSpec]) -> Observed:
    """Make what folds the pull feeds that are configured on one chain."""
    return Observed(feeds, owners={PROGRAM: "Switchboard On-Demand"}, tell=told, engine=ENGINE)


def told(feed: FeedSpec, account: AccountBytes) -> Told:
    """Return the current result; `feed_id` is the hash of the jobs that it must be of. Raises `NoAnswer`."""
    try:
        found = pull_feed(account.data)
    except NoFeed as error:
        raise NoAnswer(str(error)) from error
    if not found.slot:
        raise NoAnswer("the feed has no result yet")
    return Told(
        answer_raw=found.value,
        decimals=DECIMALS,
        updated_at=found.last_update_timestamp,
        round_id=found.slot,
        confidence_raw=-(-found.std_dev * DEVIATIONS // 100),
        fault=_fault(feed.feed_id, found.feed_hash),
    )


def _fault(wanted: bytes | None, held: bytes) -> str | None:
    if wanted is None or wanted == held:
        return None
    return f"the feed is of the jobs {held.hex()}, configured is {wanted.hex()}"
