"""What staked SOL redeems for: SPL stake pools (JitoSOL, bSOL and others) and Marinade (mSOL)."""

from chains.solana.oracles.stake_pool.account import STAKE_POOLS, NoPool, StakePool, stake_pool
from chains.solana.oracles.stake_pool.marinade import MARINADE, Marinade, marinade

__all__ = ["MARINADE", "STAKE_POOLS", "Marinade", "NoPool", "StakePool", "marinade", "stake_pool"]
