"""The bytes of a stake pool of the SPL program, of which its tokens are shares.

Source: solana-program-library `stake-pool/program/src/state.rs` (`StakePool`); Borsh, with options of
variable length behind the fields that are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, read

STAKE_POOLS = from_base58("SPoo1Ku8WFXoNDMHPsrGSTSG1Y47rzgn41SLUNakuHy")
"""The program; copies of it under other names keep pools of the same shape."""

POOL = Layout(
    name="stake pool",
    size=611,
    discriminator=b"\x01",
    fields={
        "pool_mint": (162, "key"),
        "total_lamports": (258, "u64"),
        "pool_token_supply": (266, "u64"),
        "last_update_epoch": (274, "u64"),
    },
)


class NoPool(ValueError):
    """An account that is no pool of staked SOL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StakePool:
    """A pool's whole stake in lamports, and the raw units of its token.

    `last_update_epoch`: until a pool is updated in an epoch it lacks that epoch's rewards, and pays nothing out.
    """

    pool_mint: bytes
    total_lamports: int
    pool_token_supply: int
    last_update_epoch: int


def stake_pool(data: bytes) -> StakePool:
    """Read an account's bytes; raises `NoPool`."""
    if problem := POOL.problem(data):
        raise NoPool(problem)
    return StakePool(**read(POOL.fields, data))
