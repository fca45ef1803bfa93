"""Facts of one Solana cluster: from its nodes, or from what was stored of them."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from chains.errors import HistoryGone, NodeBusy, NodeWrong
from chains.identifiers import IdentifierError, base58, from_base58
from chains.model import AccountBytes, Block, ChainSpec, Finality, Skipped
from chains.ports import Head, RawReader
from chains.rpc import NodePool, RpcFault
from chains.solana.dialect import NOT_YET, SKIPPED
from chains.solana.ports import ABSENT, RETURNED, Answer, Listed, Read, Said, SlotBlock
from chains.solana.transactions import text_of

T = TypeVar("T")

PAGE = 1_000
"""Signatures in one page; the most that nodes give."""

ACCOUNTS_AT_ONCE = 100
"""Accounts in one getMultipleAccounts; the most that nodes give."""

SLOTS_AT_ONCE = 100_000
"""Slots in one getBlocks; nodes give up to 500,000."""

LOOK_AROUND = 512
"""How many slots at first are searched for a block beside a skipped slot."""

FULL_BLOCKS_AT_ONCE = 10
"""Blocks with their signatures in one batch: each may be some hundred kilobytes."""

AT_ONCE = 8
"""Requests, or batches of them, under way at one time."""

_WAITS_S = (0.2, 0.4, 0.8)
"""A block that was just confirmed may take a moment to be served."""


class SolanaSource(Protocol):
    """Facts of one cluster at the commitment that is followed."""

    live: bool
    """Whether facts come from nodes, which may err."""

    async def look(self, accounts: Sequence[bytes]) -> Head:
        """Return the newest block and the newest final slot, and remember the bytes that those accounts have there."""
        ...

    async def blocks(self, slots: Collection[int], *, place: Collection[str] = ()) -> dict[int, SlotBlock]:
        """Return the blocks of slots that hold one, with the places of some transactions; raises `NodeWrong` for a slot that does not."""
        ...

    async def block(self, slot: int) -> SlotBlock | Skipped | None:
        """Return the block of a slot, the proof that there is none, or `None` where the nodes are not there yet."""
        ...

    async def floor(self, slot: int, first: int) -> int | None:
        """Return the newest slot in `first`..`slot` that holds a block."""
        ...

    async def slots(self, first: int, last: int) -> list[int]:
        """Return the slots of a span that hold a block, as the nodes list them."""
        ...

    async def listed(self, address: bytes, first: int, last: int, settled: int) -> list[Listed]:
        """Return the transactions of a span that name an account and did not fail, oldest first."""
        ...

    async def said(self, listed: Sequence[Listed], blocks: Mapping[int, SlotBlock]) -> list[Said]:
        """Return transactions with their places in their blocks."""
        ...

    def observed(self, first: int, last: int) -> list[tuple[bytes, AccountBytes]]:
        """Return what the last look saw of accounts in slots of a span, by slot and address."""
        ...

    async def read(self, reads: Collection[Read]) -> dict[Read, Answer]:
        """Answer questions about state that no transaction carries."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class _Header(msgspec.Struct, rename="camel"):
    blockhash: str
    previous_blockhash: str
    parent_slot: int
    block_time: int | None = None
    block_height: int | None = None
    signatures: list[str] = []


class _Context(msgspec.Struct):
    slot: int


class _Account(msgspec.Struct):
    lamports: int
    owner: str
    data: tuple[str, str]


class _Accounts(msgspec.Struct):
    context: _Context
    value: list[_Account | None]


class _Signature(msgspec.Struct):
    signature: str
    slot: int
    err: Any = None


class _Placed(msgspec.Struct):
    slot: int


class _Statuses(msgspec.Struct):
    value: list[_Placed | None]


_OptionalHeader: Any = _Header | None


