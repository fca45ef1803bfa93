"""What addresses hold of tokens and of the chain's coin → journals: read, for what arrives and leaves need not be told.

Aspects of an asset: `token`, see `chains.escrow`, asked where anybody first holds some. Aspect of the whole venue: `since`, the first
block, after which everything was read. Positions: `balanceOf` and `eth_getBalance` after a block, observed; every holder is a unit.
Setting of a unit and an asset: `unread` {"outcome", "output"}, what came in place of an amount that a column can hold; null since there
is one again.

A token's balance is read after each block with a transfer that names the holder. Between those blocks, and for the coin at all times, it is
looked at before the next one or at the end of the span, and a change is located to its block. One without a transfer that comes back to
what it was between two looks is not seen; the newest blocks are looked at one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from chains.columns import TOO_WIDE
from chains.escrow import ENGINE
from chains.evm.abi import Function
from chains.evm.emitters import naming
from chains.evm.escrow.coin import TERMS as COIN_TERMS
from chains.evm.escrow.terms import custody_of
from chains.evm.escrow.tokens import TOKEN, token_terms
from chains.evm.escrow.transfers import TRANSFER, Moved, history_row, transfers_in
from chains.evm.ports import BALANCE, PENDING, STATE, Answer, Folded, Look, NeedReads, Read, Reads
from chains.model import (
    END_OF_BLOCK,
    WHOLE_VENUE,
    AccountChange,
    Basis,
    MarketChange,
    PositionChange,
    Rows,
    Side,
    VenueSpec,
)
from chains.ports import StateReader

BALANCE_OF = Function("balanceOf(address)", "uint256")
SINCE, UNREAD = "since", "unread"
_WORD = 32


class _Holding(NamedTuple):
    """An asset of a holder, and the question how much it is."""

    holder: bytes
    asset: bytes
    method: str
    address: bytes
    input: bytes

    def read(self, block: int) -> Read:
        return Read(block, self.method, self.address, self.input)

    def look(self, after: int, until: int, known: Answer) -> Look:
        return Look(after, until, self.address, self.input, known, self.method)


class _Change(NamedTuple):
    """What a holding was before a block, and what it is after it."""

    block: int
    holding: _Holding
    before: Answer
    answer: Answer


class Custody:
    """The fold of the holdings of some addresses."""

    __slots__ = ("_coin", "_holdings", "_owner", "venue")

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue
        terms = custody_of(venue.address, venue.options)
        self._owner = terms.owner
        self._coin = terms.coin.asset if terms.coin else None
        self._holdings = [
            _Holding(holder, token, STATE, token, BALANCE_OF.calldata(holder))
            for holder in terms.holders
            for token in terms.tokens
        ]
        if terms.coin is not None:
            self._holdings += [_Holding(holder, terms.coin.asset, BALANCE, holder, b"") for holder in terms.holders]

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of transfers."""
        del venue
        return (TRANSFER.topic0,)

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Ask nothing: what was there before the first block is read with it."""
        del venue, begun
        return None

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> Custody:
        """Make the fold of a venue."""
        del answer
        return cls(venue)

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return those transfers of the tokens that name a holder."""
        del state
        return {
            naming(each.asset, each.holder): self.venue.start_block for each in self._holdings if each.method == STATE
        }

    def decode(self, logs: pa.Table) -> list[Moved]:
        """Turn the transfers from and to holders into what each moved."""
        return transfers_in(logs, {(each.asset, each.holder) for each in self._holdings if each.method == STATE})

    def fold(
        self, state: StateReader, decoded: list[Moved], times: Mapping[int, int], reads: Reads
    ) -> Folded | NeedReads:
        """Derive rows from the balances of a span, change by change."""
        del times
        markets = state.markets(self.venue.id)
        begun = (WHOLE_VENUE, SINCE) in markets
        rows = Rows()
        if not begun:
            rows.markets.append(self._market(self.venue.start_block, WHOLE_VENUE, SINCE, str(self.venue.start_block)))
        changes = self._changes(self._known(state) if begun else {}, decoded, reads)
        changes.sort(key=lambda change: change.block)
        for block, holding, before, answer in changes:
            self._enter(rows, block, holding, before, answer)
        self._name(rows, {asset for asset, aspect in markets if aspect == TOKEN}, reads)
        if reads.is_open():
            return NeedReads(reads=frozenset(reads.missing), looks=frozenset(reads.unlooked))
        rows.events = [history_row(self.venue.id, self._owner, moved) for moved in decoded]
        return Folded(rows=rows, contracts=self.contracts(state), sources={})

    def _known(self, state: StateReader) -> dict[_Holding, Answer]:
        """Return the answers as of the last span."""
        keys = {(each.holder, each.asset, Side.SUPPLY): each for each in self._holdings}
        held = state.positions(self.venue.id, list(keys))
        unread = state.accounts(self.venue.id, [(each.holder, each.asset, UNREAD) for each in self._holdings])
        known = {each: Answer("returned", held.get(key, 0).to_bytes(_WORD)) for key, each in keys.items()}
        for (holder, asset, _), text in unread.items():
            if (said := json.loads(text)) is not None:
                known[keys[holder, asset, Side.SUPPLY]] = Answer(said["outcome"], bytes.fromhex(said["output"]))
        return known

    def _changes(self, known: Mapping[_Holding, Answer], moved: Sequence[Moved], reads: Reads) -> list[_Change]:
        blocks: dict[tuple[bytes, bytes], list[int]] = {}
        for each in moved:
            blocks.setdefault((each.token, each.holder), []).append(each.block)
        return [
            change
            for each in self._holdings
            for change in _followed(
                each,
                known.get(each),
                self.venue.start_block,
                sorted(set(blocks.get((each.asset, each.holder), ()))),
                reads,
            )
        ]

    def _enter(self, rows: Rows, block: int, holding: _Holding, before: Answer, answer: Answer) -> None:
        amount, earlier = _amount(answer), _amount(before)
        who = self.venue.id, holding.holder, self._owner or holding.holder
        if amount is not None:
            rows.positions.append(
                PositionChange(
                    block, -1, END_OF_BLOCK, *who, holding.asset, Side.SUPPLY, holding.asset, amount, ENGINE, Basis.OBSERVED
                )
            )  # fmt: skip
        if amount is None or earlier is None:
            said = None if amount is not None else {"outcome": answer.outcome, "output": answer.output.hex()}
            text = json.dumps(said, separators=(",", ":"))
            rows.accounts.append(
                AccountChange(block, -1, END_OF_BLOCK, *who, holding.asset, UNREAD, text, ENGINE, Basis.OBSERVED)
            )

    def _name(self, rows: Rows, known: set[bytes], reads: Reads) -> None:
        """Ask each token that nobody held before what it is."""
        for row in list(rows.positions):
            if row.asset not in known and row.amount_raw:
                known.add(row.asset)
                text = COIN_TERMS if row.asset == self._coin else token_terms(row.block, row.asset, reads)
                rows.markets.append(self._market(row.block, row.asset, TOKEN, text))

    def _market(self, block: int, market: bytes, aspect: str, text: str) -> MarketChange:
        return MarketChange(block, -1, END_OF_BLOCK, self.venue.id, market, aspect, text, ENGINE, Basis.OBSERVED)


def _followed(
    holding: _Holding, known: Answer | None, start: int, told: Sequence[int], reads: Reads
) -> Iterator[_Change]:
    """Yield the changes of one holding in a span, as far as they are known; transfers tell of some blocks in which there may be one."""
    after = reads.first - 1
    if known is None:
        after, known = start, reads.tell(holding.read(start))
        if known is PENDING:
            return
        if _amount(known) != 0:
            yield _Change(after, holding, Answer("returned", bytes(_WORD)), known)
    for block in (*(block for block in told if block > after), None):
        until = reads.last if block is None else block - 1
        while (found := reads.first_change(holding.look(after, until, known))) is not None:
            answer = reads.tell(holding.read(found))
            if answer is PENDING:
                return
            yield _Change(found, holding, known, answer)
            after, known = found, answer
        if block is None:
            return
        answer = reads.tell(holding.read(block))
        if answer is PENDING:
            return
        if answer != known:
            yield _Change(block, holding, known, answer)
        after, known = block, answer


def _amount(answer: Answer) -> int | None:
    """Return the amount of an answer that a column can hold."""
    if not answer.returned or len(answer.output) != _WORD:
        return None
    amount = int.from_bytes(answer.output)
    return amount if amount < TOO_WIDE else None
