"""One span of slots: fetched, folded, compared with what accounts hold, and written as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pyarrow as pa

from chains.completeness import Level
from chains.errors import NodeWrong
from chains.model import FEEDS, AccountBytes, ChainSpec, Rows
from chains.ports import Batch, Covered, StateReader
from chains.solana.answers import signature_bytes
from chains.solana.history import EVIDENCE, History
from chains.solana.lists import WHOLE_EVERY
from chains.solana.oracles.feeds import Feeds
from chains.solana.ports import (
    AccountProtocol,
    Answer,
    Folded,
    Listed,
    Listing,
    NeedReads,
    Read,
    Reads,
    Said,
    SlotBlock,
    SolanaProtocol,
)
from chains.solana.proof import Proof
from chains.solana.reading import Reading
from chains.solana.reconcile import Move
from chains.solana.source import SolanaSource

LINKED = 256
"""Slots in a span whose every block is fetched and checked to follow the one before."""

TRANSACTIONS = "every signature that names a vault account, found in its block; balances chain from one to the next"
ACCOUNTS = (
    "every account of the program that a node lists, as it was whenever the head was read, or where no byte and no notification showed a"
    f" change as it was up to {WHOLE_EVERY} slots before; what is not listed was asked for by name"
)
PRICES = "account bytes as they were whenever the head was read; what they were in between is not known"

SECOND = "a second node said the same, of what differed between the answers at one later slot"
OBSERVED = "observed"

LOOKED = "look"
"""What a look at a venue's accounts is called among answers: nothing is derived of it but how old they were at a slot."""

BLOCK_SCHEMA = pa.schema(
    [
        ("slot", pa.int64()),
        ("hash", pa.binary()),
        ("parent_hash", pa.binary()),
        ("parent_slot", pa.int64()),
        ("height", pa.int64()),
        ("time", pa.int64()),
    ]
)
TRANSACTION_SCHEMA = pa.schema(
    [
        ("slot", pa.int64()),
        ("tx_index", pa.int32()),
        ("signature", pa.binary()),
        ("block_hash", pa.binary()),
        ("body", pa.string()),
    ]
)
ACCOUNT_SCHEMA = pa.schema(
    [
        ("slot", pa.int64()),
        ("address", pa.binary()),
        ("owner", pa.binary()),
        ("lamports", pa.decimal128(38, 0)),
        ("data", pa.binary()),
        ("closed", pa.bool_()),
    ]
)
READ_SCHEMA = pa.schema(
    [
        ("slot", pa.int64()),
        ("method", pa.string()),
        ("address", pa.binary()),
        ("input", pa.binary()),
        ("context_slot", pa.int64()),
        ("outcome", pa.string()),
        ("output", pa.binary()),
    ]
)


@dataclass(slots=True)
class _Fold:
    """One pass over a span: rows, balances to compare, or what is still to be asked."""

    rows: Rows = field(default_factory=Rows)
    balances: list[tuple[SolanaProtocol, Mapping[bytes, int | None]]] = field(default_factory=list)
    moves: list[tuple[History, Sequence[Move]]] = field(default_factory=list)
    needed: set[Read] = field(default_factory=set)
    used: set[Read] = field(default_factory=set)


