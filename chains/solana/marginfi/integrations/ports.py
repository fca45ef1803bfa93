"""What an integration is: one shape for all protocols in which banks hold positions.

Market aspects, of the address of a pool (a reserve, a spot market): `held` (what changes by configuration) and `held_totals` (by use), each
under the names of the other protocol's folder, or {"problem": text}; of an account that a pool names: `held_beside`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from chains.identifiers import base58
from chains.model import AccountBytes, Reason
from chains.solana.layouts import Layout

HELD, HELD_TOTALS, HELD_BESIDE = "held", "held_totals", "held_beside"
PROBLEM = "problem"

State = Mapping[str, Any]
Markets = Mapping[tuple[bytes, str], str]


class NotAPool(ValueError):
    """An account is not what a bank says it is; the message says why."""


class Asked(NamedTuple):
    """Which pool is asked for, at which slot and second, under which options of the venue."""

    pool: bytes
    markets: Markets
    slot: int
    time: int
    options: Mapping[str, Any]

    def state(self, address: bytes, aspect: str) -> State | None:
        """Return an aspect of an account, `None` where it was not read."""
        text = self.markets.get((address, aspect))
        return None if text is None else dict(json.loads(text))

    def refused(self, code: str, detail: str) -> Reason:
        """Say of the pool what is the matter."""
        return Reason(code, base58(self.pool), detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A pool brought up to date.

    `mint`: the token in it; `scaled`: turns an integer of an oracle (a price or its interval) of the token into that of one unit of the
    position, as the program does, and raises `Overflowed`; `redeemed`: raw tokens that whole units of the position stand for, down;
    `payable_raw`: what of them is there to be taken out, `None` where that is not known; `venue`: the protocol, and its market.
    """

    mint: bytes
    scaled: Callable[[int, int], int]
    redeemed: Callable[[int], int]
    payable_raw: int | None
    venue: str


class Integration(Protocol):
    """One protocol in which banks hold positions."""

    @property
    def name(self) -> str:
        """What the program calls it."""
        ...

    @property
    def program(self) -> bytes:
        """The program that owns its pools, on mainnet: marginfi takes those of no other."""
        ...

    @property
    def pool(self) -> Layout:
        """What a pool's account is."""
        ...

    @property
    def setups(self) -> Mapping[int, str]:
        """The oracle setups of its banks: number → `pyth` or `switchboard`."""
        ...

    def pool_states(self, data: bytes) -> tuple[State, State]:
        """Return `held` and `held_totals` of a pool's bytes."""
        ...

    def beside(self, held: State) -> tuple[bytes, ...]:
        """Return the accounts that a pool cannot be brought up to date without."""
        ...

    def beside_state(self, account: AccountBytes) -> State:
        """Return `held_beside` of such an account; raises `NotAPool`."""
        ...

    def standing(self, asked: Asked, held: State, totals: State) -> Standing | Reason:
        """Bring a pool up to date, or say why its program would not or that is not known."""
        ...


def problem_with(integration: Integration, account: AccountBytes) -> str | None:
    """Say why an account is none of an integration's pools, `None` where it is one."""
    if account.closed:
        return "there is no account at this address"
    if account.owner != integration.program:
        return f"the account belongs to program {base58(account.owner)}"
    return integration.pool.problem(account.data)
