"""What a price source answers at a block, from the way that was found when it was set up (see `routes`) and the feeds' last answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from chains.evm.euler_v2.maths import BASIS_POINTS, MAX_UINT256
from chains.evm.oracles.chainlink import current_answer
from chains.model import Basis, Reason, VenueSnapshot

Worth = Callable[[bytes, int], int | Reason]
"""(vault, shares) → assets at the block, rounded down."""


_WEAKNESS = (Basis.EXACT, Basis.SETTLED, Basis.OBSERVED)


class Origin(NamedTuple):
    """The oldest answer that a quote rests on."""

    source: bytes
    updated_at: int
    block: int
    basis: Basis = Basis.EXACT


class Quote(NamedTuple):
    """An amount in the unit of account: at mid price, as collateral counts when borrowing (bid), and as debt does (ask)."""

    mid: int
    bid: int
    ask: int
    origin: Origin


def quoted(way: dict[str, Any], amount: int, snapshot: VenueSnapshot, worth: Worth) -> Quote | Reason:
    """Return what an amount is worth, or why that is not known (or the source itself refuses to say)."""
    match way["kind"]:
        case "same":
            return _plain(amount, Origin(snapshot.venue.address, snapshot.at.time, snapshot.at.number))
        case "feed":
            return _by_feed(way, amount, snapshot)
        case "fixed":
            origin = Origin(bytes.fromhex(way["source"][2:]), snapshot.at.time, snapshot.at.number)
            return _plain(_scaled(way, amount, int(way["rate"])), origin)
        case "shares":
            assets = worth(bytes.fromhex(way["vault"][2:]), amount)
            return assets if isinstance(assets, Reason) else quoted(way["then"], assets, snapshot, worth)
        case "cross":
            return _crossed(way, amount, snapshot, worth)
        case _:
            return Reason(way["code"], way["subject"], way["detail"])


def _plain(amount: int, origin: Origin) -> Quote | Reason:
    if amount > MAX_UINT256:
        return Reason("quote_too_large", "0x" + origin.source.hex(), "the amount is worth more than the source can say")
    return Quote(amount, amount, amount, origin)


def _by_feed(way: dict[str, Any], amount: int, snapshot: VenueSnapshot) -> Quote | Reason:
    feed = bytes.fromhex(way["feed"][2:])
    answer = current_answer(snapshot, feed)
    if isinstance(answer, Reason):
        return answer
    if answer.answer_raw <= 0:
        return Reason(
            "price_not_positive", way["feed"], f"the feed answers {answer.answer_raw}, which its reader refuses"
        )
    if problem := _untimely(way, snapshot.at.time - answer.updated_at):
        return problem
    quote = _plain(_scaled(way, amount, answer.answer_raw), Origin(feed, answer.updated_at, answer.block, answer.basis))
    if isinstance(quote, Reason):
        return quote
    return quote._replace(bid=quote.mid * way["bid"] // BASIS_POINTS, ask=quote.mid * way["ask"] // BASIS_POINTS)


def _untimely(way: dict[str, Any], age: int) -> Reason | None:
    """Return why an answer of this age is refused (`ChainlinkOracle._getQuote`, whose subtraction fails for one of a later second)."""
    if way["max_age"] is None or 0 <= age <= way["max_age"]:
        return None
    if age < 0:
        detail = f"the answer is of {-age} seconds later than the block; its reader refuses that"
        return Reason("price_from_the_future", way["feed"], detail)
    detail = f"the answer is {age} seconds old; its reader refuses what is older than {way['max_age']}"
    return Reason("price_stale", way["feed"], detail)


def _scaled(way: dict[str, Any], amount: int, price: int) -> int:
    """Apply a unit price, rounded down (`ScaleUtils.calcOutAmount`)."""
    up, down = int(way["up"]), int(way["down"])
    return amount * down // (up * price) if way["inverse"] else amount * up * price // down


def _crossed(way: dict[str, Any], amount: int, snapshot: VenueSnapshot, worth: Worth) -> Quote | Reason:
    """Chain two sources, both at mid price (`CrossAdapter`)."""
    near = quoted(way["first"], amount, snapshot, worth)
    far = near if isinstance(near, Reason) else quoted(way["second"], near.mid, snapshot, worth)
    if isinstance(near, Reason) or isinstance(far, Reason):
        return far
    oldest = min(near.origin, far.origin, key=lambda origin: origin.updated_at)
    weakest = max(near.origin.basis, far.origin.basis, key=_WEAKNESS.index)
    return _plain(far.mid, oldest._replace(basis=weakest))
