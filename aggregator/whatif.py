"""One account's health inputs, changed: amounts at venues, and prices; what follows is `evaluate`'s to say.

An amount is written as the venue would hold it, found by the venue's own arithmetic. A price moves where it is said: in the feeds of the
house, and in the answers of the feed that a venue asks. Whatever else a venue makes of that answer moves with it and is named, as is a
price that a venue does not take from one answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from json import loads

from aggregator.margin.health import open_units
from aggregator.margin.inputs import Asset, HealthInputs, VenueInputs
from aggregator.margin.numbers import EXACT, whole_tokens
from aggregator.margin.valuation import identity_of
from aggregator.oracle.mark import Observation, Reading
from chains.identifiers import token
from chains.model import PriceAnswer, Reason, Side, UnitPosition, UnitSnapshot, VenueSnapshot
from chains.registry import open_book

LARGEST_RISE = 100.0
TRIES = 8
NEAR = 2
"""Raw units by which a venue's rounding may miss an amount that is asked for."""

SAME_PRICE = 1e-6


class WhatIfError(ValueError):
    """What was asked cannot be done to this account; the message says what can."""


class Kind(StrEnum):
    """What is done."""

    SUPPLY = "supply"
    WITHDRAW = "withdraw"
    BORROW = "borrow"
    REPAY = "repay"

    @property
    def side(self) -> Side:
        return Side.SUPPLY if self in (Kind.SUPPLY, Kind.WITHDRAW) else Side.BORROW

    @property
    def sign(self) -> int:
        return 1 if self in (Kind.SUPPLY, Kind.BORROW) else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`asset`: a CAIP-19 id, an identity or a symbol that the account has or owes at the venue; `tokens`: how many whole ones."""

    kind: Kind
    venue: str
    asset: str
    tokens: Decimal


def changed(inputs: HealthInputs, actions: Sequence[Action], moves: Mapping[str, float]) -> HealthInputs:
    """Do actions one after the other, then move prices (identity or asset → relative move); raises `WhatIfError`."""
    for action in actions:
        inputs = _done(inputs, action)
    return moved(inputs, moves) if moves else inputs


def moved(inputs: HealthInputs, moves: Mapping[str, float]) -> HealthInputs:
    """Move prices, those of the last hour too, as if they had stood there; raises `WhatIfError`."""
    found = {asset: _move_of(asset, moves, inputs) for asset in _assets(inputs)}
    assets = {each.id: each for each in inputs.assets}
    named = found.keys() | {identity_of(asset, assets) for asset in found}
    for name, move in moves.items():
        if name not in named:
            raise WhatIfError(f'the account has and owes no "{name}"; there are: {", ".join(sorted(named))}')
        if not -1 < move <= LARGEST_RISE:
            raise WhatIfError(
                f"{name}: a move must be above -1 and at most {LARGEST_RISE:.0f}, not {move}: 0.25 is a quarter more"
            )
    return replace(
        inputs,
        observations=tuple(_observed(each, _named(each.asset, moves, assets)) for each in inputs.observations),
        venues=tuple(_repriced(venue, found) for venue in inputs.venues),
    )


def notes(before: HealthInputs, after: HealthInputs, moves: Mapping[str, float]) -> tuple[Reason, ...]:
    """Name the venues' prices that did not move as their assets were said to, and those that moved with another's."""
    old = dict(_prices(before))
    return tuple(
        _note(key, price / old[key], 1 + _move_of(key[1], moves, after))
        for key, price in _prices(after)
        if key in old and not math.isclose(price / old[key], 1 + _move_of(key[1], moves, after), rel_tol=SAME_PRICE)
    )


def _note(key: tuple[str, str], ratio: float, said: float) -> Reason:
    venue, asset = key
    detail = f"{venue} takes {asset} for {ratio - 1:+.4%} of its price now, where {said - 1:+.4%} was said"
    return Reason("venue_price_follows" if math.isclose(said, 1) else "venue_price_differs", f"{venue}/{asset}", detail)


def _prices(inputs: HealthInputs) -> Iterator[tuple[tuple[str, str], float]]:
    for name, asset, position in _positions(inputs):
        if position.price is not None and position.price.answer_raw > 0:
            yield (name, asset), position.price.answer_raw / position.price.unit_raw


def _assets(inputs: HealthInputs) -> list[str]:
    return list(dict.fromkeys(asset for _, asset, _ in _positions(inputs)))


def _positions(inputs: HealthInputs) -> Iterator[tuple[str, str, UnitPosition]]:
    for venue in inputs.venues:
        for held_in in open_units(venue):
            for position in held_in.unit.positions:
                yield held_in.venue.id, str(token(held_in.venue.chain_id, position.asset)), position


def _move_of(asset: str, moves: Mapping[str, float], inputs: HealthInputs) -> float:
    return _named(asset, moves, {each.id: each for each in inputs.assets})


def _named(asset: str, moves: Mapping[str, float], assets: Mapping[str, Asset]) -> float:
    return moves[asset] if asset in moves else moves.get(identity_of(asset, assets), 0.0)


def _observed(observation: Observation, move: float) -> Observation:
    """Move what a feed says in USD; a rate of redemption stays."""
    if observation.of is not None or observation.reading is None or move == 0:
        return observation
    return replace(
        observation,
        reading=_read(observation.reading, move),
        past=tuple(_read(reading, move) for reading in observation.past),
    )


def _read(reading: Reading, move: float) -> Reading:
    wide = reading.confidence_raw
    return reading._replace(
        answer_raw=_times(reading.answer_raw, move), confidence_raw=None if wide is None else _times(wide, move)
    )


def _times(value: int, move: float) -> int:
    """Multiply by 1 + move, to the nearest."""
    return round(value * (1 + Decimal(repr(move))))


def _repriced(venue: VenueInputs, moves: Mapping[str, float]) -> VenueInputs:
    snapshot, answers = venue.snapshot, dict(venue.snapshot.answers)
    wanted: dict[bytes, float] = {}
    for held_in in open_units(venue):
        for position in held_in.unit.positions:
            move = moves[str(token(held_in.venue.chain_id, position.asset))]
            if move and position.price is not None and (source := _answering(snapshot, position.price.source)):
                wanted[source] = move
    answers |= {source: _answered(answers[source], move) for source, move in wanted.items()}
    return replace(venue, snapshot=replace(snapshot, answers=answers))


def _answering(snapshot: VenueSnapshot, source: bytes) -> bytes | None:
    """Return whose answer a price is as it stands, `None` where it is computed of several, or told without one."""
    if source in snapshot.answers:
        return source
    state = loads(snapshot.feeds.get(source, "{}"))
    aggregator = None if state.get("rule") or state.get("rate") else state.get("aggregator")
    behind = bytes.fromhex(aggregator[2:]) if aggregator else None
    return behind if behind in snapshot.answers else None


def _answered(answer: PriceAnswer, move: float) -> PriceAnswer:
    wide = answer.confidence_raw
    return answer._replace(
        answer_raw=_times(answer.answer_raw, move), confidence_raw=None if wide is None else _times(wide, move)
    )


def _done(inputs: HealthInputs, action: Action) -> HealthInputs:
    venues = {venue.snapshot.venue.id: venue for venue in inputs.venues if venue.units}
    if action.venue not in venues:
        raise WhatIfError(
            f'the account has nothing at "{action.venue}"; it is at: {", ".join(sorted(venues)) or "no venue"}'
        )
    venue = venues[action.venue]
    if len(venue.units) != 1:
        raise WhatIfError(
            f"the account has {len(venue.units)} units at {action.venue}, and which is meant cannot be said"
        )
    unit = _acted(venue, venue.units[0], action, inputs)
    acted = replace(venue, units=(unit,))
    return replace(inputs, venues=tuple(acted if each is venue else each for each in inputs.venues))


def _acted(venue: VenueInputs, unit: UnitSnapshot, action: Action, inputs: HealthInputs) -> UnitSnapshot:
    found = _meant(venue, unit, action, inputs)
    scaled = EXACT.scaleb(action.tokens, found.decimals)
    if action.tokens <= 0 or scaled != int(scaled):
        raise WhatIfError(
            f"{action.tokens} is no amount of {found.symbol}: it must be positive, with at most {found.decimals} decimals"
        )
    key, amount = (found.market, action.kind.side), _amounts(venue, unit, found, action.kind.side)
    there = amount(unit.positions.get(key, 0))
    wanted = there + action.kind.sign * int(scaled)
    if wanted < 0:
        has = whole_tokens(there, found.decimals)
        raise WhatIfError(f"{action.kind} {action.tokens} {found.symbol} at {action.venue}: there are only {has:f}")
    return replace(unit, positions={**unit.positions, key: _raw(amount, wanted, action)})


def _meant(venue: VenueInputs, unit: UnitSnapshot, action: Action, inputs: HealthInputs) -> UnitPosition:
    assets, chain = {each.id: each for each in inputs.assets}, venue.snapshot.venue.chain_id
    held = open_book(venue.snapshot.venue.protocol)(venue.snapshot)(unit).positions
    names = [
        (position, {position.symbol, asset := str(token(chain, position.asset)), identity_of(asset, assets)})
        for position in held
    ]
    found = {(position.market, position.asset): position for position, known in names if action.asset in known}
    if len(found) != 1:
        known = ", ".join(sorted({position.symbol for position in held})) or "nothing"
        raise WhatIfError(
            f'"{action.asset}" at {action.venue} is {len(found)} positions; the account has or owes there: {known}'
        )
    return next(iter(found.values()))


def _amounts(venue: VenueInputs, unit: UnitSnapshot, like: UnitPosition, side: Side) -> Callable[[int], int]:
    """Return what the venue makes of an amount as it stores it: raw units of the token."""
    book = open_book(venue.snapshot.venue.protocol)(venue.snapshot)

    def amount(stored: int) -> int:
        held = book(replace(unit, positions={**unit.positions, (like.market, side): stored})).positions
        own = (
            each.amount_raw for each in held if (each.market, each.asset, each.side) == (like.market, like.asset, side)
        )
        return sum(own)

    return amount


def _raw(amount: Callable[[int], int], wanted: int, action: Action) -> int:
    """Find what the venue stores for an amount, by its own arithmetic; raises `WhatIfError` where it makes something else of it."""
    stored, probe = 0, 10**30
    scale = amount(probe)
    if scale > 0:
        stored = wanted * probe // scale
        for _ in range(TRIES):
            if (missing := wanted - amount(stored)) == 0:
                break
            stored = max(stored + (missing * probe // scale or (1 if missing > 0 else -1)), 0)
    if abs(amount(stored) - wanted) > NEAR:
        raise WhatIfError(
            f"how {action.venue} would store {action.kind} of {action.asset} is not known, so nothing is said of it"
        )
    return stored
