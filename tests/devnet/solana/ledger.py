"""Blocks, forks and history around an engine that has none of them.

The engine executes transactions with the real programs. The ledger gives them slots, keeps what every account held
at every slot, and takes blocks back when their fork is lost.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from threading import RLock
from typing import Any, TypeAlias

from solders.address_lookup_table_account import AddressLookupTable
from solders.clock import Clock
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from tests.devnet.solana.accounts import Image, account_of, image_of, rent_exempt
from tests.devnet.solana.blocks import (
    Block,
    Landed,
    Moment,
    Standing,
    error_json,
    invoked,
    token_balances,
    writable_indexes,
)
from tests.devnet.solana.recorded import landed_of
from tests.devnet.solana.router import ROUTER
from tests.devnet.solana.router import program as router_program

FIRST_SLOT = 401_000_000
GENESIS_TIME = 1_738_726_400
SLOT_MS = 400
SLOTS_IN_EPOCH = 432_000
FINALIZED_DEPTH = 32
BLOCKHASH_LIFE = 150
"""How many blocks long a transaction may name a block as recent."""
HASHES_KNOWN_TO_PROGRAMS = 8
CLOCK = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
LAMPORTS_PER_SIGNATURE = 5_000


class Refused(Exception):
    """A transaction that no block can hold. `error` is the node's word for it."""

    def __init__(self, error: Any, logs: Sequence[str] = ()) -> None:
        super().__init__(f"refused: {error}")
        self.error = error
        self.logs = tuple(logs)


class BelowFinalized(Exception):
    """A fork was to be lost that holds finalized blocks."""


@dataclass(slots=True)
class _Open:
    """The block in the making."""

    slot: int
    landed: list[Landed] = field(default_factory=list)
    changes: dict[Pubkey, Image | None] = field(default_factory=dict)
    started: bool = False


Listener: TypeAlias = Callable[[tuple[Block, ...]], None]
"""Called after every seal and every lost fork, with the blocks that were lost."""


