"""What staked SOL redeems for as a rate of the house: lamports for one unit of a pool's token, times 10^18, rounded down.

A pool that was not updated in an epoch lacks the rewards of that epoch: its rate is then too low by these, never too high.
"""

from __future__ import annotations

from collections.abc import Iterable

from chains.identifiers import base58, parse_asset
from chains.model import AccountBytes, FeedSpec
from chains.solana.oracles.observed import NoAnswer, Observed, Told
from chains.solana.oracles.stake_pool.account import STAKE_POOLS, NoPool, stake_pool
from chains.solana.oracles.stake_pool.marinade import MARINADE, marinade

ENGINE = "stake-pool-1"
DECIMALS = 18


def redemption(feeds: Iterable[FeedSpec]) -> Observed:
    """Make what folds the pools that are configured on one chain."""
    owners = {STAKE_POOLS: "the stake pool program", MARINADE: "Marinade"}
    return Observed(feeds, owners=owners, tell=told, engine=ENGINE)


def told(feed: FeedSpec, account: AccountBytes) -> Told:
    """Return the rate of the pool that an account is of; raises `NoAnswer`."""
    try:
        mint, lamports, supply, epoch = _pool(account)
    except NoPool as error:
        raise NoAnswer(str(error)) from error
    if not supply:
        raise NoAnswer("the pool has no tokens, so that one redeems for nothing known")
    rate = lamports * 10**DECIMALS // supply
    return Told(answer_raw=rate, decimals=DECIMALS, updated_at=0, round_id=epoch, fault=_fault(feed.asset, mint))


def _pool(account: AccountBytes) -> tuple[bytes, int, int, int]:
    """Return a pool's mint, stake, supply, and the epoch of its last update where it tells one."""
    if account.owner == MARINADE:
        state = marinade(account.data)
        return state.msol_mint, state.total_lamports, state.msol_supply, 0
    pool = stake_pool(account.data)
    return pool.pool_mint, pool.total_lamports, pool.pool_token_supply, pool.last_update_epoch


def _fault(asset: str, mint: bytes) -> str | None:
    if parse_asset(asset).reference == mint:
        return None
    return f"the pool's token is {base58(mint)}, not the asset {asset}"
