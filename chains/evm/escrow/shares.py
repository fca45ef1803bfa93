"""Shares of an ERC-4626 vault → journals: what everybody holds of them, by `Transfer`, and what they are worth, asked of the vault.

Aspects of the vault: `token`, of the shares, see `chains.escrow`; `underlying` {"asset", "asset_decimals", "asset_symbol"}, what they
are shares of, asked where the first shares move; `rate` {"assets": what `convertToAssets(PROBE)` answered as text, or null where it gave
no answer, "outcome", "block"}, asked after the block in which the first shares move and after every block whose number is a multiple of
`rate_every`, and noted where it is another than before. Positions are shares, exact; the unit turns them into the underlying, downward.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from chains.columns import binaries
from chains.escrow import ENGINE
from chains.evm.abi import Event, Function, address_of
from chains.evm.beginnings import code_before, must_be_new
from chains.evm.escrow.holdings import Pass
from chains.evm.escrow.movements import PLACE, Movements
from chains.evm.escrow.terms import rate_every
from chains.evm.escrow.tokens import TOKEN, token_terms
from chains.evm.escrow.upgrades import UPGRADED, Upgrade, upgrade_rows, upgrades_in
from chains.evm.logs import of_addresses, unhex
from chains.evm.ports import ETH_CALL, PENDING, Answer, Folded, NeedReads, Read, Reads
from chains.model import END_OF_BLOCK, Basis, Block, MarketChange, Rows, Side, VenueSpec
from chains.ports import MarketKey, StateReader

TRANSFER = Event("Transfer(address indexed from, address indexed to, uint256 value)")
ASSET = Function("asset()", "address")
TOTAL_SUPPLY = Function("totalSupply()", "uint256")
CONVERT = Function("convertToAssets(uint256)", "uint256")
PROBE = 10**36
"""Shares that a vault is asked the worth of: more than anybody holds, so that less than one raw unit of anybody's is rounded off."""

UNDERLYING, RATE = "underlying", "rate"
NOBODY = bytes(20)
_WORD = 32


class _Decoded(NamedTuple):
    moved: Movements
    upgrades: list[Upgrade]


