"""The price that klend takes of a reserve's token, with the flags of the checks that it passed, or why it has none.

Source: klend `utils/prices` (1.7 and later). Of Pyth's and Scope's answers the newest counts; an answer that the program cannot use takes
no part. A price that fails a check is taken all the same: its flag is missing, and borrowing (all flags) or liquidation (three) is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from chains.identifiers import base58
from chains.model import Reason
from chains.solana.kamino.engines import Engine
from chains.solana.kamino.journal import SCOPE, Reserve, TokenInfo
from chains.solana.kamino.maths import FULL_BPS, U128, whole
from chains.solana.oracles.scope import DatedPrice, NoPrice, chain_price

LOADED, AGE, TWAP, TWAP_AGE, HEURISTIC, USAGE = 1, 2, 4, 8, 16, 32
ALL_CHECKS = LOADED | AGE | TWAP | TWAP_AGE | HEURISTIC | USAGE
LIQUIDATION_CHECKS = LOADED | AGE | USAGE

CONFIDENCE_FACTOR = 50
"""A confidence interval of more than a fiftieth of the price is refused."""

LARGEST_EXPONENT = 30
_DECISIVE = frozenset({"unsupported_oracle", "no_price_account", "price_refused", "price_is_zero"})
"""Reasons that leave nothing to choose: the program stops, or what it would choose is not known or no price."""

_UNSET = ((0xFFFF,) * 4, (0,) * 4)


class Average(NamedTuple):
    """A time-weighted price as a fraction, and when it was published."""

    price: int
    timestamp: int


class Candidate(NamedTuple):
    """One source's answer: a fraction, when it was published in seconds and slots, by which account."""

    price: int
    timestamp: int
    slot: int
    source: bytes
    average: Average | None


class Priced(NamedTuple):
    """The price that a refresh takes, and the flags of the checks that it passed."""

    price: int
    timestamp: int
    status: int
    slot: int
    source: bytes


