"""The accounts that an oracle's sources name, as exact JSON texts: what each says in its own words.

Market aspects, of the account's address: `source:` and its part in a source (`Role`). Numbers of 64 bits and more are text, keys base58.
An account that is gone, or that is not what its source needs, has {"problem": text}. A token's reserve is the aspect `rates`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from typing import Any

from chains.identifiers import base58
from chains.model import AccountBytes
from chains.solana.jupiter_lend.layout import LENDING, LIQUIDITY, RESERVE, REWARDS
from chains.solana.jupiter_lend.rates import Reserve
from chains.solana.jupiter_lend.texts import problem_text, text_of
from chains.solana.layouts import Layout, read
from chains.solana.oracles.chainlink import STORE, chainlink_feed
from chains.solana.oracles.pyth.account import price_update
from chains.solana.oracles.redstone import redstone_feed
from chains.solana.oracles.stake_pool import marinade, stake_pool
from chains.solana.oracles.stake_pool.fees import stake_pool_fees

GONE = "there is no account at this address"


class SourceType(IntEnum):
    """What a source is, by the number that oracles write."""

    PYTH = 0
    STAKE_POOL = 1
    MSOL_POOL = 2
    REDSTONE = 3
    CHAINLINK = 4
    SINGLE_POOL = 5
    JUP_LEND = 6


class Role(StrEnum):
    """What an account says to a source."""

    PYTH = "source:pyth"
    STAKE_POOL = "source:stake_pool"
    MSOL_POOL = "source:msol_pool"
    REDSTONE = "source:redstone"
    CHAINLINK = "source:chainlink"
    STAKE = "source:stake"
    MINT = "source:mint"
    LENDING = "source:lending"
    REWARDS = "source:rewards"
    RESERVE = "rates"
    UNREAD = "source:unread"


ROLES: Mapping[int, tuple[Role, ...]] = {
    SourceType.PYTH: (Role.PYTH,),
    SourceType.STAKE_POOL: (Role.STAKE_POOL,),
    SourceType.MSOL_POOL: (Role.MSOL_POOL,),
    SourceType.REDSTONE: (Role.REDSTONE,),
    SourceType.CHAINLINK: (Role.CHAINLINK,),
    SourceType.SINGLE_POOL: (Role.STAKE, Role.MINT, Role.UNREAD),
    SourceType.JUP_LEND: (Role.LENDING, Role.RESERVE, Role.REWARDS, Role.MINT),
}
"""The accounts of a source in order; the third of a pool of one validator is the stake program itself."""

_RESERVE = Reserve._fields
_STAKE_TAG, _DELEGATED, _MINT_SIZE = 2, struct.Struct("<32sQ"), 82
_DELEGATION_AT, _SUPPLY_AT = 124, 36


def source_text(role: Role, account: AccountBytes) -> str:
    """Return what an account says in a role."""
    if account.closed:
        return problem_text(GONE)
    try:
        return text_of(_READERS[role](account))
    except ValueError as error:
        return problem_text(str(error))


def reserve_of(told: Mapping[str, Any]) -> Reserve:
    """Read the aspect `rates`."""
    return Reserve(*(int(told[name]) for name in _RESERVE))


def _told(layout: Layout, data: bytes) -> dict[str, Any]:
    if problem := layout.problem(data):
        raise ValueError(problem)
    return read(layout.fields, data)


def _pyth(account: AccountBytes) -> Mapping[str, object]:
    update = price_update(account.data)
    return {
        "price": str(update.price),
        "confidence": str(update.confidence),
        "exponent": update.exponent,
        "publish_time": str(update.publish_time),
        "signatures": update.signatures,
    }


def _stake_pool(account: AccountBytes) -> Mapping[str, object]:
    pool, fees = stake_pool(account.data), stake_pool_fees(account.data)
    return {
        "total_lamports": str(pool.total_lamports),
        "pool_token_supply": str(pool.pool_token_supply),
        "last_update_epoch": str(pool.last_update_epoch),
        "fees": [[str(number) for number in fee] for fee in fees.now],
        "fees_to_come": [[str(number) for number in fee] for fee in fees.to_come],
    }


def _msol_pool(account: AccountBytes) -> Mapping[str, object]:
    state = marinade(account.data)
    names = (
        "delayed_unstake_cooling_down",
        "emergency_cooling_down",
        "total_active_balance",
        "available_reserve_balance",
        "circulating_ticket_balance",
        "msol_supply",
    )
    return {name: str(getattr(state, name)) for name in names}


def _redstone(account: AccountBytes) -> Mapping[str, object]:
    feed = redstone_feed(account.data)
    written = None if feed.write_timestamp is None else str(feed.write_timestamp)
    return {
        "value": str(feed.value),
        "timestamp": str(feed.timestamp),
        "write_timestamp": written,
        "decimals": feed.decimals,
    }


def _chainlink(account: AccountBytes) -> Mapping[str, object]:
    if account.owner != STORE:
        raise ValueError(f"the account belongs to program {base58(account.owner)}")
    feed = chainlink_feed(account.data)
    return {"answer": str(feed.answer), "decimals": feed.decimals, "slot": str(feed.slot), "timestamp": feed.timestamp}


def _stake(account: AccountBytes) -> Mapping[str, object]:
    if len(account.data) < _DELEGATION_AT + _DELEGATED.size or int.from_bytes(account.data[:4], "little") != _STAKE_TAG:
        raise ValueError("the account is no delegated stake")
    voter, stake = _DELEGATED.unpack_from(account.data, _DELEGATION_AT)
    return {"voter": base58(voter), "stake": str(stake)}


def _mint(account: AccountBytes) -> Mapping[str, object]:
    if len(account.data) < _MINT_SIZE:
        raise ValueError(f"the account has {len(account.data)} bytes, a mint has {_MINT_SIZE}")
    return {"supply": str(int.from_bytes(account.data[_SUPPLY_AT : _SUPPLY_AT + 8], "little"))}


def _lending(account: AccountBytes) -> Mapping[str, object]:
    told = _told(LENDING, account.data)
    keys = {name: base58(told[name]) for name in ("f_token_mint", "rewards_rate_model", "token_reserves_liquidity")}
    numbers = ("liquidity_exchange_price", "token_exchange_price", "last_update_timestamp")
    return keys | {name: str(told[name]) for name in numbers}


def _rewards(account: AccountBytes) -> Mapping[str, object]:
    told = _told(REWARDS, account.data)
    names = ("start_tvl", "duration", "start_time", "yearly_reward", "next_duration", "next_reward_amount")
    return {name: str(told[name]) for name in names}


def _reserve(account: AccountBytes) -> Mapping[str, object]:
    if account.owner != LIQUIDITY:
        raise ValueError(f"the account belongs to program {base58(account.owner)}")
    told = _told(RESERVE, account.data)
    return {"mint": base58(told["mint"])} | {name: str(told[name]) for name in _RESERVE}


def _unread(account: AccountBytes) -> Mapping[str, object]:
    del account
    return {}


_READERS: Mapping[Role, Callable[[AccountBytes], Mapping[str, object]]] = {
    Role.PYTH: _pyth,
    Role.STAKE_POOL: _stake_pool,
    Role.MSOL_POOL: _msol_pool,
    Role.REDSTONE: _redstone,
    Role.CHAINLINK: _chainlink,
    Role.STAKE: _stake,
    Role.MINT: _mint,
    Role.LENDING: _lending,
    Role.REWARDS: _rewards,
    Role.RESERVE: _reserve,
    Role.UNREAD: _unread,
}
