"""What the program notes of its own instructions (`programs/marginfi/src/events.rs`): account events, as far as history needs them.

All begin with a header: who signed (or nobody), the account, its authority, its group.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from chains.solana.anchor import TAG, event_tag

KEY = 32
MOVED = {event_tag(f"LendingAccount{name}Event"): name for name in ("Deposit", "Withdraw", "Borrow", "Repay")}
LIQUIDATED = event_tag("LendingAccountLiquidateEvent")
BANKRUPT = event_tag("LendingPoolBankHandleBankruptcyEvent")
_DOUBLE = 8


class Header(NamedTuple):
    """Which account an event is about; `signer` may be another than its `authority`."""

    signer: bytes | None
    account: bytes
    authority: bytes
    group: bytes


class Moved(NamedTuple):
    """A deposit, withdrawal, loan or repayment: raw units of a bank's token; a loan with its fee."""

    header: Header
    bank: bytes
    mint: bytes
    amount: int


class Liquidated(NamedTuple):
    """A liquidation; the header's account is the liquidator's. Balances before and after, in raw units as doubles."""

    header: Header
    account: bytes
    authority: bytes
    asset_bank: bytes
    asset_mint: bytes
    debt_bank: bytes
    debt_mint: bytes
    before: tuple[float, float, float, float]
    after: tuple[float, float, float, float]


class Bankrupt(NamedTuple):
    """A debt that was written off, in raw units as a double."""

    header: Header
    bank: bytes
    mint: bytes
    bad_debt: float


class _Reader:
    def __init__(self, event: bytes) -> None:
        self._event, self._at = event, TAG

    def key(self) -> bytes:
        self._at += KEY
        found = self._event[self._at - KEY : self._at]
        if len(found) < KEY:
            raise ValueError("the event is cut off")
        return found

    def number(self, form: str) -> tuple[float, ...]:
        """Return numbers of eight bytes each."""
        try:
            found = struct.unpack_from(f"<{form}", self._event, self._at)
        except struct.error as error:
            raise ValueError("the event is cut off") from error
        self._at += len(found) * _DOUBLE
        return found

    def header(self) -> Header:
        given = self._event[self._at : self._at + 1] == b"\1"
        self._at += 1
        return Header(self.key() if given else None, self.key(), self.key(), self.key())


def moved(event: bytes) -> Moved:
    """Read an event of `MOVED`; raises `ValueError`."""
    read = _Reader(event)
    return Moved(read.header(), read.key(), read.key(), int(read.number("Q")[0]))


def liquidated(event: bytes) -> Liquidated:
    """Read an event of a liquidation; raises `ValueError`."""
    read = _Reader(event)
    header = read.header()
    keys = [read.key() for _ in range(6)]
    read.number("2d")
    before, after = read.number("4d"), read.number("4d")
    return Liquidated(header, keys[0], keys[1], keys[2], keys[3], keys[4], keys[5], _four(before), _four(after))


def _four(numbers: tuple[float, ...]) -> tuple[float, float, float, float]:
    first, second, third, fourth = numbers
    return first, second, third, fourth


def bankrupt(event: bytes) -> Bankrupt:
    """Read an event of a bankruptcy; raises `ValueError`."""
    read = _Reader(event)
    return Bankrupt(read.header(), read.key(), read.key(), read.number("d")[0])
