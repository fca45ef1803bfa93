"""Facts of one Solana cluster from what was stored of its nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chains.errors import HistoryGone, Unsupported
from chains.identifiers import base58
from chains.model import AccountBytes, Block, Finality, Skipped
from chains.ports import Head, RawReader
from chains.solana.ports import AccountSet, Answer, Body, Listed, Listing, Read, SlotBlock
from chains.solana.source import ToWatch


class StoredSource:
    """Facts from raw rows: what was not stored does not exist."""

    live = False
    agreement: str | None = None

    def __init__(self, raw: RawReader, cursor: Block) -> None:
        self._raw = raw
        self._cursor = cursor
        self._answers: dict[tuple[str, bytes], list[tuple[int, Answer]]] = {}
        self._listing: tuple[int, int, Listing] = (0, -1, Listing((), None))
        for row in raw.table("solana_read", 0, cursor.number).to_pylist():
            answer = Answer(row["outcome"], row["output"], row["context_slot"])
            self._answers.setdefault((row["method"], row["address"]), []).append((row["slot"], answer))

    async def look(self, accounts: ToWatch, sets: Sequence[AccountSet] = (), after: int = 0) -> Head:
        """Return the last stored block, for both."""
        del accounts, sets, after
        return Head(latest=self._cursor, settled=self._cursor.number, finality=Finality.FINALIZED)

    def observed(self, first: int, last: int) -> list[tuple[bytes, AccountBytes]]:
        """Return the stored account rows of a span."""
        rows = self._raw.table("solana_account", first, last).to_pylist()
        seen = [
            (row["address"], AccountBytes(row["slot"], row["owner"], int(row["lamports"]), row["data"], row["closed"]))
            for row in rows
        ]
        return sorted(seen, key=lambda item: (item[1].slot, item[0]))

    async def blocks(self, slots: Collection[int], *, place: Collection[str] = ()) -> dict[int, SlotBlock]:
        """Return stored blocks; stored transactions know their places."""
        del place
        if not slots:
            return {}
        rows = self._raw.table("solana_block", min(slots), max(slots)).to_pylist()
        return {row["slot"]: _stored_block(row) for row in rows if row["slot"] in slots}

    async def block(self, slot: int) -> SlotBlock | Skipped | None:
        """Return a stored block."""
        return (await self.blocks([slot])).get(slot)

    async def floor(self, slot: int, first: int) -> int | None:
        """Return the newest stored block's slot."""
        return max(await self.slots(first, slot), default=None)

    async def slots(self, first: int, last: int) -> list[int]:
        """Return the slots of stored blocks."""
        found: list[int] = self._raw.table("solana_block", first, last)["slot"].to_pylist()
        return found

    def stored(self) -> None:
        """Do nothing: no look is made."""

    def forget(self) -> bool:
        """Return yes: no look is made."""
        return True

    def listed_at(self, wanted: AccountSet) -> None:
        """Return nothing: what was closed is stored as such."""
        del wanted

    def slot_of(self, wanted: AccountSet) -> int | None:
        """Return nothing: no node was asked."""
        del wanted
        return None

    looked_from = looked_to = 0

    async def accounts(self, addresses: Sequence[bytes], least: int) -> dict[bytes, AccountBytes]:
        """Refuse: what is stored is of the past."""
        del addresses, least
        raise Unsupported("what accounts hold now is not stored; ask nodes")

    async def gone(self, wanted: AccountSet, addresses: Collection[bytes], slot: int) -> dict[bytes, AccountBytes]:
        """Return nothing: what was closed is stored as such."""
        del wanted, addresses, slot
        return {}

    def looked(self, address: bytes) -> None:
        """Return nothing: no node was asked."""

    async def listed(self, address: bytes, first: int, last: int, settled: int) -> Listing:
        """Return every stored transaction of the span, whatever the account: each names one that matters to somebody."""
        del address, settled
        if self._listing[:2] != (first, last):
            rows = self._raw.table("solana_transaction", first, last).select(["slot", "signature"]).to_pylist()
            found = tuple(Listed(row["slot"], base58(row["signature"])) for row in rows)
            self._listing = first, last, Listing(found, None)
        return self._listing[2]

    async def earlier(self, address: bytes, slot: int) -> bool:
        """Return no: what was stored was compared then."""
        del address, slot
        return False

    async def bodies(self, listed: Sequence[Listed]) -> list[Body]:
        """Return stored transactions, which know their places."""
        if not listed:
            return []
        rows = self._raw.table("solana_transaction", listed[0].slot, listed[-1].slot).to_pylist()
        found = {base58(row["signature"]): Body(row["body"], row["tx_index"]) for row in rows}
        return [found[item.signature] for item in listed]

    async def read(self, reads: Collection[Read]) -> dict[Read, Answer]:
        """Answer from what was stored: an answer holds until the next of the same question."""
        return {read: self._stored(read) for read in reads}

    def _stored(self, read: Read) -> Answer:
        history = self._answers.get((read.method, read.address), [])
        known = [answer for slot, answer in history if slot <= read.slot]
        if not known:
            raise HistoryGone(
                f"no stored answer about {base58(read.address)} for slot {read.slot};"
                " this store was not indexed by this version: index again from the chain"
            )
        return known[-1]

    def another(self) -> int:
        """Return none: there is no node."""
        return 0

    def first(self) -> None:
        """Do nothing: there is no node."""

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


def _stored_block(row: Mapping[str, Any]) -> SlotBlock:
    block = Block(number=row["slot"], hash=row["hash"], parent_hash=row["parent_hash"], time=row["time"])
    return SlotBlock(block, row["parent_slot"], row["height"], {})