class Ledger:
    """One chain. Every public method may be called from any thread; `lock` holds the chain still for several."""

    def __init__(
        self,
        *,
        genesis_hash: Hash,
        first_slot: int = FIRST_SLOT,
        genesis_time: int = GENESIS_TIME,
        finalized_depth: int = FINALIZED_DEPTH,
    ) -> None:
        self.genesis_hash = genesis_hash
        self.first_slot = first_slot
        self.genesis_time = genesis_time
        self.finalized_depth = finalized_depth
        self.lock = RLock()
        self.blocks: list[Block] = []
        self.transactions: dict[str, Landed] = {}
        self.forks_lost = 0
        self._svm = engine()
        self._versions: dict[Pubkey, list[tuple[int, Image | None]]] = {}
        self._first: dict[Pubkey, Image | None] = {}
        self._by_address: dict[Pubkey, list[Landed]] = defaultdict(list)
        self._by_owner: dict[Pubkey, set[Pubkey]] = defaultdict(set)
        self._by_slot: dict[int, Block] = {}
        self._heights: dict[Hash, int] = {}
        self._finalized_floor = 0
        self._listeners: list[Listener] = []
        self._open = _Open(first_slot)
        self.seal()

    @property
    def tip(self) -> Block:
        """The newest block."""
        return self.blocks[-1]

    @property
    def open_slot(self) -> int:
        """The slot of the block in the making."""
        return self._open.slot

    def watch(self, listener: Listener) -> None:
        """Call a function after every change of the chain, under the lock."""
        with self.lock:
            self._listeners.append(listener)

    def unwatch(self, listener: Listener) -> None:
        """Call it no more."""
        with self.lock:
            self._listeners.remove(listener)

    # Writing

    def execute(self, transaction: VersionedTransaction) -> Landed:
        """Run a transaction in the block in the making. Raises Refused when no block could hold it."""
        with self.lock:
            self._start()
            self._admit(transaction)
            writable, readonly = self._loaded(transaction)
            keys = (*transaction.message.account_keys, *writable, *readonly)
            before = self._moment(transaction, keys)
            outcome = self._svm.send_transaction(transaction)
            failed = isinstance(outcome, FailedTransactionMetadata)
            if failed and not self._charged(keys[0], before.lamports[0]):
                raise Refused(error_json(outcome), outcome.meta().logs())
            self._take_over(transaction, keys, len(writable))
            meta: TransactionMetadata = outcome.meta() if failed else outcome
            returned = meta.return_data()
            landed = Landed(
                signature=str(transaction.signatures[0]),
                slot=self._open.slot,
                index=len(self._open.landed),
                time=self.time_of(self._open.slot),
                transaction=transaction,
                keys=keys,
                loaded_writable=writable,
                loaded_readonly=readonly,
                before=before,
                after=self._moment(transaction, keys),
                error=error_json(outcome) if failed else None,
                fee=LAMPORTS_PER_SIGNATURE * len(transaction.signatures),
                compute_units=meta.compute_units_consumed(),
                logs=tuple(meta.logs()),
                inner=tuple(tuple(group) for group in meta.inner_instructions()),
                return_program=returned.program_id if returned.data else None,
                return_bytes=bytes(returned.data),
            )
            self._open.landed.append(landed)
            self.transactions[landed.signature] = landed
            return landed

    def land(self, said: Mapping[str, Any]) -> Landed:
        """Put a transaction that was recorded elsewhere into the block in the making, without running it: it changes no account here."""
        with self.lock:
            self._start()
            slot = self._open.slot
            landed = landed_of(said, slot=slot, index=len(self._open.landed), time=self.time_of(slot))
            if landed.signature in self.transactions:
                raise Refused("AlreadyProcessed")
            self._open.landed.append(landed)
            self.transactions[landed.signature] = landed
            return landed

    def set_account(self, pubkey: Pubkey, *, owner: Pubkey, data: bytes = b"", lamports: int | None = None) -> None:
        """Put bytes into an account, as part of the block in the making."""
        enough = rent_exempt(len(data)) if lamports is None else lamports
        self._inject(pubkey, Image(lamports=enough, owner=owner, data=data))

    def close(self, pubkey: Pubkey) -> None:
        """Take an account away, as part of the block in the making."""
        self._inject(pubkey, None)

    def skip(self, slots: int) -> None:
        """Leave slots without a block; only before anything is in the block in the making."""
        with self.lock:
            if self._open.started:
                raise ValueError(f"the block of slot {self._open.slot} has begun")
            self._open.slot += slots

    def seal(self) -> Block:
        """Close the block in the making: from here on nodes know it."""
        with self.lock:
            self._start()
            block = self._sealed()
            self.blocks.append(block)
            self._by_slot[block.slot] = block
            self._heights[block.hash] = block.height
            for pubkey in block.changed:
                self._keep(pubkey, block.slot, self._open.changes[pubkey])
            for landed in block.transactions:
                for key in landed.keys:
                    self._by_address[key].append(landed)
            self._open = _Open(block.slot + 1)
            self._finalized_floor = max(self._finalized_floor, self._place_at(block.slot - self.finalized_depth))
            self._tell(())
            return block

    def mine(self, *transactions: VersionedTransaction, skipped: int = 0) -> Block:
        """One block, after so many skipped slots, holding what is already in the making and these transactions."""
        with self.lock:
            if skipped:
                self.skip(skipped)
            for transaction in transactions:
                self.execute(transaction)
            return self.seal()

    def idle(self, blocks: int) -> None:
        """Seal empty blocks."""
        for _ in range(blocks):
            self.mine()

    def finalize(self) -> None:
        """Seal empty blocks until all that happened so far is finalized."""
        self.idle(self.finalized_depth)

    def rollback(self, blocks: int, *, reuse_slots: bool = False, below_finalized: bool = False) -> tuple[Block, ...]:
        """Lose the newest blocks with all they did; the blocks that were lost.

        The new fork goes on after the lost slots, which it then skipped, or with `reuse_slots` in them.
        Raises BelowFinalized unless `below_finalized` allows what a sound cluster never does.
        """
        with self.lock:
            if self._open.started:
                raise ValueError(f"the block of slot {self._open.slot} has begun")
            left = len(self.blocks) - blocks
            if left < 1 or (left - 1 < self._finalized_floor and not below_finalized):
                raise BelowFinalized(f"of {len(self.blocks)} blocks, {self._finalized_floor + 1} are finalized")
            lost = tuple(self.blocks[left:])
            following = self._open.slot
            self._forget(lost)
            self._open = _Open(self.tip.slot + 1 if reuse_slots else following)
            self._finalized_floor = min(self._finalized_floor, left - 1)
            self.forks_lost += 1
            self._tell(lost)
            return lost

    # Reading

    def read(self, pubkey: Pubkey) -> Image | None:
        """An account now, with what is in the making."""
        if pubkey in self._open.changes:
            return self._open.changes[pubkey]
        versions = self._versions.get(pubkey)
        return versions[-1][1] if versions else self._untouched(pubkey)

    def account_at(self, pubkey: Pubkey, slot: int) -> Image | None:
        """An account as the block of a slot, or the last before it, left it."""
        return self.version_at(pubkey, slot)[1]

    def version_at(self, pubkey: Pubkey, slot: int) -> tuple[int, Image | None]:
        """The slot that last changed an account until a slot, and the account; slot 0 for one never changed."""
        with self.lock:
            versions = self._versions.get(pubkey, [])
            place = bisect_right(versions, slot, key=lambda version: version[0])
            return versions[place - 1] if place else (0, self._untouched(pubkey))

    def versions(self, pubkey: Pubkey) -> tuple[tuple[int, Image | None], ...]:
        """Every state of an account with the slot that made it."""
        with self.lock:
            return tuple(self._versions.get(pubkey, ()))

    def changed_accounts(self) -> tuple[Pubkey, ...]:
        """Every account that a block on this fork changed."""
        with self.lock:
            return tuple(sorted((key for key, versions in self._versions.items() if versions), key=bytes))

    def owned_at(self, program: Pubkey, slot: int) -> list[tuple[Pubkey, Image]]:
        """The accounts that a program owned at a slot, by address."""
        with self.lock:
            images = ((key, self.account_at(key, slot)) for key in self._by_owner[program])
            owned = [(key, image) for key, image in images if image is not None and image.owner == program]
            return sorted(owned, key=lambda pair: bytes(pair[0]))

    def history(self, address: Pubkey) -> Sequence[Landed]:
        """The transactions that name an address, oldest first."""
        return self._by_address.get(address, [])

    def block_at(self, slot: int) -> Block | None:
        """The block of a slot; None when the slot was skipped or is not there yet."""
        return self._by_slot.get(slot)

    def newest_until(self, slot: int) -> Block:
        """The newest block whose slot is not above a slot; the first when there is none."""
        with self.lock:
            return self.blocks[self._place_at(slot)]

    def between(self, first: int, last: int) -> list[Block]:
        """The blocks of a span of slots, both ends included."""
        with self.lock:
            low = bisect_right(self.blocks, first - 1, key=lambda block: block.slot)
            high = bisect_right(self.blocks, last, key=lambda block: block.slot)
            return self.blocks[low:high]

    def standing(self, lag: int = 0) -> Standing:
        """What a node knows that stands a number of slots behind."""
        with self.lock:
            newest = self._place_at(self.tip.slot - lag)
            processed = self.blocks[newest]
            finalized = self._place_at(processed.slot - self.finalized_depth)
            if lag == 0:
                finalized = max(finalized, self._finalized_floor)
            confirmed = max(newest - 1, finalized, 0)
            return Standing(processed=processed, confirmed=self.blocks[confirmed], finalized=self.blocks[finalized])

    def knows_hash(self, blockhash: Hash) -> bool:
        """Whether a transaction may name this block as recent."""
        height = self._heights.get(blockhash)
        return height is not None and self.tip.height - height <= BLOCKHASH_LIFE

    def time_of(self, slot: int) -> int:
        """Seconds since 1970 of a slot."""
        return self.genesis_time + (slot - self.first_slot) * SLOT_MS // 1_000

    # Inside

    def _start(self) -> None:
        """Let programs see the slot, the time and the newest blocks."""
        if self._open.started:
            return
        self._open.started = True
        slot = self._open.slot
        epoch = slot // SLOTS_IN_EPOCH
        began = self.time_of(max(self.first_slot, epoch * SLOTS_IN_EPOCH))
        self._svm.set_clock(Clock(slot, began, epoch, epoch + 1, self.time_of(slot)))
        recent = self.blocks[-HASHES_KNOWN_TO_PROGRAMS:]
        self._svm.set_slot_hashes([(block.slot, block.hash) for block in reversed(recent)])
        self._open.changes[CLOCK] = image_of(self._svm.get_account(CLOCK))

    def _admit(self, transaction: VersionedTransaction) -> None:
        if str(transaction.signatures[0]) in self.transactions:
            raise Refused("AlreadyProcessed")
        if not self.knows_hash(transaction.message.recent_blockhash):
            raise Refused("BlockhashNotFound")

    def _charged(self, payer: Pubkey, before: int) -> bool:
        """Whether the engine took the fee: a failed transaction that paid is in the block."""
        now = self._svm.get_account(payer)
        return now is not None and now.lamports < before

    def _loaded(self, transaction: VersionedTransaction) -> tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]:
        """The addresses that a transaction takes from lookup tables, writable and readonly."""
        message = transaction.message
        if not isinstance(message, MessageV0):
            return (), ()
        writable: list[Pubkey] = []
        readonly: list[Pubkey] = []
        for lookup in message.address_table_lookups:
            image = self.read(lookup.account_key)
            if image is None:
                raise Refused("AddressLookupTableNotFound")
            addresses = AddressLookupTable.deserialize(image.data).addresses
            if max(*lookup.writable_indexes, *lookup.readonly_indexes, 0) >= len(addresses):
                raise Refused("InvalidAddressLookupTableIndex")
            writable += [addresses[index] for index in lookup.writable_indexes]
            readonly += [addresses[index] for index in lookup.readonly_indexes]
        return tuple(writable), tuple(readonly)

    def _moment(self, transaction: VersionedTransaction, keys: Sequence[Pubkey]) -> Moment:
        images = [self.read(key) for key in keys]
        balances = token_balances(keys, images, invoked(transaction), self.read)
        return Moment(lamports=tuple(image.lamports if image else 0 for image in images), tokens=balances)

    def _take_over(self, transaction: VersionedTransaction, keys: Sequence[Pubkey], loaded_writable: int) -> None:
        """Note what the engine changed: nothing but what the transaction named writable."""
        for index in writable_indexes(transaction.message, loaded_writable):
            image = image_of(self._svm.get_account(keys[index]))
            if image != self.read(keys[index]):
                self._open.changes[keys[index]] = image

    def _inject(self, pubkey: Pubkey, image: Image | None) -> None:
        with self.lock:
            self._start()
            self.read(pubkey)
            self._svm.set_account(pubkey, account_of(image))
            self._open.changes[pubkey] = image

    def _untouched(self, pubkey: Pubkey) -> Image | None:
        """An account that no block changed: a program, or nothing."""
        if pubkey not in self._first:
            self._first[pubkey] = image_of(self._svm.get_account(pubkey))
        return self._first[pubkey]

    def _sealed(self) -> Block:
        parent = self.blocks[-1] if self.blocks else None
        slot = self._open.slot
        previous = parent.hash if parent else self.genesis_hash
        content = "/".join([str(previous), str(slot), str(self.forks_lost), *(x.signature for x in self._open.landed)])
        return Block(
            slot=slot,
            parent_slot=parent.slot if parent else max(0, slot - 1),
            height=parent.height + 1 if parent else slot - slot // 20,
            hash=Hash(sha256(content.encode()).digest()),
            previous_hash=previous,
            time=self.time_of(slot),
            transactions=tuple(self._open.landed),
            changed=tuple(key for key, image in self._open.changes.items() if image != self._sealed_image(key)),
        )

    def _sealed_image(self, pubkey: Pubkey) -> Image | None:
        versions = self._versions.get(pubkey)
        return versions[-1][1] if versions else self._first.get(pubkey)

    def _keep(self, pubkey: Pubkey, slot: int, image: Image | None) -> None:
        self._versions.setdefault(pubkey, []).append((slot, image))
        if image is not None:
            self._by_owner[image.owner].add(pubkey)

    def _forget(self, lost: Iterable[Block]) -> None:
        """Undo blocks, newest first."""
        for block in sorted(lost, key=lambda block: -block.slot):
            for pubkey in block.changed:
                self._versions[pubkey].pop()
                self._svm.set_account(pubkey, account_of(self._sealed_image(pubkey)))
            for landed in reversed(block.transactions):
                del self.transactions[landed.signature]
                for key in landed.keys:
                    self._by_address[key].pop()
            del self._by_slot[block.slot], self._heights[block.hash]
            self.blocks.pop()

    def _place_at(self, slot: int) -> int:
        """The place in `blocks` of the newest block not above a slot; 0 when there is none."""
        return max(0, bisect_right(self.blocks, slot, key=lambda block: block.slot) - 1)

    def _tell(self, lost: tuple[Block, ...]) -> None:
        for listener in self._listeners:
            listener(lost)


def engine() -> Any:
    """The engine, without its own rules on blockhashes and repeats; its stub names other methods than it has."""
    svm: Any = LiteSVM()
    svm = svm.with_blockhash_check(False).with_transaction_history(0)  # noqa: FBT003
    svm.add_program(ROUTER, router_program())
    return svm
