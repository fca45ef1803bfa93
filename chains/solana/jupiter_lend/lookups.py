"""What the journals' texts mean to a fold and to a book alike: vaults, who holds a position, and a vault's ticks and branches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from chains.model import Side
from chains.solana.jupiter_lend.settle import Branch, Ledger, Liquidated, Tick
from chains.solana.jupiter_lend.texts import PROBLEM, branch_of, ids_of, key_of, tick_of

RAW_DECIMALS = 9
"""Raw amounts have so many decimals, whatever the token has."""


class Holder(NamedTuple):
    """Whose a position is: the unit, the token account that has its token, and that account's owner."""

    unit: bytes | None
    account: bytes | None
    owner: bytes | None


class Vault(NamedTuple):
    """A vault's account, and the tokens that it lends and takes."""

    market: bytes
    loan: bytes
    collateral: bytes

    def side(self, side: Side) -> tuple[bytes, bytes]:
        """Return the market of a side, and its token."""
        return (self.market, self.loan) if side is Side.BORROW else (self.market + self.collateral, self.collateral)


@lru_cache(maxsize=1 << 17)
def holder_of(text: str) -> Holder:
    """Read the aspect `holder`."""
    told = json.loads(text)
    return Holder(*(key_of(told[name]) for name in Holder._fields))


@lru_cache(maxsize=1 << 12)
def vault_of(market: bytes, text: str) -> tuple[int, Vault] | None:
    """Read the aspect `params`: a vault's number, and what it is; `None` where it cannot be read."""
    told = json.loads(text)
    if PROBLEM in told:
        return None
    tokens = (bytes.fromhex(told[name][2:]) for name in ("loan_token", "collateral_token"))
    return told["vault"], Vault(market, *tokens)


_tick = lru_cache(maxsize=1 << 16)(tick_of)
_ids = lru_cache(maxsize=1 << 16)(ids_of)
_branch = lru_cache(maxsize=1 << 16)(branch_of)


def ledger_of(vault: int, named: Mapping[str, str]) -> Ledger:
    """Return a vault's ticks and branches, by the names of their aspects."""

    def tick(number: int) -> Tick | None:
        text = named.get(f"tick:{vault}:{number}")
        return None if text is None else _tick(text)

    def earlier(number: int, record: int) -> tuple[Liquidated, ...] | None:
        text = named.get(f"ids:{vault}:{number}:{record}")
        return None if text is None else _ids(text)

    def branch(number: int) -> Branch | None:
        text = named.get(f"branch:{vault}:{number}")
        return None if text is None else _branch(text)

    return Ledger(tick, earlier, branch)