class Shares:
    """The fold of one ERC-4626 vault."""

    __slots__ = ("_every", "venue")

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue
        self._every = rate_every(venue.options)

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of what matters."""
        del venue
        return TRANSFER.topic0, UPGRADED.topic0

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Ask for the code before the first block."""
        return code_before(venue, begun=begun)

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> Shares:
        """Make the fold of a vault; raises `NoContract` for one that is older than its first block."""
        must_be_new(venue, answer, missing="deposits")
        return cls(venue)

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return the vault: its shares are its own token."""
        del state
        return {self.venue.address: self.venue.start_block}

    def totals(
        self, markets: Mapping[MarketKey, str], sums: Mapping[tuple[bytes, Side], int], at: Block
    ) -> Mapping[Read, int]:
        """Ask the vault for the sum of its shares, once there are any."""
        vault = self.venue.address
        if (vault, TOKEN) not in markets:
            return {}
        return {Read(at.number, ETH_CALL, vault, TOTAL_SUPPLY.calldata()): sums.get((vault, Side.SUPPLY), 0)}

    def decode(self, logs: pa.Table) -> _Decoded:
        """Turn the logs of a span into what moved from whom to whom."""
        mine = of_addresses(logs, [self.venue.address])
        return _Decoded(_moved(mine), upgrades_in(mine))

    def fold(self, state: StateReader, decoded: _Decoded, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:
        """Derive rows from a span's transfers; asks what the shares are of and what they are worth."""
        del times
        moved, rows = decoded.moved, Rows()
        markets = state.markets(self.venue.id)
        rows.markets = upgrade_rows(self.venue.id, markets, decoded.upgrades)
        known = {aspect: text for (market, aspect), text in markets.items() if market}
        begins = moved.place["block_number"][0].as_py() if moved.amounts and TOKEN not in known else None
        if begins is not None:
            rows.markets += self._beginning(moved, reads)
        if begins is not None or TOKEN in known:
            rows.markets += self._rates(known.get(RATE), begins, reads)
        if reads.is_open():
            return NeedReads(reads=frozenset(reads.missing))
        rows.markets.sort(key=lambda row: (row.block, row.ordinal))
        if moved.amounts:
            Pass(self.venue.id, state, moved, owners=moved.accounts, coin=None, rows=rows).run()
        rows.quarantined = [misfit.quarantined(self.venue.id) for misfit in moved.misfits]
        return Folded(rows=rows, contracts=self.contracts(state), sources={})

    def _beginning(self, moved: Movements, reads: Reads) -> list[MarketChange]:
        """Return what the shares are, and what they are shares of."""
        place = block, _, _ = moved.at(0)
        vault = self.venue.address
        answer = reads(block, vault, ASSET.calldata())
        asset = address_of(answer.output) if answer.returned else None
        told = json.loads(token_terms(block, asset, reads)) if asset is not None else {"decimals": None, "symbol": None}
        said = {
            "asset": None if asset is None else "0x" + asset.hex(),
            "asset_decimals": told["decimals"],
            "asset_symbol": told["symbol"],
        }
        texts = {TOKEN: token_terms(block, vault, reads), UNDERLYING: json.dumps(said, separators=(",", ":"))}
        return [
            MarketChange(*place, self.venue.id, vault, aspect, text, ENGINE, Basis.EXACT)
            for aspect, text in texts.items()
        ]

    def _rates(self, noted: str | None, begins: int | None, reads: Reads) -> list[MarketChange]:
        """Return the rates that are others than the ones before; the first is asked for where the first shares move."""
        known = None if noted is None else {key: value for key, value in json.loads(noted).items() if key != "block"}
        first = reads.first if begins is None else begins
        blocks = range(-(-first // self._every) * self._every, reads.last + 1, self._every)
        rows, vault, question = [], self.venue.address, CONVERT.calldata(PROBE)
        for block in sorted({*blocks, *([] if begins is None else [begins])}):
            ask = reads.state if known is None else reads.peek
            answer = ask(block, vault, question)
            if answer is PENDING or (said := _rate(answer)) == known:
                continue
            known, text = said, json.dumps({**said, "block": block}, separators=(",", ":"))
            reads.state(block, vault, question)
            rows.append(MarketChange(block, -1, END_OF_BLOCK, self.venue.id, vault, RATE, text, ENGINE, Basis.SETTLED))
        return rows


def _rate(answer: Answer) -> dict[str, str | None]:
    told = answer.returned and len(answer.output) == _WORD
    return {"assets": str(int.from_bytes(answer.output)) if told else None, "outcome": answer.outcome}


def worth(shares: int, assets: int) -> int:
    """Return what shares are worth in raw units of the underlying, given what `PROBE` shares are: downward (ERC-4626 rounds so too)."""
    return shares * assets // PROBE


def underlying_of(text: str) -> bytes | None:
    """Return what a vault's shares are of, where it said so."""
    said = json.loads(text)["asset"]
    return None if said is None else unhex(said)


def _moved(logs: pa.Table) -> Movements:
    """Return each transfer as what leaves one account and what reaches another; nobody's side, and to oneself, is none."""
    columns = TRANSFER.columns(logs.drop_columns(["block_hash"]))
    senders, receivers = columns.words(0)[:, 12:], columns.words(1)[:, 12:]
    moves = (senders != receivers).any(axis=1)
    sides = [(senders, moves & senders.any(axis=1)), (receivers, moves & receivers.any(axis=1))]
    rows = np.concatenate([np.flatnonzero(real) for _, real in sides])
    ends = np.repeat([0, 1], [int(real.sum()) for _, real in sides])
    order = np.lexsort((ends, rows))
    rows, ends = rows[order], ends[order]
    accounts = np.where((ends == 0)[:, None], senders[rows], receivers[rows])
    amounts = columns.integers(2)
    return Movements(
        place=columns.table.select(PLACE).take(pa.array(rows)).combine_chunks(),
        accounts=binaries(np.ascontiguousarray(accounts).tobytes(), len(NOBODY)),
        tokens=columns.table["address"].take(pa.array(rows)).combine_chunks(),
        words=columns.words(2)[rows],
        amounts=[amounts[row] for row in rows.tolist()],
        incoming=ends == 1,
        misfits=columns.misfits,
        owned=[],
    )
