"""Compound III events and reads → journals.

Aspects of `market_change`, all of the whole venue, settled at the end of a block, integers beyond 2^53 as text:
    `terms` {problem, base, symbol, feed, feed_description, base_scale, base_borrow_min, target_reserves, store_front_price_factor,
    supply and borrow {kink, low, high, base}: rates per second, assets [{offset, asset, feed, scale, borrow_factor, liquidate_factor,
    liquidation_factor, supply_cap, symbol}], deactivated [offset]}: constants of the implementation, read
    at the first event and after each upgrade,
    `totals` {outcome, and if that is `returned` supply_index, borrow_index, tracking_supply_index, tracking_borrow_index, total_supply,
    total_borrow, accrued_at, pause_flags; followed: whether all principals are known; supplied, owed: their sums as they were read;
    terms_due: only where an upgrade's terms could not be read yet}.
Positions: collateral by asset, exact; principals under the base token, `supply` or `borrow`, settled at the end of a block.
Settings of `account_change`: `principal` {unread, read} of an account whose principal could not be read after it changed (or may have),
`wide_amount` of an asset as escrows have it. Units are owners.

A principal is read after each block whose events name its account. Some base transfers leave somebody unnamed: between borrowers a
transfer emits nothing, between a borrower and a supplier it names one end, and one of nothing may take a unit from who receives it.
So all accounts are looked over after each block in which a Comet of few accounts did anything; in one of many, where a block's events
leave somebody unnamed or the sums of principals part from the totals, and of all that owe it is looked at the end of a span, and before
they are read again, whether they still owe what they did. Where they do not, it is looked for since when (`hidden`), and the pass begins
anew with them named there. What is no news is not stored.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from chains.evm.abi import Decoded, LoggedEvent, decode_all
from chains.evm.beginnings import code_before, must_be_new
from chains.evm.compound_v3 import events as ev
from chains.evm.compound_v3.instants import Instant, instants_of
from chains.evm.compound_v3.movements import collateral_keys, enter_movements
from chains.evm.compound_v3.terms import Terms, feeds_of, read_terms
from chains.evm.compound_v3.tips import TERMS, TOTALS, UNREAD, Tips
from chains.evm.compound_v3.unnamed import leaves_somebody_unnamed, named
from chains.evm.logs import of_addresses, unhex
from chains.evm.ports import ETH_CALL, PENDING, Answer, Folded, Look, NeedReads, Read, Reads
from chains.model import WHOLE_VENUE, Block, Side, VenueSpec
from chains.ports import MarketKey, StateReader

FEW_ACCOUNTS = 200
"""Accounts that are all looked over after every block in which the Comet did anything; of more it would cost too many questions."""

USER_WORDS = 5
TOTALS_FIELDS = (
    "supply_index",
    "borrow_index",
    "tracking_supply_index",
    "tracking_borrow_index",
    "total_supply",
    "total_borrow",
    "accrued_at",
    "pause_flags",
)


class Happened(NamedTuple):
    """What a Comet emitted in a span."""

    decoded: Decoded
    switched: frozenset[int]


class CompoundV3:
    """The fold of one Comet, by the address of its proxy."""

    __slots__ = ("venue",)

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of every event that matters."""
        del venue
        return (*(event.topic0 for event in ev.EVENTS), *ev.COLLATERAL_SWITCHED)

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Ask for the code before the first block."""
        return code_before(venue, begun=begun)

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> CompoundV3:
        """Make the fold of a venue; raises `NoContract` for a Comet that is older than its first block."""
        must_be_new(venue, answer, missing="collateral")
        return cls(venue)

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return the Comet: nothing else tells of its accounts."""
        del state
        return {self.venue.address: self.venue.start_block}

    def decode(self, logs: pa.Table) -> Happened:
        """Turn the logs of a span into the Comet's events, and the blocks in which assets were switched on or off."""
        mine = of_addresses(logs, [self.venue.address])
        switched = mine.filter(pc.is_in(mine["topic0"], pa.array(ev.COLLATERAL_SWITCHED, pa.binary())))
        return Happened(decode_all(ev.EVENTS, mine), frozenset(switched["block_number"].to_pylist()))

    def fold(self, state: StateReader, decoded: Happened, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:
        """Derive rows from a span's events, and from what the state after their blocks and after silent accruals is."""
        del times
        hidden: dict[int, set[bytes]] = defaultdict(set)
        while True:
            reads.used.clear()  # only what the last pass rests on is stored
            work = _Pass(self.venue, state, reads, decoded, hidden)
            work.run()
            if reads.is_open():
                return NeedReads(reads=frozenset(reads.missing), looks=frozenset(reads.unlooked))
            if not work.found:
                break
            for block, account in work.found:
                hidden[block].add(account)
        return Folded(rows=work.tips.rows, contracts=self.contracts(state), sources=work.sources)

    def totals(
        self, markets: Mapping[MarketKey, str], sums: Mapping[tuple[bytes, Side], int], at: Block
    ) -> Mapping[Read, int]:
        """Ask for the total of each collateral asset that is held: the sum of all accounts' collateral.

        Principals have no such question: sums of them are kept beside `totals` and compared as they are read.
        """
        terms = json.loads(markets.get((WHOLE_VENUE, TERMS), "{}"))
        base = unhex(terms["base"]) if "base" in terms else b""
        return {
            Read(at.number, ETH_CALL, self.venue.address, ev.TOTALS_COLLATERAL.calldata(asset)): total
            for (asset, side), total in sums.items()
            if side is Side.SUPPLY and asset != base
        }


class _Pass:
    """One run over a span: events by block, then what is read after each instant.

    `hidden`: accounts whose debts changed in a block without a word; `found`: what this run found of them beside.
    """

    def __init__(
        self,
        venue: VenueSpec,
        state: StateReader,
        reads: Reads,
        happened: Happened,
        hidden: Mapping[int, Collection[bytes]],
    ) -> None:
        decoded, self.switched = happened
        self.comet = venue.address
        self.reads = reads
        self.tips = Tips(venue.id, state)
        self.decoded = decoded
        self.sources: dict[bytes, int] = {}
        self.events: dict[int, list[LoggedEvent]] = defaultdict(list)
        for row in decoded.events:
            self.events[row.block].append(row)
        self.blocks = sorted({*self.events, *(odd.block for odd in decoded.misfits), *self.switched})
        self.named = {block: named(self.events.get(block, ())) for block in self.blocks}
        self.hidden = hidden
        self.found: set[tuple[int, bytes]] = set()
        self.read_at: dict[bytes, int] = {}
        self.all_read_at = reads.first - 1
        self.instant_before = reads.first - 1
        self.terms: Terms | None = self.tips.aspect(TERMS)
        totals = self.tips.aspect(TOTALS)
        self.before = None if totals is None else _answer_of(totals)
        self.lost = totals is not None and not totals["followed"]
        self.due = self.terms is None or "terms_due" in (totals or {})
        self.supplied, self.owed = (int((totals or {}).get(name, 0)) for name in ("supplied", "owed"))
        self.gap = None if self.before is None else self._gap(_numbers(self.before))

    def run(self) -> None:
        """Do what can be done with the answers so far; what is still to be asked of later instants is asked along."""
        instants = instants_of(self.reads, self.comet, self.blocks, self.before)
        if self.reads.is_open():
            return
        self._ask(instants)
        if self.reads.is_open():
            return
        self._load()
        for instant in instants:
            self.due |= self._upgraded(instant.block)
            if self.due and instant.totals.returned:
                self._learn(instant.block)
            enter_movements(self.tips, self.events.get(instant.block, ()), self._base or None)
            self._enter(instant)
            self.instant_before = instant.block
        if instants:
            self._look_for_hidden(self._owing())
        for odd in self.decoded.misfits:
            self.tips.rows.quarantined.append(odd.quarantined(self.tips.venue_id))

    def _ask(self, instants: Sequence[Instant]) -> None:
        """Ask at once for all that is to be asked whatever the answers are."""
        due = self.due
        for block, _, totals in instants:
            due |= self._upgraded(block)
            if not totals.returned:
                continue
            if due:
                asked = len(self.reads.missing)
                read = read_terms(self.reads, self.comet, block)
                due = read is None and len(self.reads.missing) == asked
            for account in self.named.get(block, ()):
                self._read(block, account)

    def _load(self) -> None:
        """Read once what the journals hold of those that the span names."""
        self.tips.load(collateral_keys(self.decoded.events))
        self.tips.unread([account for accounts in self.named.values() for account in accounts])

    # Instants

    def _enter(self, instant: Instant) -> None:
        block, _, totals = instant
        named = self.named.get(block, frozenset())
        numbers = _numbers(totals)
        if numbers is None or self.due or self.terms is None or "base" not in self.terms:
            self.tips.mark(block, named, UNREAD)
            self.lost = True
            self._note(block, totals, numbers)
            return
        self._load_principals(named)
        if self.lost:
            everybody = self.tips.everybody() | named
            self._load_principals(everybody)
            self._settle(block, everybody)
            self.all_read_at = block
            self.lost = False
        else:
            self._settle_and_look_before(block, named | frozenset(self.hidden.get(block, ())))
            self._look_over_others(block, numbers)
        self.gap = self._gap(numbers)
        self._note(block, totals, numbers)

    def _learn(self, block: int) -> None:
        terms = read_terms(self.reads, self.comet, block)
        if terms is None:
            return
        self.terms, self.due = terms, False
        self.tips.note(block, TERMS, terms)
        self.sources |= {feed: block for feed in feeds_of(terms) if feed not in self.sources}

    def _settle(self, block: int, accounts: Iterable[bytes]) -> None:
        """Read the principals of accounts."""
        for account in sorted(accounts):
            self._take(block, account, self._read(block, account))
            self.read_at[account] = block

    def _settle_and_look_before(self, block: int, accounts: Collection[bytes]) -> None:
        """Read the principals of accounts; of debts that are others than before, look whether they were so already."""
        owing = {account for account in accounts if self._known(account) < 0}
        changed = {account for account in owing if _principal(self._read(block, account)) != self._known(account)}
        self._look_for_hidden(changed)
        self._settle(block, accounts)

    def _look_over(self, block: int, accounts: Collection[bytes]) -> None:
        """Look whether the principals of accounts are what they were; what is no news is not stored."""
        self._load_principals(accounts)
        unread = self.tips.unread(accounts)
        answers = {account: self._peek(block, account) for account in sorted(set(accounts) - unread)}
        if PENDING not in answers.values():
            news = {account for account, answer in answers.items() if _principal(answer) != self._known(account)}
            self._settle_and_look_before(block, news | unread)
            self.all_read_at = block

    def _look_over_others(self, block: int, numbers: Sequence[int]) -> None:
        """Look over those whom no event of the block names, where that is cheap or something is amiss."""
        everybody = self.tips.everybody()
        amiss = leaves_somebody_unnamed(self.events.get(block, ())) or self._gap(numbers) != self.gap
        if amiss or len(everybody) <= FEW_ACCOUNTS:
            self._look_over(block, everybody)

    def _owing(self) -> set[bytes]:
        debts = {account: (account, self._base, Side.BORROW) for account in self.tips.everybody()}
        self.tips.load(debts.values())
        owing = {account for account, debt in debts.items() if self.tips.held(debt) > 0}
        return owing - self.tips.unread(owing)

    def _look_for_hidden(self, accounts: Iterable[bytes]) -> None:
        """Look whether debts were what they are known to be after the instant before; of others, since when."""
        until = self.instant_before
        for account in sorted(accounts):
            since = max(self.read_at.get(account, 0), self.all_read_at)
            if since >= until or self.lost:
                continue
            after = self._peek(until, account)
            if after is PENDING or _principal(after) in {None, self._known(account)}:
                continue
            known = self._peek(since, account)
            if known is not PENDING and (block := self._first_other(account, since, until, known)) is not None:
                self.found.add((block, account))

    def _first_other(self, account: bytes, since: int, until: int, known: Answer) -> int | None:
        """Return since which block `userBasic` answers otherwise: the last one where the state before is gone."""
        if not known.returned:
            return until
        return self.reads.first_change(Look(since, until, self.comet, _question(account), known))

    def _take(self, block: int, account: bytes, answer: Answer) -> None:
        principal = _principal(answer)
        if answer is PENDING:
            return
        if principal is None:
            self.tips.mark(block, [account], UNREAD)
            return
        before = self._known(account)
        self.supplied += max(principal, 0) - max(before, 0)
        self.owed += max(-principal, 0) - max(-before, 0)
        self.tips.settle(block, account, self._base, principal)

    def _note(self, block: int, totals: Answer, numbers: Sequence[int] | None) -> None:
        said = dict(zip(TOTALS_FIELDS, map(str, numbers), strict=True)) if numbers else {"output": totals.output.hex()}
        sums = {"supplied": str(self.supplied), "owed": str(self.owed)}
        due = {"terms_due": True} if self.due else {}
        self.tips.note(block, TOTALS, {"outcome": totals.outcome, **said, "followed": not self.lost, **sums, **due})

    def _gap(self, numbers: Sequence[int] | None) -> tuple[int, int] | None:
        """Return by how much the Comet's totals are more than the sums of principals: zero but for what operations round away."""
        if numbers is None:
            return None
        totals = dict(zip(TOTALS_FIELDS, numbers, strict=True))
        return totals["total_supply"] - self.supplied, totals["total_borrow"] - self.owed

    def _upgraded(self, block: int) -> bool:
        return block in self.switched or any(row.event is ev.UPGRADED for row in self.events.get(block, ()))

    def _read(self, block: int, account: bytes) -> Answer:
        return self.reads.state(block, self.comet, _question(account))

    def _peek(self, block: int, account: bytes) -> Answer:
        return self.reads.peek(block, self.comet, _question(account))

    def _known(self, account: bytes) -> int:
        return self.tips.principal(account, self._base)

    def _load_principals(self, accounts: Iterable[bytes]) -> None:
        self.tips.load((account, self._base, side) for account in accounts for side in (Side.SUPPLY, Side.BORROW))

    @property
    def _base(self) -> bytes:
        return unhex(self.terms["base"]) if self.terms and "base" in self.terms else b""


@lru_cache(maxsize=100_000)
def _question(account: bytes) -> bytes:
    return ev.USER_BASIC.calldata(account)


def _principal(answer: Answer) -> int | None:
    """Return the signed principal that `userBasic` tells: its first word."""
    if not answer.returned or len(answer.output) < USER_WORDS * 32:
        return None
    return int.from_bytes(answer.output[:32], signed=True)


def _numbers(totals: Answer) -> tuple[int, ...] | None:
    if not totals.returned or len(totals.output) < len(TOTALS_FIELDS) * 32:
        return None
    return tuple(int.from_bytes(totals.output[i * 32 : i * 32 + 32]) for i in range(len(TOTALS_FIELDS)))


def _answer_of(totals: Mapping[str, Any]) -> Answer:
    """Return the answer to `totalsBasic` that the aspect tells."""
    if "output" in totals:
        return Answer(totals["outcome"], bytes.fromhex(totals["output"]))
    return Answer(totals["outcome"], b"".join(int(totals[name]).to_bytes(32) for name in TOTALS_FIELDS))
