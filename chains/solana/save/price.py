"""Prices as the program takes them: by the program that owns a price account, with that kind's own limits of age and doubt.

Source: solendprotocol/solana-program-library `token-lending/oracles/src`. State of the aspect `price` (market = the account): "kind" and
what that kind says, integers as text; kind `null`, with "problem", is an account of which the program takes no price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chains.identifiers import base58
from chains.model import AccountBytes
from chains.solana.oracles.pyth.account import RECEIVER, NoPrice, price_update
from chains.solana.oracles.pyth_legacy import ORACLE, NoLegacyPrice, legacy_price
from chains.solana.oracles.switchboard import AGGREGATORS, DECIMALS, PROGRAM, NoFeed, aggregator, pull_feed
from chains.solana.save import maths
from chains.solana.save.maths import MathOverflow

SLOTS, SECONDS = 240, 120
"""How old a price may be: by its slot, or for Pyth's receiver by its time."""

DOUBT = 10
"""A price must be at least so many times its confidence, or its range."""

State = Mapping[str, Any]


class Refused(ValueError):
    """The program takes no price here; `code` and the message say why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Taken(NamedTuple):
    """A price as a wad of USD for a whole token, with the average of its source if that has one; `time` in Unix seconds."""

    price: int
    smoothed: int | None
    slot: int
    time: int


class Now(NamedTuple):
    """The program's clock."""

    slot: int
    time: int


def price_state(account: AccountBytes) -> dict[str, Any]:
    """Return the aspect `price` of an account."""
    if account.closed:
        return _none("there is no account at this address")
    reading = _KINDS.get(account.owner)
    if reading is None:
        return _none(
            f"the account belongs to program {base58(account.owner)}, no oracle that the program takes prices of"
        )
    try:
        return reading(account.data)
    except (NoPrice, NoLegacyPrice, NoFeed) as problem:
        return _none(str(problem))


def price_at(state: State, now: Now) -> Taken:
    """Return the price that the program takes at a time; raises `Refused` where it takes none."""
    return _guarded(state, now, checked=True)


def unchecked_price(state: State, now: Now) -> Taken:
    """Return the price that the program takes of a reserve's extra oracle, of whatever age unless it is a pull feed; raises `Refused`."""
    return _guarded(state, now, checked=False)


def _guarded(state: State, now: Now, *, checked: bool) -> Taken:
    if state["kind"] is None:
        raise Refused("price_unreadable", state["problem"])
    try:
        return _TAKING[state["kind"]](state, now, checked)
    except MathOverflow as problem:
        raise Refused("math_overflow", f"the price fits no number of the program: {problem}") from problem


def _none(problem: str) -> dict[str, Any]:
    return {"kind": None, "problem": problem}


def _read_pyth(data: bytes) -> dict[str, Any]:
    said = price_update(data)
    return {
        "kind": "pyth",
        "price": str(said.price),
        "confidence": str(said.confidence),
        "exponent": said.exponent,
        "ema": str(said.ema_price),
        "full": said.signatures is None,
        "time": said.publish_time,
        "slot": said.posted_slot,
    }


def _take_pyth(state: State, now: Now, checked: bool) -> Taken:  # noqa: FBT001 - one shape for all kinds
    price, confidence, exponent = int(state["price"]), int(state["confidence"]), state["exponent"]
    if checked:
        if not state["full"]:
            raise Refused("price_not_verified", "not all guardian signatures of the price were verified")
        if state["time"] + SECONDS < now.time:
            raise Refused("price_stale", f"the price is {now.time - state['time']} s old, {SECONDS} are allowed")
        _certain(price, confidence)
    smoothed = _scaled(int(state["ema"]), exponent) if checked else None
    return Taken(_scaled(price, exponent), smoothed, state["slot"], state["time"])


def _read_legacy(data: bytes) -> dict[str, Any]:
    said = legacy_price(data)
    quotes = {"latest": said.latest, "previous": said.previous}
    return {
        "kind": "pyth-legacy",
        "exponent": said.exponent,
        "trading": said.trading,
        "ema": str(said.ema_price),
        **{name: [str(q.price), str(q.confidence), q.slot, q.time] for name, q in quotes.items()},
    }


