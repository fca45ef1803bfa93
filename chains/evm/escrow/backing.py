"""What a vault holds beside what its depositors claim, where `check_every` asks for it.

Aspects of a token: `claims` {"claims"}, the sum of all positive amounts after each block that changed it; `vault` {"balance", "claims"},
after every block whose number is a multiple of `check_every` and in which it is another than before; a balance is null where there was no
answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from chains.escrow import ENGINE, VAULT
from chains.evm.abi import Function
from chains.evm.escrow.coin import Coin
from chains.evm.ports import BALANCE, PENDING, STATE, Answer, Read, Reads
from chains.model import END_OF_BLOCK, Basis, MarketChange, VenueSpec
from chains.ports import MarketKey

CLAIMS = "claims"
BALANCE_OF = Function("balanceOf(address)", "uint256")
_WORD = 32

Moved = tuple[int, bytes, int, int]
"""Block, asset, and somebody's amount of it before and after a movement."""


class Backing:
    """Compares what a vault holds with what is claimed, over one span."""

    def __init__(
        self, venue: VenueSpec, markets: Mapping[MarketKey, str], reads: Reads, *, every: int, coin: Coin | None
    ) -> None:
        self._venue = venue
        self._reads = reads
        self._every = every
        self._coin = coin
        self._claims = {
            asset: int(json.loads(text)["claims"]) for (asset, aspect), text in markets.items() if aspect == CLAIMS
        }
        self._vaults = {asset: text for (asset, aspect), text in markets.items() if aspect == VAULT}
        self._rows: list[MarketChange] = []

    def rows(self, moves: Iterable[Moved]) -> list[MarketChange]:
        """Return the rows of the span; they mean nothing while an answer is still to come."""
        by_block = {block: list(some) for block, some in groupby(moves, key=itemgetter(0))}
        first = -(-self._reads.first // self._every) * self._every
        asked = range(first, self._reads.last + 1, self._every)
        for block in sorted({*by_block, *asked}):
            self._move(block, by_block.get(block, ()))
            if block in asked:
                for asset in sorted(self._claims):
                    self._check(block, asset)
        return self._rows

    def _move(self, block: int, moves: Sequence[Moved]) -> None:
        changed = {asset: self._claims.get(asset) for _, asset, _, _ in moves}
        for _, asset, before, after in moves:
            self._claims[asset] = self._claims.get(asset, 0) + max(after, 0) - max(before, 0)
        for asset, earlier in changed.items():
            if self._claims[asset] != earlier:
                self._note(block, asset, CLAIMS, {"claims": str(self._claims[asset])})

    def _check(self, block: int, asset: bytes) -> None:
        read, noted = self._question(block, asset), self._vaults.get(asset)
        answer = self._reads.glance(read) if noted else self._reads.tell(read)
        if answer is PENDING:
            return
        said = {"balance": _balance(answer), "claims": str(self._claims[asset])}
        if noted is not None and json.loads(noted)["balance"] != said["balance"]:
            self._reads.tell(read)
        if (text := _json(said)) != noted:
            self._vaults[asset] = text
            self._note(block, asset, VAULT, said)

    def _question(self, block: int, asset: bytes) -> Read:
        if self._coin is not None and asset == self._coin.asset:
            return Read(block, BALANCE, self._venue.address, b"")
        return Read(block, STATE, asset, BALANCE_OF.calldata(self._venue.address))

    def _note(self, block: int, asset: bytes, aspect: str, said: object) -> None:
        place = block, -1, END_OF_BLOCK
        self._rows.append(MarketChange(*place, self._venue.id, asset, aspect, _json(said), ENGINE, Basis.SETTLED))


def _balance(answer: Answer) -> str | None:
    told = answer.returned and len(answer.output) == _WORD
    return str(int.from_bytes(answer.output)) if told else None


def _json(said: object) -> str:
    return json.dumps(said, separators=(",", ":"))
