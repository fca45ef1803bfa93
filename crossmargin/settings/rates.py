"""The keys of a `[[feed]]` that is a redemption rate, and the circles that such feeds must not make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chains.identifiers import SOLANA, namespace_of
from chains.model import FeedSpec
from chains.registry import REDEMPTION_RATE, REDEMPTION_VIEWS, redemption_question
from crossmargin.settings import names, values
from crossmargin.settings.model import Settings
from crossmargin.settings.section import Section

MOST_DECIMALS = 36
DECIMALS = 18
CONTRACT_KEYS = ("view", "share_decimals", "rate_decimals")
KEYS = ("of", *CONTRACT_KEYS)


class Rate(NamedTuple):
    """What is asked of the contract, the asset that is redeemed, and what one of these is in the answer."""

    question: bytes | None
    of: str | None
    unit_raw: int | None


def rate(section: Section, kind: str, chain_id: str) -> Rate:
    """Read the keys of a redemption rate; any other kind of feed has none of them."""
    if not kind:
        section.pass_over(*KEYS)
        return Rate(None, None, None)
    if kind != REDEMPTION_RATE:
        for key in KEYS:
            section.refuse(key, f"is for {REDEMPTION_RATE} feeds, not for {kind}; leave it out")
        return Rate(None, None, None)
    of = section.need("of", names.asset_id, write="write the asset that one of this is redeemed for")
    if namespace_of(chain_id) == SOLANA:
        for key in CONTRACT_KEYS:
            section.refuse(key, "is for contracts; of a pool of staked SOL the account is read, leave it out")
        return Rate(None, of, 10**DECIMALS)
    view = section.need("view", values.one_of(*REDEMPTION_VIEWS), write=f"write one of {', '.join(REDEMPTION_VIEWS)}")
    shares = section.get("share_decimals", _decimals, DECIMALS)
    unit = section.get("rate_decimals", _decimals, DECIMALS)
    return Rate(_question(view, shares), of, _whole(unit))


def _question(view: str | None, share_decimals: int | None) -> bytes | None:
    """Return the calldata, unless something is wrong with what it is made of."""
    return None if view is None or share_decimals is None else redemption_question(view, share_decimals)


def _whole(decimals: int | None) -> int | None:
    return None if decimals is None else 10**decimals


def _decimals(value: object) -> int:
    number = values.whole(value)
    if number > MOST_DECIMALS:
        message = f"must be at most {MOST_DECIMALS}, not {number}"
        raise values.Unfit(message)
    return number


def baseless(settings: Settings) -> Iterator[str]:
    """Yield rates that lead back to their own asset, and those that lead to an asset that no feed prices."""
    identities = {asset.id: asset.same_as or asset.id for asset in settings.assets}
    priced = {identities.get(feed.asset, feed.asset) for feed in settings.feeds}
    rests_on: dict[str, set[str]] = {}
    for feed in _rates(settings.feeds):
        base = identities.get(feed.of or "", feed.of or "")
        rests_on.setdefault(identities.get(feed.asset, feed.asset), set()).add(base)
        if base not in priced:
            yield f'[[feed]] "{feed.asset}": of is {feed.of}, which no [[feed]] prices; add one'
    for identity in sorted(rests_on):
        if circle := _circle(rests_on, identity):
            yield f"[[feed]] redemption rates go round in a circle: {' → '.join(circle)}; take one of them out"


def _rates(feeds: Sequence[FeedSpec]) -> Iterator[FeedSpec]:
    return (feed for feed in feeds if feed.kind == REDEMPTION_RATE)


def _circle(rests_on: Mapping[str, set[str]], start: str) -> list[str]:
    """Return the way from an identity back to itself, of identities that are not before it; empty where there is none."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for base in sorted(rests_on.get(way[-1], ())):
            if base == start:
                return [*way, base]
            if base not in seen and base > start:
                seen.add(base)
                ways.append([*way, base])
    return []