class _Stopped(Exception):
    """The program panics: the whole refresh fails, whatever other sources say."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def price_of(reserve: Reserve, oracles: Mapping[bytes, str], engine: Engine, now: int) -> Priced | Reason:
    """Return what `get_price` returns at a time, or why a refresh of the reserve fails, or what is not known.

    `oracles`: the aspect `price` of each account that is one.
    """
    token = reserve.token
    if token.switchboard is not None:
        return _reason(reserve, "unsupported_oracle", "the reserve also reads Switchboard, which is not followed here")
    refused: list[Reason] = []
    found: list[Candidate] = []
    for source in (token.pyth, token.scope):
        if source is None:
            continue
        answer = _answer(reserve, source, oracles, engine)
        if isinstance(answer, Candidate):
            found.append(answer)
        elif answer.code in _DECISIVE:
            return answer
        else:
            refused.append(answer)
    if not found:
        return refused[0] if refused else _reason(reserve, "no_price_source", "the reserve names no source of prices")
    return _checked(token, max(found, key=lambda each: each.timestamp), now)


def _answer(reserve: Reserve, source: bytes, oracles: Mapping[bytes, str], engine: Engine) -> Candidate | Reason:
    text = oracles.get(source)
    if text is None:
        return _reason(reserve, "no_price_account", f"account {base58(source)} holds no prices that were read")
    said = json.loads(text)
    is_scope = source == reserve.token.scope
    if said["kind"] != (SCOPE if is_scope else engine.pyth):
        detail = (
            f"account {base58(source)} is of kind {said['kind']}, which this version of the program does not read there"
        )
        return _reason(reserve, "unsupported_oracle", detail)
    try:
        return _scope(reserve, source, said) if is_scope else _pyth(reserve, source, said, engine)
    except _Stopped as error:
        return _reason(reserve, error.code, f"account {base58(source)}: {error}")


def _pyth(reserve: Reserve, source: bytes, said: Mapping[str, Any], engine: Engine) -> Candidate | Reason:
    if not said["verified"]:
        return _reason(
            reserve, "price_not_verified", "not all signatures of the price were verified, the program refuses it"
        )
    price, average = int(said["price"]), int(said["ema_price"])
    fault = _uncertain(price, int(said["confidence"]), "price")
    if fault is None and engine.ema_confidence:
        fault = _uncertain(average, int(said["ema_confidence"]), "average price")
    if fault is not None:
        return _reason(reserve, fault.code, f"account {base58(source)}: {fault}")
    exponent = abs(said["exponent"])
    return Candidate(
        price=_fraction(price, exponent),
        timestamp=said["publish_time"],
        slot=said["slot"],
        source=source,
        average=Average(_fraction(average, exponent), said["publish_time"]),
    )


def _uncertain(price: int, confidence: int, what: str) -> _Stopped | None:
    """Say why a price is refused, raise where the program panics."""
    if price < 0:
        raise _Stopped("price_refused", f"the {what} is {price}, the program stops at it")
    if price == 0:
        return _Stopped("price_not_positive", f"the {what} is zero, the program refuses it")
    if confidence * CONFIDENCE_FACTOR > price:
        return _Stopped(
            "price_confidence_too_wide", f"the {what} {price} has an interval of {confidence}, more than 2 %"
        )
    return None


def _scope(reserve: Reserve, source: bytes, said: Mapping[str, Any]) -> Candidate | Reason:
    prices = {int(index): DatedPrice(*map(int, words)) for index, words in said["prices"].items()}
    try:
        price = chain_price(prices, reserve.token.price_chain)
    except NoPrice as error:
        return _reason(reserve, "no_price", f"account {base58(source)}: {error}")
    average = None
    if reserve.token.twap_chain not in _UNSET:
        try:
            averaged = chain_price(prices, reserve.token.twap_chain)
            average = Average(_fraction(averaged.value, averaged.exponent), averaged.unix_timestamp)
        except NoPrice:
            average = None
    if price.value == 0:
        detail = f"account {base58(source)}: the price of the chain is zero, which the program takes as it is"
        return _reason(reserve, "price_is_zero", detail)
    return Candidate(
        price=_fraction(price.value, price.exponent),
        timestamp=price.unix_timestamp,
        slot=price.last_updated_slot,
        source=source,
        average=average,
    )


def _fraction(value: int, exponent: int) -> int:
    if exponent > LARGEST_EXPONENT:
        raise _Stopped("price_refused", f"the exponent {exponent} is beyond what the program knows")
    fraction: int = whole(value) // 10**exponent
    if fraction >= U128:
        raise _Stopped("price_refused", f"the price {value} / 10^{exponent} does not fit a fraction")
    return fraction


def _checked(token: TokenInfo, chosen: Candidate, now: int) -> Priced:
    status = LOADED
    if _young(chosen.timestamp, token.max_age_price_seconds, now):
        status |= AGE
    if token.max_twap_divergence_bps == 0:
        status |= TWAP | TWAP_AGE
    elif chosen.average is not None:
        if _young(chosen.average.timestamp, token.max_age_twap_seconds, now):
            status |= TWAP_AGE
        if abs(chosen.price - chosen.average.price) * FULL_BPS < chosen.price * token.max_twap_divergence_bps:
            status |= TWAP
    if _plausible(token, chosen.price):
        status |= HEURISTIC
    if token.block_price_usage == 0:
        status |= USAGE
    return Priced(chosen.price, chosen.timestamp, status, chosen.slot, chosen.source)


def _young(timestamp: int, limit: int, now: int) -> bool:
    return now - timestamp <= limit


def _plausible(token: TokenInfo, price: int) -> bool:
    unit = 10**token.heuristic_exp
    above = token.heuristic_lower == 0 or price >= whole(token.heuristic_lower) // unit
    return above and (token.heuristic_upper == 0 or price <= whole(token.heuristic_upper) // unit)


def _reason(reserve: Reserve, code: str, detail: str) -> Reason:
    return Reason(code, base58(reserve.address), detail)
