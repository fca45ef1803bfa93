"""An oracle's price as the programs take it: its sources one after the other, each the price of the one before in something else.

A rate is debt tokens for one collateral token, times 10^15, both in whole tokens. Two ways to ask: for a liquidation, and for what an
owner does, which wants younger and surer prices. Source: the oracle program, `helper.rs` and `modules/` (February 2026).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chains.identifiers import base58, from_base58
from chains.solana.derived import program_address
from chains.solana.jupiter_lend.maths import U64, Refused, u64, u128
from chains.solana.jupiter_lend.rates import Lending, Rewards, deposit_token_price, reserve_prices
from chains.solana.jupiter_lend.sources import ROLES, Role, SourceType, reserve_of
from chains.solana.jupiter_lend.texts import PROBLEM

__all__ = ["CLOCK", "CLOCK_ASPECT", "RATE_ONE", "Ask", "Asked", "NoSource", "Source", "rate", "roles_of", "sources_of"]

CLOCK = from_base58("SysvarC1ock11111111111111111111111111111111")
CLOCK_ASPECT = "clock"
RATE_ONE, RATE_DIGITS = 10**15, 15

SINGLE_POOLS = from_base58("SVSPxpvHdN29nkVg9rPapPNDddN5DipNLRUFhyjFThE")
LAMPORTS = 10**9
"""What the stake of a pool of one validator must keep for itself: one SOL, as the least delegation is not more."""

_HOUR, _MS_PER_SLOT, _MS, _U8 = 3600, 400, 1000, 255
_HIGHEST_FEE = 5


class NoSource(LookupError):
    """What a source names was not read, or is not known to this arithmetic: nobody can say what the program would take."""


class Ask(NamedTuple):
    """How old and how unsure a price may be: seconds, and how many times its confidence must fit into it."""

    most_age: int
    confidence: int


LIQUIDATE, OPERATE = Ask(7200, 25), Ask(600, 50)


class Source(NamedTuple):
    """One account of an oracle."""

    address: bytes
    invert: bool
    kind: int
    plain: bool
    """Whether its multiplier and divisor are one, as they are where the program does not use them."""


class Asked(NamedTuple):
    """What is known at a moment: `said` by (address, aspect), and the slot and time at which it is asked."""

    said: Callable[[bytes, str], str | None]
    slot: int
    time: int
    ask: Ask


def sources_of(told: Mapping[str, Any]) -> list[Source]:
    """Read the sources of the aspect `oracle`."""
    return [Source(from_base58(key), bool(invert), kind, bool(plain)) for key, invert, kind, plain in told["sources"]]


def roles_of(sources: Sequence[Source]) -> Iterator[tuple[bytes, Role]]:
    """Return each account that the sources name, with what it says to them; those of kinds that are not known are left out."""
    at = 0
    while at < len(sources):
        roles = ROLES.get(sources[at].kind, ())
        yield from zip((each.address for each in sources[at : at + len(roles)]), roles, strict=False)
        at += len(roles) or 1


def rate(sources: Sequence[Source], asked: Asked) -> int:
    """Return the oracle's rate; raises `Refused` where the program refuses, `NoSource` where that cannot be said."""
    found, at = RATE_ONE, 0
    while at < len(sources):
        first = sources[at]
        roles = ROLES.get(first.kind)
        if roles is None:
            raise NoSource(f"source {base58(first.address)} is of kind {first.kind}, which is not known here")
        group = sources[at : at + len(roles)]
        if len(group) < len(roles) or any(each.kind != first.kind for each in group):
            raise Refused("InvalidSource")
        if not all(each.plain for each in group):
            raise NoSource(f"source {base58(first.address)} has a multiplier or divisor, which is not supported")
        found = _hop(first, _Reader(asked, group), found)
        at += len(roles)
    return found


