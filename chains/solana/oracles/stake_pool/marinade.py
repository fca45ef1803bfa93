"""The bytes of Marinade's state account, and the stake of which mSOL is a share.

Source: marinade-finance liquid-staking-program `state/mod.rs` (`State`, `total_virtual_staked_lamports`).
"""

from __future__ import annotations

from dataclasses import dataclass

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, read
from chains.solana.oracles.stake_pool.account import NoPool

MARINADE = from_base58("MarBmsSgKXdrN1egZf5sqe1TMai9K1rChYNDJgjq7aD")

STATE = Layout(
    name="Marinade state",
    size=638,
    discriminator=bytes.fromhex("d8926b5e684bb6b1"),
    fields={
        "msol_mint": (8, "key"),
        "delayed_unstake_cooling_down": (226, "u64"),
        "total_active_balance": (376, "u64"),
        "available_reserve_balance": (496, "u64"),
        "msol_supply": (504, "u64"),
        "msol_price": (512, "u64"),
        "circulating_ticket_balance": (528, "u64"),
        "emergency_cooling_down": (568, "u64"),
    },
    grows=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marinade:
    """Marinade's stake in lamports by where it is, the raw units of mSOL, and what is owed to those who unstaked.

    `msol_price`: what the program last said itself of a mSOL, times 2^32, rounded down.
    """

    msol_mint: bytes
    delayed_unstake_cooling_down: int
    total_active_balance: int
    available_reserve_balance: int
    msol_supply: int
    msol_price: int
    circulating_ticket_balance: int
    emergency_cooling_down: int

    @property
    def total_lamports(self) -> int:
        """The lamports that belong to mSOL: all that is staked, cooling down or held, less what was unstaked and not yet claimed."""
        cooling = self.delayed_unstake_cooling_down + self.emergency_cooling_down
        controlled = self.total_active_balance + cooling + self.available_reserve_balance
        return max(controlled - self.circulating_ticket_balance, 0)


def marinade(data: bytes) -> Marinade:
    """Read an account's bytes; raises `NoPool`."""
    if problem := STATE.problem(data):
        raise NoPool(problem)
    return Marinade(**read(STATE.fields, data))
