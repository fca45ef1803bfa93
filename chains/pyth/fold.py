"""What Hermes said in one second after another into phases, messages and observations, in the shape that every feed has.

Phase (`venue_id` feeds, market = the feed id): {"aggregator": "0x…" or null, "decimals": int, "fault": text or null, "problem": likewise,
"caveat": likewise}. A fault is a price that must not be believed; a problem means that there is none; a caveat is said with the price.
Message (likewise, aspect "message"): what the last price said besides: its times, root, averages, and the guardian set that signed.
A price that is older than the last one, or as old and of no later root, changes nothing; one as old that guardians vouch for takes the
place of one for which nobody did. A positive exponent is multiplied out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chains.bounds import beyond
from chains.model import END_OF_BLOCK, FEEDS, Basis, FeedSpec, GuardianSet, MarketChange, PriceObservation, Rows
from chains.ports import StateReader
from chains.pyth.guardians import UNVERIFIED, verified
from chains.pyth.update import BadUpdate, PriceMessage, Update

ENGINE = "pyth-hermes-1"
PHASE, MESSAGE = "phase", "message"
SIGNED_BY = frozenset({"guardian_set", "signatures"})
LARGEST_SCALE = 30


class Look(NamedTuple):
    """What an endpoint (`source`, without what could be a key) answered at a Unix second: updates as said."""

    second: int
    source: str
    bodies: tuple[bytes, ...]


class Said(NamedTuple):
    """A price and the update that carries it."""

    price: PriceMessage
    update: Update

    @property
    def age(self) -> tuple[int, int]:
        """What orders the prices of a feed."""
        return self.price.publish_time, self.update.slot


@dataclass(slots=True)
class _Tips:
    """What stands of each feed, while a fold goes on."""

    phases: dict[bytes, str] = field(default_factory=dict)
    messages: dict[bytes, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, state: StateReader) -> _Tips:
        tips = cls()
        for (market, aspect), text in state.markets(FEEDS).items():
            if aspect == PHASE:
                tips.phases[market] = text
            elif aspect == MESSAGE:
                tips.messages[market] = json.loads(text)
        return tips

    def news(self, said: Said, message: Mapping[str, Any]) -> bool | None:
        """Return whether a price is another than the last one, `None` where it must not take its place."""
        known = self.messages.get(said.price.feed_id)
        if known is None or said.age > (age := (known["publish_time"], known["slot"])):
            return True
        if said.age < age:
            return None
        if known["guardian_set"] is None and message["guardian_set"] is not None:
            return True
        return False if _content(known) == _content(message) else None


class Hermes:
    """The feeds that are configured on this chain, and who must have signed their prices."""

    def __init__(self, feeds: Iterable[FeedSpec], sets: Sequence[GuardianSet]) -> None:
        self.feed_ids = sorted({feed.address for feed in feeds})
        self.sets = tuple(sets)

    def fold(self, state: StateReader, looks: Iterable[Look]) -> Rows:
        """Derive rows from what was said, in the order of the seconds."""
        rows, tips = Rows(), _Tips.of(state)
        for look in looks:
            said, refused = self.read(look.bodies)
            for feed_id in self.feed_ids:
                match _found(said.get(feed_id), refused):
                    case Said() as each:
                        self._enter(rows, tips, look.second, each)
                    case problem:
                        _note_phase(rows, tips, look.second, feed_id, _phase(None, 0, problem=problem))
        return rows

    def read(self, bodies: Sequence[bytes]) -> tuple[dict[bytes, Said], list[BadUpdate]]:
        """Return the last price of each feed in some updates, and why others are not believed."""
        said: dict[bytes, Said] = {}
        refused: list[BadUpdate] = []
        for body in bodies:
            try:
                update = verified(body, self.sets)
            except BadUpdate as error:
                refused.append(error)
                continue
            for price in update.prices:
                each = Said(price, update)
                if price.feed_id not in said or said[price.feed_id].age < each.age:
                    said[price.feed_id] = each
        return said, refused

    def _enter(self, rows: Rows, tips: _Tips, second: int, said: Said) -> None:
        feed_id, message = said.price.feed_id, _message(said, verified=bool(self.sets))
        if (news := tips.news(said, message)) is None:
            return
        fault = None if said.price.publish_time <= second else _ahead(said.price, second)
        caveat = None if self.sets else UNVERIFIED
        decimals = max(-said.price.exponent, 0)
        _note_phase(rows, tips, second, feed_id, _phase(feed_id, decimals, fault=fault, caveat=caveat))
        if fault is None and news:
            tips.messages[feed_id] = message
            rows.markets.append(_change(second, feed_id, MESSAGE, message))
            rows.prices.append(_observation(second, said))


def _found(said: Said | None, refused: Sequence[BadUpdate]) -> Said | str:
    """Return what a look says of a feed, or why there is no price of it."""
    if said is None:
        return str(refused[0]) if refused else "missing_feed: the answer holds no price of this feed; check its feed_id"
    if abs(said.price.exponent) > LARGEST_SCALE:
        return f"malformed: the exponent {said.price.exponent} is beyond anything known"
    scale = 10 ** max(said.price.exponent, 0)
    wrong = beyond(said.price.price * scale, said.price.confidence * scale, said.price.publish_time)
    return said if wrong is None else f"malformed: {wrong}"


def _ahead(price: PriceMessage, second: int) -> str:
    ahead = price.publish_time - second
    return f"from_the_future: the price is of {ahead} s after it was fetched; check this machine's clock"


def _observation(second: int, said: Said) -> PriceObservation:
    price = said.price
    scale = 10 ** max(price.exponent, 0)
    return PriceObservation(
        block=second,
        tx_index=-1,
        ordinal=END_OF_BLOCK,
        source=price.feed_id,
        answer_raw=price.price * scale,
        round_id=said.update.slot,
        updated_at=price.publish_time,
        basis=Basis.OBSERVED,
        confidence_raw=price.confidence * scale,
    )


def _message(said: Said, *, verified: bool) -> Mapping[str, Any]:
    price, vaa = said.price, said.update.vaa
    return {
        "publish_time": price.publish_time,
        "previous_publish_time": price.previous_publish_time,
        "slot": said.update.slot,
        "price": str(price.price),
        "confidence": str(price.confidence),
        "exponent": price.exponent,
        "ema_price": str(price.ema_price),
        "ema_confidence": str(price.ema_confidence),
        "root": "0x" + said.update.root.hex(),
        "guardian_set": vaa.guardian_set if verified else None,
        "signatures": len(vaa.signatures) if verified else None,
    }


def _content(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a message says, whoever signed it."""
    return {key: value for key, value in message.items() if key not in SIGNED_BY}


def _phase(
    source: bytes | None,
    decimals: int,
    *,
    fault: str | None = None,
    problem: str | None = None,
    caveat: str | None = None,
) -> Mapping[str, Any]:
    return {
        "aggregator": None if source is None else "0x" + source.hex(),
        "decimals": decimals,
        "fault": fault,
        "problem": problem,
        "caveat": caveat,
    }


def _note_phase(rows: Rows, tips: _Tips, second: int, feed_id: bytes, phase: Mapping[str, Any]) -> None:
    change = _change(second, feed_id, PHASE, phase)
    if tips.phases.get(feed_id) != change.state:
        tips.phases[feed_id] = change.state
        rows.markets.append(change)


def _change(second: int, feed_id: bytes, aspect: str, state: Mapping[str, Any]) -> MarketChange:
    text = json.dumps(state, separators=(",", ":"))
    return MarketChange(second, -1, END_OF_BLOCK, FEEDS, feed_id, aspect, text, ENGINE, Basis.OBSERVED)
