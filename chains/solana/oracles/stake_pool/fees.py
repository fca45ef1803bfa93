"""What a stake pool of the SPL program takes of deposits and withdrawals: behind the fields of fixed place, options of variable length.

Source: solana-program-library `stake-pool/program/src/state.rs` (`StakePool`, `Fee`, `FutureEpoch`); Borsh.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from chains.solana.oracles.stake_pool.account import NoPool

_LOCKUP_AT = 282
_LOCKUP, _KEY, _FEE = 48, 32, 16


class Fee(NamedTuple):
    """A fee of `numerator` in `denominator`; a denominator of zero is no fee."""

    denominator: int
    numerator: int


class Fees(NamedTuple):
    """Fees that hold now: on SOL and stake withdrawn, on SOL and stake deposited; and those of withdrawals that are to come."""

    now: tuple[Fee, ...]
    to_come: tuple[Fee, ...]


class _Cursor:
    """A place in an account's bytes that moves as they are read; raises `NoPool` behind their end."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def skip(self, size: int) -> None:
        self._at += size

    def fee(self) -> Fee:
        try:
            found = Fee(*struct.unpack_from("<QQ", self._data, self._at))
        except struct.error as error:
            raise NoPool(f"the stake pool is cut off at {len(self._data)} bytes") from error
        self._at += _FEE
        return found

    def key_if_any(self) -> None:
        self.skip(_KEY if self._tag(1) else 0)

    def future_fee(self) -> tuple[Fee, ...]:
        """An epoch's change that is to come: none, in one epoch, or in two."""
        return (self.fee(),) if self._tag(2) else ()

    def _tag(self, highest: int) -> int:
        if self._at >= len(self._data) or self._data[self._at] > highest:
            raise NoPool(f"the stake pool has no option at byte {self._at}")
        self._at += 1
        return self._data[self._at - 1]


def stake_pool_fees(data: bytes) -> Fees:
    """Read a stake pool's fees from its account's bytes; raises `NoPool`."""
    cursor = _Cursor(data, _LOCKUP_AT)
    cursor.skip(_LOCKUP + _FEE)
    cursor.future_fee()
    cursor.key_if_any()
    cursor.key_if_any()
    stake_deposit, stake_withdrawal = cursor.fee(), cursor.fee()
    next_stake_withdrawal = cursor.future_fee()
    cursor.skip(1)
    cursor.key_if_any()
    sol_deposit = cursor.fee()
    cursor.skip(1)
    cursor.key_if_any()
    sol_withdrawal = cursor.fee()
    next_sol_withdrawal = cursor.future_fee()
    return Fees(
        (sol_withdrawal, stake_withdrawal, sol_deposit, stake_deposit), next_sol_withdrawal + next_stake_withdrawal
    )