class NodeSource:
    """Facts from nodes, through a pool, at the commitment of the chain's finality."""

    live = True

    def __init__(self, spec: ChainSpec, pool: NodePool) -> None:
        self._spec = spec
        self._pool = pool
        self._commitment = spec.finality
        self._anchors: dict[bytes, set[Listed]] = {}
        self._looked: dict[bytes, AccountBytes] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def look(self, accounts: Sequence[bytes]) -> Head:
        """Read all accounts in one request each hundred; the head is the block of the newest answer's slot."""
        found: dict[bytes, AccountBytes] = {}
        slot = 0
        for start in range(0, len(accounts), ACCOUNTS_AT_ONCE):
            some = accounts[start : start + ACCOUNTS_AT_ONCE]
            at, held = await self._accounts(some)
            found |= held
            slot = max(slot, at)
        slot = slot or await self._slot(self._commitment)
        final = slot if self._commitment == Finality.FINALIZED else await self._slot(Finality.FINALIZED)
        block = (await self._patiently(slot)).block
        self._looked = found
        return Head(latest=block, settled=min(final, slot), finality=Finality.FINALIZED)

    async def _slot(self, commitment: str) -> int:
        return await self._call("getSlot", [{"commitment": commitment}], int)

    async def _accounts(self, addresses: Sequence[bytes]) -> tuple[int, dict[bytes, AccountBytes]]:
        options = {"encoding": "base64", "commitment": self._commitment}
        said = await self._call(
            "getMultipleAccounts", [[text_of(address) for address in addresses], options], _Accounts
        )
        if len(said.value) != len(addresses):
            raise NodeWrong(f"chain {self._spec.id}: getMultipleAccounts left accounts out; check the node")
        slot = said.context.slot
        return slot, {a: _bytes(slot, account) for a, account in zip(addresses, said.value, strict=True)}

    async def _patiently(self, slot: int) -> SlotBlock:
        for wait_s in _WAITS_S:
            try:
                return (await self.blocks([slot]))[slot]
            except NodeBusy:
                await asyncio.sleep(wait_s)
        return (await self.blocks([slot]))[slot]

    def observed(self, first: int, last: int) -> list[tuple[bytes, AccountBytes]]:
        """Return the accounts of the last look, as far as it was made within the span."""
        seen = [(address, account) for address, account in self._looked.items() if first <= account.slot <= last]
        return sorted(seen, key=lambda item: (item[1].slot, item[0]))

    async def blocks(self, slots: Collection[int], *, place: Collection[str] = ()) -> dict[int, SlotBlock]:
        """Fetch blocks that are known to exist; raises `NodeWrong` where the node says they do not."""
        try:
            return await self._headers(slots, frozenset(place))
        except RpcFault as fault:
            raise NodeWrong(
                f"chain {self._spec.id}: {fault}, and listed it before; it moved, or ask another"
            ) from fault

    async def _headers(self, slots: Collection[int], place: Collection[str] = ()) -> dict[int, SlotBlock]:
        wanted = sorted(slots)
        options = {
            "commitment": self._commitment,
            "transactionDetails": "signatures" if place else "none",
            "rewards": False,
            "maxSupportedTransactionVersion": 0,
        }
        size = FULL_BLOCKS_AT_ONCE if place else self._pool.batch_size
        found: dict[int, SlotBlock] = {}
        for start in range(0, len(wanted), size * AT_ONCE):
            some = wanted[start : start + size * AT_ONCE]
            headers = await self._batch([("getBlock", (slot, options)) for slot in some], _OptionalHeader, size)
            found |= {slot: self._slot_block(slot, header, place) for slot, header in zip(some, headers, strict=True)}
        return found

    def _slot_block(self, slot: int, header: _Header | None, place: Collection[str]) -> SlotBlock:
        if header is None:
            raise NodeBusy(f"chain {self._spec.id}: the node has no block in slot {slot} yet")
        if header.block_time is None:
            raise NodeWrong(f"chain {self._spec.id}: the node does not know the time of slot {slot}; ask another")
        try:
            hashes = from_base58(header.blockhash), from_base58(header.previous_blockhash)
        except IdentifierError as error:
            raise NodeWrong(f"chain {self._spec.id}: slot {slot} has a malformed hash; check the node") from error
        block = Block(number=slot, hash=hashes[0], parent_hash=hashes[1], time=header.block_time)
        places = {signature: index for index, signature in enumerate(header.signatures) if signature in place}
        return SlotBlock(block, header.parent_slot, header.block_height, places)

    async def block(self, slot: int) -> SlotBlock | Skipped | None:
        """Ask for a block; where the node claims a skipped slot, have the next block prove it."""
        try:
            return (await self._headers([slot]))[slot]
        except RpcFault as fault:
            if fault.code not in SKIPPED | NOT_YET:
                raise NodeWrong(f"chain {self._spec.id}: {fault}") from fault
        return await self._proof(slot)

    async def _proof(self, slot: int) -> Skipped | None:
        """Find the block above a slot and see that it names a parent below; raises `NodeWrong` where it does not.

        A slot that was skipped since the last final block is "not available" to nodes, as one that is still to come is.
        """
        after = await self._call("getBlocksWithLimit", [slot, 1, {"commitment": self._commitment}], list[int])
        if not after:
            return None
        if after[0] == slot:
            raise NodeBusy(f"chain {self._spec.id}: the node lists slot {slot} and does not serve its block yet")
        child = (await self.blocks([after[0]]))[after[0]]
        if child.parent_slot >= slot:
            raise NodeWrong(
                f"chain {self._spec.id}: the node says that slot {slot} was skipped, and that block {after[0]} follows"
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
            some = await self._call("getBlocks", [low, high, {"commitment": self._commitment}], list[int])
            if any(not low <= slot <= high for slot in some) or some != sorted(set(some)):
                raise NodeWrong(f"chain {self._spec.id}: getBlocks gave slots outside {low}..{high}; check the node")
            found += some
        return found

    async def listed(self, address: bytes, first: int, last: int, settled: int) -> list[Listed]:
        """Page through an account's signatures from the newest that matters to the first of the span.

        Pages begin at the head, or at the oldest known signature above the span that cannot change any more.
        """
        anchors = self._anchors.setdefault(address, set())
        before = min((anchor for anchor in anchors if anchor.slot > last), default=None)
        found: list[_Signature] = []
        while True:
            page = await self._page(address, before, last)
            if not page:
                await self._must_end(before, first)
                break
            found += [item for item in page if first <= item.slot <= last and item.err is None]
            before = Listed(page[-1].slot, page[-1].signature)
            if last < before.slot <= settled:
                anchors.add(before)
            if before.slot < first:
                break
        return [Listed(item.slot, item.signature) for item in reversed(found)]

    async def _page(self, address: bytes, before: Listed | None, last: int) -> list[_Signature]:
        options: dict[str, object] = {"commitment": self._commitment, "limit": PAGE, "minContextSlot": last}
        if before is not None:
            options["before"] = before.signature
        page = await self._call("getSignaturesForAddress", [text_of(address), options], list[_Signature])
        slots = [item.slot for item in page]
        if slots != sorted(slots, reverse=True) or (before is not None and slots and slots[0] > before.slot):
            raise NodeWrong(f"chain {self._spec.id}: getSignaturesForAddress is not in order; check the node")
        return page

    async def _must_end(self, before: Listed | None, first: int) -> None:
        """See that the end of a listing is the end of the chain, and not of what the node keeps or has heard of."""
        kept = await self._call("getFirstAvailableBlock", [], int)
        if kept > first:
            raise HistoryGone(
                f"chain {self._spec.id}: the node keeps blocks from {kept} on, and slot {first} is needed;"
                " use a node with the whole history, or a later `start_block`"
            )
        if before is None:
            return
        search = {"searchTransactionHistory": True}
        known = await self._call("getSignatureStatuses", [[before.signature], search], _Statuses)
        if any(status is not None for status in known.value):
            return
        raise NodeBusy(
            f"chain {self._spec.id}: the node does not know transaction {before.signature}, which another listed"
        )

    async def said(self, listed: Sequence[Listed], blocks: Mapping[int, SlotBlock]) -> list[Said]:
        """Fetch transactions and place each in its block; raises `NodeBusy` for one that the node does not have yet."""
        options = {"commitment": self._commitment, "encoding": "json", "maxSupportedTransactionVersion": 0}
        requests = [("getTransaction", (item.signature, options)) for item in listed]
        bodies = await self._batch(requests, msgspec.Raw)
        return [self._placed(item, body, blocks[item.slot]) for item, body in zip(listed, bodies, strict=True)]

    def _placed(self, listed: Listed, raw: msgspec.Raw, block: SlotBlock) -> Said:
        where = f"chain {self._spec.id}: transaction {listed.signature} of slot {listed.slot}"
        if bytes(raw) == b"null":
            raise NodeBusy(f"{where} is listed and not there yet")
        if self._pool.decoded("getTransaction", raw, _Placed).slot != listed.slot:
            raise NodeWrong(f"{where} is said to be in another slot; it moved")
        if listed.signature not in block.places:
            raise NodeWrong(f"{where} is not in the block of that slot; it moved")
        return Said(
            slot=listed.slot,
            tx_index=block.places[listed.signature],
            signature=from_base58(listed.signature),
            block_hash=block.block.hash,
            body=bytes(raw).decode(),
        )

    async def read(self, reads: Collection[Read]) -> dict[Read, Answer]:
        """Read accounts as they are now."""
        wanted = sorted(reads)
        addresses = sorted({read.address for read in wanted})
        held: dict[bytes, AccountBytes] = {}
        for start in range(0, len(addresses), ACCOUNTS_AT_ONCE):
            held |= (await self._accounts(addresses[start : start + ACCOUNTS_AT_ONCE]))[1]
        return {read: _answer(held[read.address]) for read in wanted}

    async def _call(self, method: str, params: Sequence[object], kind: type[T]) -> T:
        try:
            return await self._pool.call(method, params, kind)
        except RpcFault as fault:
            raise NodeWrong(f"chain {self._spec.id}: {fault}") from fault

    async def _batch(
        self, requests: Sequence[tuple[str, Sequence[object]]], kind: type[T], size: int | None = None
    ) -> list[T]:
        """Ask in batches of `size`, several at one time."""
        step = size or self._pool.batch_size
        parts = [requests[start : start + step] for start in range(0, len(requests), step)]

        async def ask(part: Sequence[tuple[str, Sequence[object]]]) -> list[T]:
            async with self._turns:
                return await self._pool.batch(part, kind)

        return [answer for answers in await asyncio.gather(*map(ask, parts)) for answer in answers]

    async def aclose(self) -> None:
        """Close connections."""
        await self._pool.aclose()


class StoredSource:
    """Facts from raw rows: what was not stored does not exist."""

    live = False

    def __init__(self, raw: RawReader, cursor: Block) -> None:
        self._raw = raw
        self._cursor = cursor
        self._answers: dict[tuple[str, bytes], list[tuple[int, Answer]]] = {}
        for row in raw.table("solana_read", 0, cursor.number).to_pylist():
            answer = Answer(row["outcome"], row["output"], row["context_slot"])
            self._answers.setdefault((row["method"], row["address"]), []).append((row["slot"], answer))

    async def look(self, accounts: Sequence[bytes]) -> Head:
        """Return the last stored block, for both."""
        del accounts
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

    async def listed(self, address: bytes, first: int, last: int, settled: int) -> list[Listed]:
        """Return every stored transaction of the span: each names an account that matters to somebody."""
        del address, settled
        table = self._raw.table("solana_transaction", first, last)
        return [Listed(row["slot"], base58(row["signature"])) for row in table.to_pylist()]

    async def said(self, listed: Sequence[Listed], blocks: Mapping[int, SlotBlock]) -> list[Said]:
        """Return stored transactions."""
        del blocks
        if not listed:
            return []
        rows = self._raw.table("solana_transaction", listed[0].slot, listed[-1].slot).to_pylist()
        return [Said(row["slot"], row["tx_index"], row["signature"], row["block_hash"], row["body"]) for row in rows]

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

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


def _stored_block(row: Mapping[str, Any]) -> SlotBlock:
    block = Block(number=row["slot"], hash=row["hash"], parent_hash=row["parent_hash"], time=row["time"])
    return SlotBlock(block, row["parent_slot"], row["height"], {})


def _bytes(slot: int, account: _Account | None) -> AccountBytes:
    if account is None:
        return AccountBytes(slot, b"", 0, b"", closed=True)
    text, encoding = account.data
    if encoding != "base64":
        raise NodeWrong(f"getMultipleAccounts gave bytes as {encoding[:20]!r}, asked for base64; check the node")
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise NodeWrong(f"getMultipleAccounts gave malformed base64 ({error}); check the node") from error
    return AccountBytes(slot, from_base58(account.owner), account.lamports, raw, closed=False)


def _answer(account: AccountBytes) -> Answer:
    return Answer(ABSENT if account.closed else RETURNED, account.data, account.slot)
