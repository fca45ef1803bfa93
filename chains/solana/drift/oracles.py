"""Prices as the program takes them, and whether they are valid for margin.

Source: drift-labs protocol-v2, `state/oracle.rs`, `state/oracle_map.rs`, `math/oracle.rs`. Prices and intervals have 6 decimals.

Of a price account's address the aspect `price` is {"kind": …, "slot": text, "time": text or null, …} in the words of its oracle, or
{"problem": text}. `pyth`, `pyth_pull` and `pyth_lazer`: "price", "confidence", "exponent"; `switchboard`: "value", "deviation", both
[mantissa, decimals]; `switchboard_on_demand`: "value", "std_dev", "range", times 10^18; `prelaunch`: "price", "confidence".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, Reason, VenueSnapshot
from chains.solana.drift.integers import PRICE, Refused, div_toward_zero, signed, unsigned
from chains.solana.drift.layout import PRELAUNCH_ORACLE, PYTH_LAZER_ORACLE
from chains.solana.drift.states import PRICE as PRICE_ASPECT
from chains.solana.drift.states import PROBLEM, PerpMarket, Rails, SpotMarket, problem_text, text_of
from chains.solana.layouts import read
from chains.solana.oracles.pyth.account import NoPrice, price_update
from chains.solana.oracles.pyth_legacy.account import ORACLE as PYTH
from chains.solana.oracles.pyth_legacy.account import NoLegacyPrice, legacy_price
from chains.solana.oracles.switchboard.account import DECIMALS, NoFeed, pull_feed
from chains.solana.oracles.switchboard.account import PROGRAM as ON_DEMAND
from chains.solana.oracles.switchboard.aggregator import AGGREGATORS, aggregator

RECEIVER = from_base58("G6EoTTTgpkNBtVXo96EQp2m6uwwVh2Kt6YidjkmQqoha")
"""The program's own deployment of Pyth's receiver."""

SOURCES = (
    "Pyth", "Switchboard", "QuoteAsset", "Pyth1K", "Pyth1M", "PythStableCoin", "Prelaunch", "PythPull", "Pyth1KPull", "Pyth1MPull",
    "PythStableCoinPull", "SwitchboardOnDemand", "PythLazer", "PythLazer1K", "PythLazer1M", "PythLazerStableCoin",
)  # fmt: skip
"""`OracleSource` by number."""

QUOTE_ASSET = "QuoteAsset"
NO_ORACLE = bytes(32)
"""The address that stands for the quote asset's own price of 1 USD."""

PYTH_PUSH, PYTH_PULL, PYTH_LAZER = "pyth", "pyth_pull", "pyth_lazer"
SWITCHBOARD, SWITCHBOARD_ON_DEMAND, PRELAUNCH = "switchboard", "switchboard_on_demand", "prelaunch"
MULTIPLES = {"1K": 1000, "1M": 10**6}
STABLE = "StableCoin"
LATENESS_OF_STABLE = 3
CONFIDENCE_PRECISION = 10**6
FIVE_BASIS_POINTS = 500
MICROSECONDS = 10**6


class Validity(StrEnum):
    """What the guard rails say of a price; all but `VALID` fail a check of margin that asks for valid prices."""

    TOO_VOLATILE = "oracle_too_volatile"
    TOO_UNCERTAIN = "oracle_too_uncertain"
    STALE_FOR_MARGIN = "oracle_stale_for_margin"
    VALID = "valid"


class OraclePrice(NamedTuple):
    """A price and its interval; `delay`: slots since it was published, `slot` and `time` (Unix seconds) when that was."""

    price: int
    confidence: int
    delay: int
    slot: int
    time: int


def price_text(account: AccountBytes, program: bytes) -> str:
    """Return the price that an account holds, in the words of its oracle; {"problem": …} where it holds none."""
    if account.closed:
        return problem_text("there is no account at this address")
    try:
        said = _said(account, program)
    except (NoPrice, NoLegacyPrice, NoFeed) as error:
        return problem_text(str(error))
    if said is None:
        return problem_text(f"the account belongs to program {base58(account.owner)}, which is no oracle known here")
    return said if isinstance(said, str) else text_of(said)