class Span:
    """Slots `first`..`last`, fetched and folded until nothing more has to be asked."""

    def __init__(
        self,
        spec: ChainSpec,
        source: SolanaSource,
        venues: Sequence[SolanaProtocol],
        feeds: Feeds,
        read: Sequence[AccountProtocol] = (),
        *,
        histories: Sequence[History] = (),
        first: int,
        last: int,
        settled: int,
        state: StateReader,
        continued: bool = False,
    ) -> None:
        self.chain_id = spec.id
        self.start = spec.start_block
        self.source = source
        self.venues = venues
        self.feeds = feeds
        self.read = read
        self.histories = histories
        self.told: Sequence[SolanaProtocol | History] = (*venues, *histories)
        self.continued = continued
        self.reading = Reading(source, read, state)
        self.always = {*feeds.addresses, *(address for venue in venues for address in venue.addresses)}
        self.first = first
        self.last = last
        self.settled = settled
        self.unsettled = last > settled
        self.state = state
        self.blocks: dict[int, SlotBlock] = {}
        self.answers: dict[Read, Answer] = {}
        self.parent_hash: bytes | None = None

    async def batch(self, listings: Mapping[bytes, Listing]) -> Batch:
        """Fetch, fold, ask and compare; raises `NodeBusy` or `NodeWrong` where the node contradicts itself."""
        proof = Proof(self.source, self.venues, listings, chain_id=self.chain_id, start=self.start)
        if self.source.live and self.first == self.start:
            await proof.begin()
        linked = await self._link()
        listed = sorted({item for listing in listings.values() for item in listing.found})
        said = await self._said(listed)
        await self._need([self.last])
        self._must_agree(linked)
        within = self.source.live and self.reading.is_within(self.first, self.last)
        observed = list(self.source.observed(self.first, self.last))
        if within:
            observed = _in_order([*observed, *await self.reading.closed()])
        changed = self._changed(observed)
        fold = await self._settle(said)
        fold.rows.extend(self.feeds.fold(self.state, changed))
        seen = changed if not self.read else [each for each in changed if each[0] in self.always]
        for rows, mine in self.reading.fold(observed, changed) if within or not self.source.live else ():
            fold.rows.extend(rows)
            seen += mine
        seen = _in_order({(address, account.slot): (address, account) for address, account in seen}.values())
        for history, moves in fold.moves:
            weighed = history.weigh(self.state, moves, fold.rows, _looks(seen))
            if self.source.live:
                history.must_agree(weighed)
            fold.rows.extend(weighed)
        if self.source.live:
            await proof.end(fold.balances, self.last)
        kept = linked if self.unsettled else {}
        await self._need(({account.slot for _, account in seen} | {read.slot for read in fold.used}) - kept.keys())
        return Batch(
            chain_id=self.chain_id,
            first=self.first,
            last=self.blocks[self.last].block,
            raw={
                "solana_block": _block_rows({**kept, **self.blocks}.values()),
                "solana_transaction": _transaction_rows(said),
                "solana_account": _account_rows(seen),
                "solana_read": pa.concat_tables(
                    [_read_rows({read: self.answers[read] for read in fold.used}), self._look_rows(within=within)]
                ),
            },
            rows=fold.rows,
            covered=(*self._covered(), *self._covered_by_reading(seen, within=within)),
            parent_hash=self.parent_hash,
        )

    async def _said(self, listed: Sequence[Listed]) -> list[Said]:
        """Fetch transactions and place each in its block: by its signature there, or in a final block as it says itself."""
        bodies = await self.source.bodies(listed)
        places = {
            item: body.tx_index
            for item, body in zip(listed, bodies, strict=True)
            if body.tx_index is not None and (item.slot <= self.settled or not self.source.live)
        }
        sought = [item for item in listed if item not in places]
        signatures = {item.signature for item in sought}
        self.blocks |= await self.source.blocks({item.slot for item in sought}, place=signatures)
        await self._need({item.slot for item in listed})
        for item in sought:
            if item.signature not in self.blocks[item.slot].places:
                raise NodeWrong(
                    f"chain {self.chain_id}: transaction {item.signature} is not in the block of slot {item.slot}; it moved"
                )
            places[item] = self.blocks[item.slot].places[item.signature]
        return sorted(
            Said(item.slot, places[item], signature_bytes(item.signature), self.blocks[item.slot].block.hash, body.text)
            for item, body in zip(listed, bodies, strict=True)
        )

    async def _link(self) -> dict[int, SlotBlock]:
        """Fetch every block of a span near the head and see that each names the one before: so are skipped slots proven."""
        if not self.source.live or not (self.unsettled or self.last - self.first < LINKED):
            return {}
        found = await self.source.blocks(await self.source.slots(self.first, self.last))
        ordered = [found[slot] for slot in sorted(found)]
        for before, after in pairwise(ordered):
            if after.parent_slot != before.block.number or after.block.parent_hash != before.block.hash:
                raise NodeWrong(
                    f"chain {self.chain_id}: block {after.block.number} follows {after.parent_slot}, the node lists"
                    f" {before.block.number} before it; it moved, or ask another"
                )
        if not ordered or ordered[-1].block.number != self.last:
            raise NodeWrong(f"chain {self.chain_id}: the node does not list its own block {self.last}; it moved")
        if ordered[0].parent_slot >= self.first:
            raise NodeWrong(
                f"chain {self.chain_id}: block {ordered[0].block.number} follows {ordered[0].parent_slot},"
                " which the node does not list; ask another"
            )
        self.parent_hash = ordered[0].block.parent_hash
        return found

    def _must_agree(self, linked: Mapping[int, SlotBlock]) -> None:
        for slot, block in self.blocks.items():
            if linked and (slot not in linked or linked[slot].block != block.block):
                raise NodeWrong(f"chain {self.chain_id}: block {slot} was replaced while it was read")

    def _changed(self, observed: Iterable[tuple[bytes, AccountBytes]]) -> list[tuple[bytes, AccountBytes]]:
        """Keep the accounts whose bytes are not those that are stored."""
        seen = list(observed)
        if not self.source.live:
            return seen
        known = self.state.account_bytes([address for address, _ in seen])
        return [
            (address, account)
            for address, account in seen
            if address not in known or known[address]._replace(slot=0) != account._replace(slot=0)
        ]

    async def _settle(self, said: Sequence[Said]) -> _Fold:
        decoded = [venue.decode(said) for venue in self.told]
        while True:
            fold = self._fold(decoded)
            if not fold.needed:
                return fold
            self.answers |= await self.source.read(fold.needed)

    def _fold(self, decoded: Sequence[Any]) -> _Fold:
        fold = _Fold()
        for venue, effects in zip(self.told, decoded, strict=True):
            reads = Reads(self.answers)
            match venue.fold(self.state, effects, reads):
                case NeedReads(reads=needed):
                    fold.needed |= needed
                case Folded(rows=rows, balances=balances, moves=moves):
                    fold.rows.extend(rows)
                    if isinstance(venue, History):
                        fold.moves.append((venue, moves))
                    else:
                        fold.balances.append((venue, balances))
            fold.used |= reads.used
        return fold

    async def _need(self, slots: Collection[int]) -> None:
        missing = set(slots) - self.blocks.keys()
        if missing:
            self.blocks |= await self.source.blocks(missing)

    def _covered(self) -> Iterator[Covered]:
        for venue in self.venues:
            if venue.venue.start_block <= self.last:
                start = max(self.first, venue.venue.start_block)
                yield Covered(
                    interest=venue.venue.id, first=start, last=self.last, level="continuous", evidence=TRANSACTIONS
                )
        for history in self.histories:
            if history.venue.start_block <= self.last:
                start = max(self.first, history.venue.start_block)
                yield Covered(
                    interest=history.interest, first=start, last=self.last, level="continuous", evidence=EVIDENCE
                )
        if self.feeds.addresses:
            level, evidence = self._grade(PRICES)
            yield Covered(interest=FEEDS, first=self.first, last=self.last, level=level, evidence=evidence)

    def _look_rows(self, *, within: bool) -> pa.Table:
        """Say of each venue whose accounts were read since when their bytes are known: from the oldest answer of the look."""
        level, _ = self._grade(ACCOUNTS)
        rows = [
            {
                "slot": self.last,
                "method": LOOKED,
                "address": venue.venue.address,
                "input": venue.venue.id.encode(),
                "context_slot": self.source.looked_from,
                "outcome": level,
                "output": b"",
            }
            for venue in self.read
            if within and self.reading.slots(venue)
        ]
        return pa.Table.from_pylist(rows, schema=READ_SCHEMA)

    def _grade(self, evidence: str) -> tuple[str, str]:
        """Return the level of what was looked at, and the evidence: one node's word, or two nodes'."""
        match self.source.agreement:
            case None:
                return OBSERVED, evidence
            case "":
                return Level.AGREED, f"{evidence}; {SECOND}"
            case why:
                return OBSERVED, f"{evidence}; {why}"

    def _covered_by_reading(self, seen: Sequence[tuple[bytes, AccountBytes]], *, within: bool) -> Iterator[Covered]:
        """Say of venues whose accounts are read: from their first look on, as long as looks follow each other."""
        for venue in self.read:
            stored = [account.slot for _, account in seen if any(wanted.has(account) for wanted in venue.sets)]
            slots = self.reading.slots(venue) if self.source.live else stored
            begun = self.continued if self.source.live else self.reading.begun(venue)
            if within or (not self.source.live and (begun or slots)):
                first = self.first if begun else min(slots)
                level, evidence = self._grade(ACCOUNTS)
                yield Covered(interest=venue.venue.id, first=first, last=self.last, level=level, evidence=evidence)