def _hop(source: Source, reader: _Reader, before: int) -> int:
    price, exponent = _PRICES[SourceType(source.kind)](reader)
    if exponent is None:
        found = price
    elif exponent > RATE_DIGITS:
        found = price // 10 ** (exponent - RATE_DIGITS) if exponent - RATE_DIGITS < 39 else _too_many_digits()  # noqa: PLR2004 - 10^39 is beyond u128
    else:
        found = u128(price * 10 ** (RATE_DIGITS - exponent))
    if found > 0 and source.invert:
        found = RATE_ONE**2 // found
    found = u128(found * before // RATE_ONE)
    if found == 0:
        raise Refused("RateZero")
    return found


def _too_many_digits() -> int:
    raise Refused("a price has too many decimals")


class _Reader:
    """The accounts of one source, as they were read."""

    def __init__(self, asked: Asked, group: Sequence[Source]) -> None:
        self.asked = asked
        self.addresses = [each.address for each in group]

    def told(self, number: int, role: Role) -> dict[str, Any]:
        address = self.addresses[number]
        text = self.asked.said(address, role)
        if text is None:
            raise NoSource(f"source {base58(address)} has not been read")
        said: dict[str, Any] = json.loads(text)
        if PROBLEM in said:
            raise NoSource(f"source {base58(address)}: {said[PROBLEM]}")
        return said


Price = tuple[int, int | None]
"""A price, and how many decimals it has; `None`: those of a rate."""


def _pyth(reader: _Reader) -> Price:
    said, asked = reader.told(0, Role.PYTH), reader.asked
    price, confidence, published = int(said["price"]), int(said["confidence"]), int(said["publish_time"])
    if said["signatures"] is not None:
        raise Refused("PriceNotValid")
    if published + asked.ask.most_age < asked.time:
        raise Refused("PriceTooOld")
    if price <= 0 or said["exponent"] > 0:
        raise Refused("PriceNotValid")
    if u64(confidence * asked.ask.confidence) > price:
        raise Refused("PriceConfidenceNotSufficient")
    if -said["exponent"] > _U8:
        raise Refused("a price has too many decimals")
    return price, -said["exponent"]


def _stake_pool(reader: _Reader) -> Price:
    said = reader.told(0, Role.STAKE_POOL)
    _must_be_of_this_epoch(int(said["last_update_epoch"]), reader.asked)
    for denominator, numerator in said["fees"]:
        if int(denominator) and u64(int(numerator) * 1000) // int(denominator) > _HIGHEST_FEE:
            raise Refused("FeeTooHigh")
    for denominator, numerator in said["fees_to_come"]:
        u64(int(numerator) * 1000 if int(denominator) else 0)
    return _share(int(said["total_lamports"]), int(said["pool_token_supply"])), None


def _must_be_of_this_epoch(updated: int, asked: Asked) -> None:
    """Refuse a pool that was not updated since the epoch began, or in its first hour since the one before."""
    text = asked.said(CLOCK, CLOCK_ASPECT)
    if text is None:
        raise NoSource("the cluster's clock has not been read")
    clock = json.loads(text)
    if PROBLEM in clock:
        raise NoSource(f"the cluster's clock: {clock[PROBLEM]}")
    epoch, since = int(clock["epoch"]), max(asked.time - int(clock["epoch_start_timestamp"]), 0)
    if updated + 1 < epoch or (updated + 1 == epoch and since >= _HOUR):
        raise Refused("StakePoolNotRefreshed")


def _msol_pool(reader: _Reader) -> Price:
    said = {name: int(text) for name, text in reader.told(0, Role.MSOL_POOL).items()}
    cooling = u64(said["delayed_unstake_cooling_down"] + said["emergency_cooling_down"])
    controlled = u64(u64(said["total_active_balance"] + cooling) + said["available_reserve_balance"])
    return _share(max(controlled - said["circulating_ticket_balance"], 0), said["msol_supply"]), None


def _share(lamports: int, supply: int) -> int:
    if supply == 0:
        raise Refused("InvalidPrice")
    return u128(lamports * RATE_ONE) // supply


def _redstone(reader: _Reader) -> Price:
    said, asked = reader.told(0, Role.REDSTONE), reader.asked
    if int(said["value"]) > U64:
        raise Refused("RedstonePriceOverflow")
    if said["write_timestamp"] is None:
        raise Refused("TimestampExpected")
    published = min(int(said["timestamp"]), int(said["write_timestamp"])) // _MS
    if u64(asked.time - published) > asked.ask.most_age:
        raise Refused("PriceTooOld")
    return int(said["value"]), said["decimals"]


def _chainlink(reader: _Reader) -> Price:
    said, asked = reader.told(0, Role.CHAINLINK), reader.asked
    if u64(asked.slot - int(said["slot"])) * _MS_PER_SLOT // _MS > asked.ask.most_age:
        raise Refused("PriceTooOld")
    return u128(int(said["answer"])), said["decimals"]


def _single_pool(reader: _Reader) -> Price:
    supply = int(reader.told(1, Role.MINT)["supply"])
    if supply == 0:
        raise Refused("SinglePoolTokenSupplyZero")
    said = reader.told(0, Role.STAKE)
    pool = program_address(SINGLE_POOLS, b"pool", from_base58(said["voter"]))
    if program_address(SINGLE_POOLS, b"stake", pool) != reader.addresses[0]:
        raise Refused("SinglePoolInvalidStakeAccount")
    if program_address(SINGLE_POOLS, b"mint", pool) != reader.addresses[1]:
        raise Refused("SinglePoolInvalidMint")
    return u64(int(said["stake"]) - LAMPORTS) * RATE_ONE // supply, None


def _jup_lend(reader: _Reader) -> Price:
    said = reader.told(0, Role.LENDING)
    named = [said[name] for name in ("token_reserves_liquidity", "rewards_rate_model", "f_token_mint")]
    if named != [base58(address) for address in reader.addresses[1:]]:
        raise Refused("JupLendAccountMismatch")
    rewards = reader.told(2, Role.REWARDS)
    time = reader.asked.time
    price = deposit_token_price(
        Lending(*(int(said[name]) for name in Lending._fields)),
        Rewards(*(int(rewards[name]) for name in Rewards._fields)),
        int(reader.told(3, Role.MINT)["supply"]),
        reserve_prices(reserve_of(reader.told(1, Role.RESERVE)), time).supply,
        time,
    )
    if price == 0:
        raise Refused("InvalidPrice")
    return price, 12


_PRICES: Mapping[SourceType, Callable[[_Reader], Price]] = {
    SourceType.PYTH: _pyth,
    SourceType.STAKE_POOL: _stake_pool,
    SourceType.MSOL_POOL: _msol_pool,
    SourceType.REDSTONE: _redstone,
    SourceType.CHAINLINK: _chainlink,
    SourceType.SINGLE_POOL: _single_pool,
    SourceType.JUP_LEND: _jup_lend,
}