def _said(account: AccountBytes, program: bytes) -> Mapping[str, object] | str | None:
    data = account.data
    if account.owner == PYTH:
        return _push(data)
    if account.owner == RECEIVER:
        return _pull(data)
    if account.owner == ON_DEMAND:
        return _on_demand(data)
    if account.owner == AGGREGATORS:
        return _aggregator(data)
    return _own(data) if account.owner == program else None


def _push(data: bytes) -> Mapping[str, object]:
    said = legacy_price(data)
    return {
        "kind": PYTH_PUSH,
        "price": str(said.latest.price),
        "confidence": str(said.latest.confidence),
        "exponent": said.exponent,
        "slot": str(said.valid_slot),
        "time": str(said.latest.time),
    }


def _pull(data: bytes) -> Mapping[str, object]:
    said = price_update(data)
    return {
        "kind": PYTH_PULL,
        "price": str(said.price),
        "confidence": str(said.confidence),
        "exponent": said.exponent,
        "slot": str(said.posted_slot),
        "time": str(said.publish_time),
    }


def _on_demand(data: bytes) -> Mapping[str, object]:
    said = pull_feed(data)
    return {
        "kind": SWITCHBOARD_ON_DEMAND,
        "value": str(said.value),
        "std_dev": str(said.std_dev),
        "range": str(said.range),
        "slot": str(said.slot),
        "time": str(said.last_update_timestamp),
    }


def _aggregator(data: bytes) -> Mapping[str, object]:
    said = aggregator(data)
    return {
        "kind": SWITCHBOARD,
        "value": [str(said.mantissa), said.scale],
        "deviation": [str(said.deviation_mantissa), said.deviation_scale],
        "slot": str(said.slot),
        "time": str(said.time),
    }


