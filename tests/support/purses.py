"""A made-up program whose accounts are purses: who owns one and how much is in it; and a till that names an account with a price.

Only the adapter is tested with it: what its numbers are is in the bytes as they stand.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from random import Random

from solders.pubkey import Pubkey

from chains.model import END_OF_BLOCK, AccountBytes, Basis, MarketChange, PositionChange, Rows, Side, VenueSpec
from chains.ports import StateReader
from chains.solana.ports import AccountSet
from tests.devnet.solana.ledger import Ledger

ENGINE = "purses-1"
PROGRAM, STRANGER = bytes([7]) * 32, bytes([8]) * 32
TAG = b"purse..1"
OWNER, MARKET, AMOUNT = slice(8, 40), slice(40, 72), slice(72, 80)
TICK = (80, 8)
PURSE_SIZE, TILL_SIZE = 88, 72


def purse(owner: bytes, market: bytes, amount: int, tick: int) -> bytes:
    """The bytes of a purse; `tick` is another whenever anything in it is."""
    return TAG + owner + market + amount.to_bytes(8, "little") + tick.to_bytes(8, "little")


class Purses:
    """The fold of all purses of one market."""

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue
        self.sets: Sequence[AccountSet] = (
            AccountSet("purse", PROGRAM, PURSE_SIZE, ((0, TAG), (MARKET.start, venue.address)), TICK, OWNER.start),
            AccountSet("till", PROGRAM, TILL_SIZE, ((8, venue.address),)),
        )

    def others(self, state: StateReader) -> Collection[bytes]:
        return [
            bytes.fromhex(json.loads(text)["price"])
            for (_, aspect), text in state.markets(self.venue.id).items()
            if aspect == "till"
        ]

    def fold(self, state: StateReader, seen: Sequence[tuple[bytes, AccountBytes]]) -> Rows:
        rows, known = Rows(), set(state.units(self.venue.id))
        for address, account in seen:
            if self.sets[0].has(account):
                known.add(address)
                rows.positions.append(self._held(address, account, account.data[OWNER], account.data[AMOUNT]))
            elif account.closed and address in known:
                rows.positions.append(self._held(address, account, b"", b""))
            elif self.sets[1].has(account):
                rows.markets.append(self._said(address, account, "till", price=account.data[40:].hex()))
            elif account.owner != PROGRAM:
                rows.markets.append(self._said(address, account, "price", data=account.data.hex()))
        return rows

    def _held(self, address: bytes, account: AccountBytes, owner: bytes, amount: bytes) -> PositionChange:
        return PositionChange(
            account.slot, -1, END_OF_BLOCK, self.venue.id, address, owner, self.venue.address, Side.SUPPLY,
            self.venue.address, int.from_bytes(amount, "little"), ENGINE, Basis.OBSERVED,
        )  # fmt: skip

    def _said(self, address: bytes, account: AccountBytes, aspect: str, **state: str) -> MarketChange:
        text = json.dumps(state)
        return MarketChange(
            account.slot, -1, END_OF_BLOCK, self.venue.id, address, aspect, text, ENGINE, Basis.OBSERVED
        )


class World:
    """Purses on a ledger, and what a crowd does to them."""

    def __init__(self, ledger: Ledger, market: bytes, seed: int, *, base: int = 0) -> None:
        self.ledger = ledger
        self.market = market
        self.random = Random(seed)
        self.tick = 0
        self.open: list[bytes] = []
        self.base = base
        self.made = 0
        self.price = bytes([9]) * 32
        self.point(self.price)
        self.reprice()
        ledger.mine()

    def live(self, blocks: int) -> None:
        """Some blocks in which purses are made, filled, and thrown away."""
        for _ in range(blocks):
            self.ledger.skip(self.random.choice([0, 0, 1, 3]))
            for _ in range(self.random.randrange(4)):
                self.random.choice([self.make, self.fill, self.fill, self.throw_away, self.reprice, self.disturb])()
            self.ledger.mine()

    def make(self) -> None:
        self.made += 1
        self.open.append(self._address(self.made))
        self._fill(self.open[-1])

    def fill(self) -> None:
        if self.open:
            self._fill(self.random.choice(self.open))

    def fill_quietly(self) -> None:
        """Change the amount alone, as nothing else in its bytes shows."""
        if self.open:
            address = self.random.choice(self.open)
            image = self.ledger.read(Pubkey(address))
            assert image is not None
            amount = self.random.randrange(2**64).to_bytes(8, "little")
            self._put(address, image.data[: AMOUNT.start] + amount + image.data[AMOUNT.stop :])

    def throw_away(self) -> None:
        if self.open:
            self.ledger.close(Pubkey(self.open.pop(self.random.randrange(len(self.open)))))

    def reprice(self) -> None:
        self.post(self.price, self.random.randbytes(8))

    def post(self, price: bytes, data: bytes) -> None:
        """Write a price account."""
        self._put(price, data, owner=STRANGER)

    def point(self, price: bytes) -> None:
        """Let the till name a price account."""
        self.price = price
        self.till(0, price)

    def till(self, number: int, price: bytes) -> None:
        """One of several tills, with the price account that it names."""
        self._put((self.base + 6).to_bytes(31) + bytes([number]), b"till...1" + self.market + price)

    def disturb(self) -> None:
        """A purse of another market, and an account of another size: neither is the venue's."""
        self._put(b"\xaa" * 32, purse(b"\x01" * 32, b"\x02" * 32, self.random.randrange(2**64), self.tick))
        self._put(b"\xab" * 32, TAG + self.market)

    def _address(self, number: int) -> bytes:
        return (self.base + 100 + number).to_bytes(32)

    def _fill(self, address: bytes) -> None:
        self.tick += 1
        owner = bytes([address[-1] % 5 + 1]) * 32
        self._put(address, purse(owner, self.market, self.random.randrange(2**64), self.tick))

    def _put(self, address: bytes, data: bytes, owner: bytes = PROGRAM) -> None:
        self.ledger.set_account(Pubkey(address), owner=Pubkey(owner), data=data)

    def held_at(self, slot: int) -> Iterator[tuple[bytes, int]]:
        """What is in each purse that was ever made, after a slot."""
        for address in map(self._address, range(1, self.made + 1)):
            image = self.ledger.account_at(Pubkey(address), slot)
            yield address, 0 if image is None else int.from_bytes(image.data[AMOUNT], "little")