def _looks(seen: Iterable[tuple[bytes, AccountBytes]]) -> Mapping[bytes, Sequence[int]]:
    looks: dict[bytes, list[int]] = {}
    for address, account in seen:
        looks.setdefault(address, []).append(account.slot)
    return looks


def _in_order(seen: Iterable[tuple[bytes, AccountBytes]]) -> list[tuple[bytes, AccountBytes]]:
    return sorted(seen, key=lambda each: (each[1].slot, each[0]))


def _block_rows(blocks: Iterable[SlotBlock]) -> pa.Table:
    rows = [
        {
            "slot": slot.block.number,
            "hash": slot.block.hash,
            "parent_hash": slot.block.parent_hash,
            "parent_slot": slot.parent_slot,
            "height": slot.height,
            "time": slot.block.time,
        }
        for slot in sorted(blocks, key=lambda item: item.block.number)
    ]
    return pa.Table.from_pylist(rows, schema=BLOCK_SCHEMA)


def _transaction_rows(said: Iterable[Said]) -> pa.Table:
    return pa.Table.from_pylist([item._asdict() for item in said], schema=TRANSACTION_SCHEMA)


def _account_rows(seen: Iterable[tuple[bytes, AccountBytes]]) -> pa.Table:
    rows = [{"address": address, **account._asdict()} for address, account in seen]
    return pa.Table.from_pylist(rows, schema=ACCOUNT_SCHEMA)


def _read_rows(reads: Mapping[Read, Answer]) -> pa.Table:
    rows = [{**read._asdict(), **answer._asdict(), "input": b""} for read, answer in sorted(reads.items())]
    return pa.Table.from_pylist(rows, schema=READ_SCHEMA)