def _own(data: bytes) -> Mapping[str, object] | str:
    layout = PRELAUNCH_ORACLE if data.startswith(PRELAUNCH_ORACLE.discriminator) else PYTH_LAZER_ORACLE
    if problem := layout.problem(data):
        return problem_text(problem)
    said = read(layout.fields, data)
    if layout is PRELAUNCH_ORACLE:
        return {
            "kind": PRELAUNCH,
            "price": str(said["price"]),
            "confidence": str(said["confidence"]),
            "slot": str(said["amm_last_update_slot"]),
            "time": None,
        }
    return {
        "kind": PYTH_LAZER,
        "price": str(said["price"]),
        "confidence": str(said["conf"]),
        "exponent": said["exponent"],
        "slot": str(said["posted_slot"]),
        "time": str(said["publish_time"] // MICROSECONDS),
    }


class Oracles:
    """The prices of markets at a block."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self._slot, self._now = snapshot.at.number, snapshot.at.time
        self._accounts = {
            address: json.loads(text) for (address, aspect), text in snapshot.markets.items() if aspect == PRICE_ASPECT
        }
        self._known: dict[tuple[bytes, int], OraclePrice | Reason] = {}

    def price(self, market: SpotMarket | PerpMarket) -> OraclePrice | Reason:
        """Return the price that the program reads for a market, or why it reads none or it is not known here."""
        key = market.oracle, market.oracle_source
        if key not in self._known:
            self._known[key] = self._price(*key)
        return self._known[key]

    def _price(self, oracle: bytes, number: int) -> OraclePrice | Reason:
        name, source = base58(oracle), SOURCES[number] if number < len(SOURCES) else None
        if oracle == NO_ORACLE or source == QUOTE_ASSET:
            return OraclePrice(PRICE, 1, 0, self._slot, self._now)
        if source is None:
            return Reason("unsupported_oracle", name, f"the oracle source of number {number} is not valued here")
        said = self._accounts.get(oracle)
        if said is None:
            return Reason("price_unknown", name, "the price account has not been read")
        if PROBLEM in said or said["kind"] != kind_of(source):
            other = f"the account is of {said.get('kind')}, the market's source is {source}"
            return Reason("price_unreadable", name, said.get(PROBLEM, other))
        try:
            return self._read(source, said)
        except Refused as error:
            return Reason("price_unreadable", name, f"the program cannot read the price: {error}")

    def _read(self, source: str, said: Mapping[str, Any]) -> OraclePrice:
        slot = int(said["slot"])
        price, confidence = _scaled(source, said)
        delay = signed(self._slot - slot, 64)
        if said["kind"] == PRELAUNCH:
            delay = max(slot - self._slot, 0)
        time = self._now - max(self._slot - slot, 0) if said["time"] is None else int(said["time"])
        return OraclePrice(signed(price, 64), unsigned(confidence, 64), delay, slot, time)


def kind_of(source: str) -> str:
    """Return the kind of account that a source is read from."""
    if source.startswith("PythLazer"):
        return PYTH_LAZER
    if source.startswith("Pyth"):
        return PYTH_PULL if source.endswith("Pull") else PYTH_PUSH
    return {"Switchboard": SWITCHBOARD, "SwitchboardOnDemand": SWITCHBOARD_ON_DEMAND}.get(source, PRELAUNCH)


def _scaled(source: str, said: Mapping[str, Any]) -> tuple[int, int]:
    """Return price and interval with 6 decimals; the interval of Switchboard On-Demand is the wider of its two."""
    match said["kind"]:
        case "prelaunch":
            return int(said["price"]), int(said["confidence"])
        case "switchboard":
            return _by_aggregator(said)
        case "switchboard_on_demand":
            if int(said["slot"]) == 0:
                raise Refused("the feed has no result")
            down = 10**DECIMALS // PRICE
            interval = max(abs(int(said[name])) for name in ("std_dev", "range"))
            return div_toward_zero(int(said["value"]), down), interval // down
        case _:
            return _by_pyth(source, said)


def _by_pyth(source: str, said: Mapping[str, Any]) -> tuple[int, int]:
    """The sign of the exponent is not looked at."""
    multiple = next((times for name, times in MULTIPLES.items() if name in source), 1)
    precision = unsigned(10 ** abs(said["exponent"]))
    if precision <= multiple:
        raise Refused("the multiple is larger than the oracle's precision")
    precision //= multiple
    up, down = (1, precision // PRICE) if precision > PRICE else (PRICE // precision, 1)
    price = div_toward_zero(int(said["price"]) * up, down)
    confidence = unsigned(int(said["confidence"]) * up) // down
    if STABLE in source and abs(price - PRICE) <= min(FIVE_BASIS_POINTS, confidence):
        price = PRICE
    return price, confidence


def _by_aggregator(said: Mapping[str, Any]) -> tuple[int, int]:
    value, deviation = (_decimal(int(mantissa), scale) for mantissa, scale in (said["value"], said["deviation"]))
    if deviation < 0:
        return value, 2**64 - 1
    return value, max(deviation, abs(value) // 1000)


def _decimal(mantissa: int, scale: int) -> int:
    precision = unsigned(10**scale)
    if precision > PRICE:
        return div_toward_zero(mantissa, precision // PRICE)
    return signed(mantissa * (PRICE // precision))


def validity_of(price: OraclePrice, market: SpotMarket | PerpMarket, rails: Rails) -> Validity:
    """Return what the guard rails say of a market's price; raises `Refused` for one that is not positive."""
    if price.price <= 0:
        raise Refused(f"the oracle's price {price.price} is not positive")
    average = market.last_oracle_price_twap
    if max(price.price, average) // max(min(price.price, average), 1) > rails.too_volatile_ratio:
        return Validity.TOO_VOLATILE
    uncertain = unsigned(price.confidence * CONFIDENCE_PRECISION, 64) // price.price
    if uncertain > unsigned(rails.confidence_interval_max_size * market.confidence_multiplier, 64):
        return Validity.TOO_UNCERTAIN
    source = SOURCES[market.oracle_source] if market.oracle_source < len(SOURCES) else ""
    limit = rails.slots_before_stale_for_margin * (LATENESS_OF_STABLE if STABLE in source else 1)
    return Validity.STALE_FOR_MARGIN if price.delay > limit else Validity.VALID
