"""Prices as the program takes them: spot or moving average, less or more its confidence interval, or the program's refusal.

Source: marginfi-v2 `programs/marginfi/src/state/price.rs`. Prices are I80F48 bits of USD.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

from chains.identifiers import base58
from chains.model import Reason, VenueSnapshot
from chains.solana.marginfi.engines import Engine
from chains.solana.marginfi.fixed import Overflowed, constant, div_down, fits, mul_down, power_of_ten, whole
from chains.solana.marginfi.integrations import BY_TAG, Standing
from chains.solana.marginfi.states import (
    FIXED,
    NO_ORACLE,
    PRICE,
    PROBLEM,
    PYTH,
    PYTH_PUSH_ORACLE,
    SETUPS,
    SWITCHBOARD_PULL,
    SWITCHBOARD_PULL_ORACLE,
    Bank,
)
from chains.solana.oracles.switchboard.account import DECIMALS

CONFIDENCE_MULTIPLE = constant("2.12")
STD_DEV_MULTIPLE = constant("1.96")
WIDEST_CONFIDENCE = constant("0.05")
DEFAULT_PYTH_AGE_S = 60
_FULL_U32 = 2**32 - 1
_TENTH_OF_U32 = 429_496_730


Scaled = Callable[[int, int], int]
_NUMBERS: Mapping[str, Mapping[str, int]] = {
    PYTH: {"price": -64, "confidence": 64, "ema_price": -64, "ema_confidence": 64},
    SWITCHBOARD_PULL: {"value": -128, "std_dev": -128},
}
"""The integers of a price account that are multiplied, with the bits that they must fit, negative for signed ones."""


class Bias(Enum):
    """On which side of a price its confidence interval is taken."""

    LOW = -1
    HIGH = 1


class Sides(NamedTuple):
    """A price and its interval's half-width."""

    price: int
    interval: int

    def biased(self, bias: Bias) -> int:
        """Return the price on one side of the interval."""
        return fits(self.price + bias.value * self.interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a bank's price account says, where the program accepts it: spot and moving average; where, when and in which slot.

    They are of one unit of what deposits are in; `token`: the spot price of the bank's token itself, `None` where it is the same.
    """

    spot: Sides | Reason
    average: Sides | Reason
    token: Sides | Reason | None = None
    source: bytes
    updated_at: int
    slot: int


class Prices:
    """The prices of a group's banks at a block."""

    def __init__(self, snapshot: VenueSnapshot, engine: Engine, standing: Callable[[Bank], Standing | Reason]) -> None:
        self._now, self._slot = snapshot.at.time, snapshot.at.number
        self._engine = engine
        self._standing = standing
        self._accounts = {
            address: json.loads(text) for (address, aspect), text in snapshot.markets.items() if aspect == PRICE
        }
        self._by_feed = _by_feed(self._accounts)

    def quote(self, bank: Bank) -> Quote | Reason:
        """Return what the program reads for a bank, or why it refuses or this program does not know."""
        setup = bank.oracle_setup
        if setup in {PYTH_PUSH_ORACLE, SWITCHBOARD_PULL_ORACLE}:
            return self._read(bank, PYTH if setup == PYTH_PUSH_ORACLE else SWITCHBOARD_PULL)
        if bank.asset_tag in BY_TAG and setup in BY_TAG[bank.asset_tag].setups:
            return self._of_position(bank, BY_TAG[bank.asset_tag].setups[setup])
        if setup == FIXED:
            fixed = Sides(bank.fixed_price, 0)
            return Quote(spot=fixed, average=fixed, source=bank.address, updated_at=self._now, slot=self._slot)
        if setup == NO_ORACLE:
            return self._refusal("no_price_source", bank, "the bank has no oracle")
        kind = SETUPS[setup] if setup < len(SETUPS) else f"of number {setup}"
        return self._refusal("unsupported_oracle", bank, f"the oracle setup {kind} is not valued here")

    def _of_position(self, bank: Bank, kind: str) -> Quote | Reason:
        """Return the price of one unit of a position in another protocol: the token's, times what one unit is in tokens."""
        standing = self._standing(bank)
        if isinstance(standing, Reason):
            return standing
        token = self._read(bank, kind)
        try:
            scaled = self._read(bank, kind, standing.scaled)
        except Overflowed as error:
            return self._refusal(
                "price_unreadable", bank, f"the price cannot be multiplied by the exchange rate: {error}"
            )
        if isinstance(token, Reason) or isinstance(scaled, Reason):
            return scaled
        return replace(scaled, token=token.spot)

    def _read(self, bank: Bank, wanted: str, scaled: Scaled | None = None) -> Quote | Reason:
        """Return what a bank's price account of a kind says; `scaled`: what its integers are multiplied with first; raises `Overflowed`."""
        if not bank.oracle_keys:
            return self._refusal("no_price_source", bank, "the bank names no price account")
        address = self._address(bank)
        said = None if address is None else self._accounts.get(address)
        if address is None or said is None:
            return self._refusal("price_unknown", bank, "its price account has not been read")
        if PROBLEM in said:
            return self._refusal("price_unreadable", bank, f"price account {base58(address)}: {said[PROBLEM]}")
        if said["kind"] != wanted:
            return self._refusal("price_unreadable", bank, f"price account {base58(address)} is of {said['kind']}")
        if scaled is not None:
            said = _scaled_by(said, scaled)
        return self._pyth(bank, address, said) if wanted == PYTH else self._switchboard(bank, address, said)

    def _address(self, bank: Bank) -> bytes | None:
        key = bank.oracle_keys[0]
        if bank.oracle_setup != PYTH_PUSH_ORACLE or bank.migrated:
            return key
        return self._by_feed.get(key.hex())

    def _pyth(self, bank: Bank, address: bytes, said: Mapping[str, Any]) -> Quote | Reason:
        if said["signatures"] is not None:
            return self._refusal("price_not_verified", bank, f"only {said['signatures']} signatures were verified")
        limit = _pyth_age_limit(bank)
        published = int(said["publish_time"])
        if published + limit < self._now:
            return self._stale(bank, published, limit)
        exponent = said["exponent"]
        return Quote(
            spot=self._sides(bank, int(said["price"]), int(said["confidence"]), exponent),
            average=self._sides(bank, int(said["ema_price"]), int(said["ema_confidence"]), exponent),
            source=address,
            updated_at=published,
            slot=int(said["slot"]),
        )

    def _sides(self, bank: Bank, price: int, confidence: int, exponent: int) -> Sides | Reason:
        try:
            interval = mul_down(_scaled(whole(confidence), exponent), CONFIDENCE_MULTIPLE)
            return self._bounded(bank, _scaled(whole(price), exponent), interval)
        except Overflowed as error:
            return self._refusal("price_too_large", bank, str(error))

    def _switchboard(self, bank: Bank, address: bytes, said: Mapping[str, Any]) -> Quote | Reason:
        if not self._engine.switchboard:
            detail = f"how version {self._engine.name} widens Switchboard's prices is not known here"
            return self._refusal("unsupported_oracle", bank, detail)
        updated = int(said["last_update_timestamp"])
        if self._now - updated > bank.oracle_max_age:
            return self._stale(bank, updated, bank.oracle_max_age)
        try:
            deviation = div_down(whole(int(said["std_dev"])), power_of_ten(DECIMALS))
            price = div_down(whole(int(said["value"])), power_of_ten(DECIMALS))
            sides = self._bounded(bank, price, mul_down(deviation, STD_DEV_MULTIPLE))
        except Overflowed as error:
            return self._refusal("price_too_large", bank, str(error))
        return Quote(spot=sides, average=sides, source=address, updated_at=updated, slot=int(said["slot"]))

    def _bounded(self, bank: Bank, price: int, interval: int) -> Sides | Reason:
        if price < 0 or interval < 0:
            return self._refusal("price_negative", bank, "the price or its interval is negative")
        if self._engine.confidence_limit:
            share = bank.oracle_max_confidence or _TENTH_OF_U32
            limit = div_down(mul_down(price, whole(share)), whole(_FULL_U32))
            if interval > limit:
                detail = (
                    f"the interval is {interval / max(price, 1):.4%} of the price, the limit {share / _FULL_U32:.4%}"
                )
                return self._refusal("confidence_too_wide", bank, detail)
        return Sides(price, min(interval, mul_down(price, WIDEST_CONFIDENCE)))

    def _stale(self, bank: Bank, updated: int, limit: int) -> Reason:
        detail = f"its price was published {self._now - updated} s before the block, the bank's limit is {limit} s"
        return self._refusal("price_stale", bank, detail)

    def _refusal(self, code: str, bank: Bank, detail: str) -> Reason:
        return Reason(code, base58(bank.address), detail)


def _pyth_age_limit(bank: Bank) -> int:
    """Return how old a price may be, in seconds; only banks of a token itself have a default (`get_oracle_max_age`)."""
    if bank.oracle_max_age == 0 and bank.oracle_setup == PYTH_PUSH_ORACLE:
        return DEFAULT_PYTH_AGE_S
    return bank.oracle_max_age


def _scaled_by(said: Mapping[str, Any], scaled: Scaled) -> Mapping[str, Any]:
    """Return what a price account says of one unit of a position."""
    return {**said, **{name: str(scaled(int(said[name]), bits)) for name, bits in _NUMBERS[said["kind"]].items()}}


def _scaled(number: int, exponent: int) -> int:
    scale = power_of_ten(abs(exponent))
    if number < 0:
        return number
    return div_down(number, scale) if exponent < 0 else mul_down(number, scale)


def _by_feed(accounts: Mapping[bytes, Mapping[str, Any]]) -> dict[str, bytes]:
    """The newest price account of each feed, of those with all signatures first; of two alike the one with the lower address."""
    found: dict[str, bytes] = {}
    ranked = sorted(
        (item for item in accounts.items() if item[1].get("kind") == PYTH),
        key=lambda item: (item[1]["signatures"] is not None, -int(item[1]["publish_time"]), item[0]),
    )
    for address, said in ranked:
        found.setdefault(said["feed_id"], address)
    return found