def _take_legacy(state: State, now: Now, checked: bool) -> Taken:  # noqa: FBT001 - ditto
    exponent, oldest = state["exponent"], now.slot - SLOTS
    found = [state["latest"]] if state["trading"] else []
    found = [quote for quote in (*found, state["previous"]) if not checked or quote[2] >= oldest]
    if not found:
        raise Refused("price_stale", f"the price is of slot {state['latest'][2]}, older than {SLOTS} slots")
    price, confidence, slot, time = int(found[0][0]), int(found[0][1]), found[0][2], found[0][3]
    if checked:
        _certain(price, confidence)
    smoothed = _scaled(int(state["ema"]), exponent) if checked else None
    return Taken(_scaled(price, exponent), smoothed, slot, time)


def _read_pull_feed(data: bytes) -> dict[str, Any]:
    said = pull_feed(data)
    if said.slot == 0:
        raise NoFeed("the feed has no result yet")
    return {
        "kind": "switchboard",
        "value": str(said.value),
        "range": str(said.range),
        "slot": said.slot,
        "time": said.last_update_timestamp,
    }


def _take_pull_feed(state: State, now: Now, checked: bool) -> Taken:  # noqa: ARG001, FBT001 - its age is always looked at
    _fresh(state["slot"], now)
    value = _mantissa(int(state["value"]), DECIMALS)
    if maths.times(_mantissa(int(state["range"]), DECIMALS), DOUBT) > value:
        raise Refused("price_uncertain", f"the range of its answers is more than 1/{DOUBT} of the price")
    return Taken(value, None, state["slot"], state["time"])


def _read_aggregator(data: bytes) -> dict[str, Any]:
    said = aggregator(data)
    return {
        "kind": "switchboard-v2",
        "mantissa": str(said.mantissa),
        "scale": said.scale,
        "valid": said.valid,
        "slot": said.slot,
        "time": said.time,
    }


def _take_aggregator(state: State, now: Now, checked: bool) -> Taken:  # noqa: FBT001 - ditto
    if checked:
        _fresh(state["slot"], now)
    elif state["slot"] > now.slot:
        raise Refused("math_overflow", "the price is of a later slot")
    if not state["valid"]:
        raise Refused("price_uncertain", "too few oracles answered in the round")
    return Taken(_mantissa(int(state["mantissa"]), state["scale"], bits=127), None, state["slot"], state["time"])


def _certain(price: int, confidence: int) -> None:
    if price < 0:
        raise Refused("price_negative", f"the price is {price}")
    if min(confidence * DOUBT, 2**64 - 1) > price:
        raise Refused("price_uncertain", f"the confidence {confidence} is more than 1/{DOUBT} of the price {price}")


def _scaled(price: int, exponent: int) -> int:
    """Return a price of Pyth as a wad."""
    if price < 0:
        raise Refused("price_negative", f"the price is {price}")
    scale = maths.power_of_ten(abs(exponent))
    return maths.times(maths.whole(price), scale) if exponent >= 0 else maths.whole(price) // scale


def _mantissa(value: int, scale: int, *, bits: int = 96) -> int:
    """Return a number of Switchboard as a wad."""
    if value < 0:
        raise Refused("price_negative", f"the price or its range is {value}")
    if value >= 1 << bits:
        raise MathOverflow("a number of Switchboard is too wide")
    return maths.div_down(maths.whole(value), maths.whole(maths.ten_128(scale)))


def _fresh(slot: int, now: Now) -> None:
    if slot > now.slot:
        raise Refused("math_overflow", "the price is of a later slot")
    if now.slot - slot >= SLOTS:
        raise Refused("price_stale", f"the price is {now.slot - slot} slots old, less than {SLOTS} are allowed")


_KINDS: Mapping[bytes, Callable[[bytes], dict[str, Any]]] = {
    RECEIVER: _read_pyth,
    ORACLE: _read_legacy,
    PROGRAM: _read_pull_feed,
    AGGREGATORS: _read_aggregator,
}

_TAKING: Mapping[str, Callable[[State, Now, bool], Taken]] = {
    "pyth": _take_pyth,
    "pyth-legacy": _take_legacy,
    "switchboard": _take_pull_feed,
    "switchboard-v2": _take_aggregator,
}
