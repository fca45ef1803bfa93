"""Facts of one Solana cluster from its nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import msgspec

from chains.errors import HistoryGone, NodeBusy, NodeWrong
from chains.model import AccountBytes, Block, ChainSpec, Finality, Skipped
from chains.ports import Head
from chains.rpc import NodePool, RpcFault
from chains.solana.answers import (
    OPTIONAL_HEADER,
    Header,
    Placed,
    Signature,
    Statuses,
    slot_block,
)
from chains.solana.asking import AT_ONCE, Asking, parts_of
from chains.solana.dialect import NOT_YET, SKIPPED, UNKNOWN_TRANSACTION, SolanaDialect
from chains.solana.lists import Lists, Silence, Teller
from chains.solana.looks import Look, Looks
from chains.solana.ports import ABSENT, RETURNED, AccountSet, Answer, Body, Listed, Listing, Read, SlotBlock
from chains.solana.second import Second, Witness
from chains.solana.source import LOOK_AROUND, ToWatch
from chains.solana.transactions import NEWEST_VERSION, text_of

PAGE = 1_000
"""Signatures in one page; the most that nodes give."""

SLOTS_AT_ONCE = 100_000
"""Slots in one getBlocks; nodes give up to 500,000."""

BLOCKS_TOGETHER, TRANSACTIONS_TOGETHER = 10, 100
"""Requests in one batch: providers allow more of transactions than of what else is history, and a block with its signatures may
have some hundred kilobytes."""

SECOND_TRIES = 2
"""How often a second opinion is asked for: without one a look counts too, and less."""

_WAITS_S = (0.2, 0.4, 0.8)
"""A block that was just confirmed may take a moment to be served."""


class _NotYet(NodeBusy):
    """A node does not serve a block that it spoke of."""


class _Unknown(NodeBusy):
    """A node does not know the transaction behind which a listing was to go on."""


class NodeSource:
    """Facts from nodes, through a pool, at the commitment of the chain's finality."""

    live = True

    def __init__(
        self, spec: ChainSpec, pool: NodePool, teller: Teller | None = None, witness: Witness | None = None
    ) -> None:
        self._spec = spec
        self._where = f"chain {spec.id}"
        self._ask = Asking(spec.id, pool)
        self._commitment = spec.finality
        self._anchors: dict[bytes, set[Listed]] = {}
        self._looks = Looks(self._where, self._ask, self._commitment, teller or Silence())
        self._look = Look()
        self.agreement: str | None = None
        self._witness = witness
        self._second: Second | None = None
        self._pool: NodePool | None = None
        if witness is not None:
            self._pool = NodePool(spec.id, SolanaDialect(), spec.rpc, observer=witness.observer, tries=SECOND_TRIES)
            ask = Asking(spec.id, self._pool)
            theirs = Looks(self._where, ask, self._commitment, Silence())
            self._second = Second(self._where, self._looks, theirs, ask, witness)

    async def look(self, accounts: ToWatch, sets: Sequence[AccountSet] = (), after: int = 0) -> Head:
        """Look at all accounts; the head is the newest block that everything was known of."""
        if self._witness is not None:
            self._witness.nodes.clear()
        look = await self._looks.take(accounts, sets, after)
        slot = look.slot or await self._slot(self._commitment)
        final = slot if self._commitment == Finality.FINALIZED else await self._slot(Finality.FINALIZED)
        block = (await self._patiently(slot)).block
        self.agreement = await self._compared(look, block)
        self._look = look
        return Head(latest=block, settled=min(final, slot), finality=Finality.FINALIZED)

    async def accounts(self, addresses: Sequence[bytes], least: int) -> dict[bytes, AccountBytes]:
        """Return what accounts hold now."""
        return await self._looks.accounts(addresses, least)

    @property
    def lists(self) -> Lists:
        """How sets are listed."""
        return self._looks.lists

    async def _compared(self, look: Look, head: Block) -> str | None:
        """Return why another node was not found to say the same, empty where it was, `None` where none is asked."""
        return None if self._second is None else await self._second.opinion(look, head)

    async def _slot(self, commitment: str) -> int:
        return await self._ask.one("getSlot", [{"commitment": commitment}], int)

    async def _patiently(self, slot: int) -> SlotBlock:
        for wait_s in _WAITS_S:
            try:
                return (await self.blocks([slot]))[slot]
            except _NotYet:
                await asyncio.sleep(wait_s)
        return (await self.blocks([slot]))[slot]

    def observed(self, first: int, last: int) -> list[tuple[bytes, AccountBytes]]:
        """Return the accounts of the last look, as far as it was made within the span."""
        return self._look.observed(first, last)

    def stored(self) -> None:
        """Let the next look ask for what changed since the last one."""
        self._looks.lists.stored()

    def forget(self) -> bool:
        """Let the next look ask for all; return whether the last one did."""
        return self._looks.lists.forget()

    def listed_at(self, wanted: AccountSet) -> Collection[bytes] | None:
        """Return whom the last look listed of a set."""
        listed = self._look.listed.get(wanted)
        return None if listed is None else listed.names

    def slot_of(self, wanted: AccountSet) -> int | None:
        """Return the slot of that list."""
        listed = self._look.listed.get(wanted)
        return None if listed is None else listed.slot

    @property
    def looked_from(self) -> int:
        """The slot of the oldest answer of the last look about sets and what they name."""
        return self._look.oldest

    @property
    def looked_to(self) -> int:
        """The head of the last look."""
        return self._look.slot

    async def gone(self, wanted: AccountSet, addresses: Collection[bytes], slot: int) -> dict[bytes, AccountBytes]:
        """Ask what became of accounts that are listed no more; raises `NodeWrong` for one that is there."""
        return await self._looks.gone(wanted, addresses, slot)

    def looked(self, address: bytes) -> AccountBytes | None:
        """Return what the last look saw of a single account."""
        return self._look.held.get(address) or self._look.seen.get(address)

    async def blocks(self, slots: Collection[int], *, place: Collection[str] = ()) -> dict[int, SlotBlock]:
        """Fetch blocks that are known to exist; raises `NodeBusy` or `NodeWrong` where the node does not give one."""
        try:
            return await self._headers(slots, frozenset(place))
        except RpcFault as fault:
            if fault.code in NOT_YET:
                raise _NotYet(f"{self._where}: {fault}, and spoke of it before; it lags, or moved") from fault
            raise NodeWrong(f"{self._where}: {fault}, and spoke of it before; it moved, or ask another") from fault

    async def _headers(self, slots: Collection[int], place: Collection[str] = ()) -> dict[int, SlotBlock]:
        options = {
            "commitment": self._commitment,
            "transactionDetails": "signatures" if place else "none",
            "rewards": False,
            "maxSupportedTransactionVersion": NEWEST_VERSION,
        }
        found: dict[int, SlotBlock] = {}
        for some in parts_of(sorted(slots), BLOCKS_TOGETHER * AT_ONCE):
            requests = [("getBlock", (slot, options)) for slot in some]
            headers = await self._ask.many(requests, OPTIONAL_HEADER, together=BLOCKS_TOGETHER)
            found |= {slot: self._slot_block(slot, header, place) for slot, header in zip(some, headers, strict=True)}
        return found

    def _slot_block(self, slot: int, header: Header | None, place: Collection[str]) -> SlotBlock:
        if header is None:
            raise _NotYet(f"{self._where}: the node has no block in slot {slot} yet")
        return slot_block(self._where, slot, header, place)

    async def block(self, slot: int) -> SlotBlock | Skipped | None:
        """Ask for a block; where the node claims a skipped slot, have the next block prove it."""
        try:
            return (await self._headers([slot]))[slot]
        except RpcFault as fault:
            if fault.code not in SKIPPED | NOT_YET:
                raise NodeWrong(f"{self._where}: {fault}") from fault
        return await self._proof(slot)

    async def _proof(self, slot: int) -> Skipped | None:
        """Find the block above a slot and see that it names a parent below; raises `NodeWrong` where it does not.

        A slot that was skipped since the last final block is "not available" to nodes, as one that is still to come is.
        """
        after = await self._ask.one("getBlocksWithLimit", [slot, 1, {"commitment": self._commitment}], list[int])
        if not after:
            return None
        if after[0] == slot:
            raise _NotYet(f"{self._where}: the node lists slot {slot} and does not serve its block yet")
        child = (await self.blocks([after[0]]))[after[0]]
        if not child.parent_slot < slot < after[0]:
            raise NodeWrong(
                f"{self._where}: the node says that slot {slot} was skipped, and that block {after[0]} follows"
                f" {child.parent_slot}; ask another"
            )
        return Skipped(number=slot, parent=child.parent_slot, child=after[0])

    async def floor(self, slot: int, first: int) -> int | None:
        """Search downward for a block."""
        width = LOOK_AROUND
        while slot >= first:
            low = max(first, slot - width + 1)
            found = await self.slots(low, slot)
            if found:
                return found[-1]
            slot, width = low - 1, min(width * 4, SLOTS_AT_ONCE)
        return None

    async def slots(self, first: int, last: int) -> list[int]:
        """List blocks, in pieces."""
        found: list[int] = []
        for low in range(first, last + 1, SLOTS_AT_ONCE):
            high = min(last, low + SLOTS_AT_ONCE - 1)
            some = await self._ask.one("getBlocks", [low, high, {"commitment": self._commitment}], list[int])
            if any(not low <= slot <= high for slot in some) or some != sorted(set(some)):
                raise NodeWrong(f"{self._where}: getBlocks gave slots outside {low}..{high}; check the node")
            found += some
        return found

    async def listed(self, address: bytes, first: int, last: int, settled: int) -> Listing:
        """Page through an account's signatures from the newest that matters to the first of the span.

        Pages begin at the head, or at the oldest known signature above the span that cannot change any more.
        """
        anchors = self._anchors.setdefault(address, set())
        anchor = min((anchor for anchor in anchors if anchor.slot > last), default=None)
        try:
            return await self._listing(address, anchor, first, last, settled)
        except _Unknown:
            if anchor is None:
                raise
            anchors.clear()
        return await self._listing(address, None, first, last, settled)

    async def _listing(self, address: bytes, start: Listed | None, first: int, last: int, settled: int) -> Listing:
        before = after = start
        found: list[Listed] = []
        while True:
            page = await self._page(address, before, last)
            if not page:
                await self._must_end(before, first)
                break
            above = [item for item in page if item.slot > last]
            after = Listed(above[-1].slot, above[-1].signature) if above else after
            found += [
                Listed(item.slot, item.signature) for item in page if first <= item.slot <= last and item.err is None
            ]
            before = Listed(page[-1].slot, page[-1].signature)
            if last < before.slot <= settled:
                self._anchors[address].add(before)
            if before.slot < first:
                break
        return Listing(tuple(reversed(found)), after)

    async def earlier(self, address: bytes, slot: int) -> bool:
        """Page down to the first transaction before a slot."""
        before = min((anchor for anchor in self._anchors.get(address, ()) if anchor.slot >= slot), default=None)
        while page := await self._page(address, before, slot):
            if any(item.slot < slot and item.err is None for item in page):
                return True
            before = Listed(page[-1].slot, page[-1].signature)
        return False

    async def _page(self, address: bytes, before: Listed | None, last: int) -> list[Signature]:
        options: dict[str, object] = {"commitment": self._commitment, "limit": PAGE, "minContextSlot": last}
        if before is not None:
            options["before"] = before.signature
        request = ("getSignaturesForAddress", (text_of(address), options))
        try:
            (page,) = await self._ask.many([request], list[Signature], together=1)
        except RpcFault as fault:
            if before is not None and fault.code == UNKNOWN_TRANSACTION:
                raise self._unknown(before) from fault
            raise NodeWrong(f"{self._where}: {fault}") from fault
        slots = [item.slot for item in page]
        if slots != sorted(slots, reverse=True) or (before is not None and slots and slots[0] > before.slot):
            raise NodeWrong(f"{self._where}: getSignaturesForAddress is not in order; check the node")
        return page

    async def _must_end(self, before: Listed | None, first: int) -> None:
        """See that the end of a listing is the end of the chain, and not of what the node keeps or has heard of."""
        kept = await self._ask.one("getFirstAvailableBlock", [], int)
        if kept > first:
            raise HistoryGone(
                f"{self._where}: the node keeps blocks from {kept} on, and slot {first} is needed;"
                " use a node with the whole history, or a later `start_block`"
            )
        if before is None:
            return
        search = {"searchTransactionHistory": True}
        known = await self._ask.one("getSignatureStatuses", [[before.signature], search], Statuses)
        reached = {self._commitment, Finality.FINALIZED}
        if not any(status is not None and status.confirmation_status in reached for status in known.value):
            raise self._unknown(before)

    def _unknown(self, before: Listed) -> _Unknown:
        return _Unknown(f"{self._where}: the node does not know transaction {before.signature}, which another listed")

    async def bodies(self, listed: Sequence[Listed]) -> list[Body]:
        """Fetch transactions; raises `NodeBusy` for one that the node does not have yet."""
        options = {
            "commitment": self._commitment,
            "encoding": "json",
            "maxSupportedTransactionVersion": NEWEST_VERSION,
        }
        requests = [("getTransaction", (item.signature, options)) for item in listed]
        try:
            said = await self._ask.many(requests, msgspec.Raw, together=TRANSACTIONS_TOGETHER)
        except RpcFault as fault:
            raise NodeWrong(f"{self._where}: {fault}") from fault
        return [self._body(item, raw) for item, raw in zip(listed, said, strict=True)]

    def _body(self, listed: Listed, raw: msgspec.Raw) -> Body:
        where = f"{self._where}: transaction {listed.signature} of slot {listed.slot}"
        if bytes(raw) == b"null":
            raise NodeBusy(f"{where} is listed and not there yet")
        placed = self._ask.decoded("getTransaction", raw, Placed)
        if placed.transaction.signatures[:1] != [listed.signature]:
            raise NodeWrong(f"{where} was asked for, and another was given; check the node")
        if placed.slot != listed.slot:
            raise NodeWrong(f"{where} is said to be in another slot; it moved")
        try:
            return Body(bytes(raw).decode(), placed.transaction_index)
        except UnicodeDecodeError as error:
            raise NodeWrong(f"{where} is no text ({error.reason}); check the node") from error

    async def read(self, reads: Collection[Read]) -> dict[Read, Answer]:
        """Read accounts as they are now."""
        held = await self._looks.accounts(sorted({read.address for read in reads}))
        return {read: _answer(held[read.address]) for read in reads}

    def another(self) -> int:
        """Ask another node first, and it for all."""
        self._looks.lists.forget()
        return self._ask.another()

    def first(self) -> None:
        """Ask the first configured node first again."""
        self._ask.first()

    async def aclose(self) -> None:
        """Close connections."""
        if self._pool is not None:
            await self._pool.aclose()
        await self._ask.aclose()


def _answer(account: AccountBytes) -> Answer:
    return Answer(ABSENT if account.closed else RETURNED, account.data, account.slot)
