"""Logs of an Aave 3.5 market → derived rows as columns: by column against one event after the other, on the same logs in the same run.

Batches of logs are decoded and folded upon the balances that the batches before left, as an indexer does it; the store is not part of it.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median
from time import process_time

import numpy as np
import pyarrow as pa

from bench.sync.aave_market import TOPICS, Market
from bench.sync.recorded import BLOCK_SECONDS
from chains.columns import AMOUNT, SCHEMAS, joined
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.balances import burnt, minted, settled, transferred
from chains.evm.aave_v3.epochs import Epochs, Token
from chains.evm.aave_v3.fold import AaveV3
from chains.evm.aave_v3.liquidity import ASPECT
from chains.evm.aave_v3.market import SIDES
from chains.evm.aave_v3.rounding import Rounding
from chains.evm.logs import log_table
from chains.evm.ports import Answer, Folded, Reads
from chains.evm.records import RpcLog
from chains.model import WHOLE_VENUE, AccountBytes, Rows, Side, VenueSpec
from chains.ports import AccountKey, MarketKey, PositionKey
from indexer.store.journals import MARKETS, POSITIONS, arranged
from indexer.unstored import KnownAmounts
from tests.support.aave_row_by_row import AaveRowByRow

LOGS = 100_000
BATCH = 20_000
LOGS_A_BLOCK = 150
RUNS = 5
SEED = 1
PLENTY = 10**30
PROVIDER = b"\1" * 20


def main() -> None:
    market, logs = history()
    venue = VenueSpec(id="aave", protocol="aave-v3", chain_id="eip155:1", address=raw(market.pool), start_block=0)
    ours, peer = AaveV3(venue, PROVIDER), AaveRowByRow(venue, PROVIDER)
    book = {
        (raw(market.people[person]), raw(reserve.asset), side): scaled
        for reserve in market.reserves
        for token, side in ((reserve.a, Side.SUPPLY), (reserve.v, Side.BORROW))
        for person, scaled in token.scaled.items()
    }
    for fold in (ours, peer):
        assert work_through(fold, logs, market).balances == book

    mine, theirs, integers = [], [], []
    for _ in range(RUNS):
        mine.append(logs.num_rows / seconds(ours, logs, market))
        theirs.append(logs.num_rows / seconds(peer, logs, market))
        integers.append(lines_per_second(logs, market))
    print(
        f"fold · logs of an Aave 3.5 market to derived columns, batches of {BATCH:,}, median of {RUNS} paired runs, one core"
    )
    print(f"  Python {platform.python_version()}, pyarrow {version('pyarrow')}, numpy {version('numpy')}")
    print(f"  by column           {median(mine):>12,.0f} logs/s")
    print(f"  one after the other {median(theirs):>12,.0f} logs/s")
    print(f"  ratio               {median(mine) / median(theirs):>12,.1f} ×")
    print(f"  balances alone      {median(integers):>12,.0f} token events/s")


@dataclass(slots=True)
class State:
    """The tips that a store would keep: what the market is, and the balances so far, by key and as columns."""

    aspects: dict[MarketKey, str]
    balances: dict[PositionKey, int] = field(default_factory=dict)
    known: KnownAmounts = field(default_factory=KnownAmounts)

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        del venue_id
        return dict(self.aspects)

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        del venue_id
        return {key: self.balances[key] for key in keys if key in self.balances}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        del venue_id
        lines = self.known.lines(keys)
        missing = keys.filter(pa.array(lines < 0))
        lines[lines < 0] = np.arange(len(self.known), len(self.known) + missing.num_rows)
        self.known.add(missing, pa.nulls(missing.num_rows, AMOUNT))
        return self.known.amounts.take(pa.array(lines))

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        raise NotImplementedError

    def units(self, venue_id: str) -> frozenset[bytes]:
        raise NotImplementedError

    def answers(self) -> dict[bytes, int]:
        raise NotImplementedError

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        raise NotImplementedError

    def take(self, rows: Mapping[str, pa.Table]) -> None:
        changed = arranged(MARKETS, rows["markets"])
        markets = (changed.rows.take(changed.last)[name].to_pylist() for name in ("market", "aspect", "state"))
        self.aspects |= {(market, aspect): state for market, aspect, state in zip(*markets, strict=True)}
        positions = rows["positions"]
        tips = arranged(POSITIONS, positions)
        last = tips.rows.take(tips.last)
        self.known.put(last, last["amount_raw"].combine_chunks())
        columns = (positions[name].to_pylist() for name in ("unit_id", "market", "side", "amount_raw"))
        self.balances |= {
            (unit, market, Side(side)): int(amount) for unit, market, side, amount in zip(*columns, strict=True)
        }


class Node(Reads):
    """Answers every question with zero; only debt tokens are asked, of reserves that earn nothing, for what is owed."""

    __slots__ = ()

    def __call__(self, block: int, address: bytes, calldata: bytes) -> Answer:
        del block, address, calldata
        return Answer("returned", bytes(32))


def history(count: int = LOGS) -> tuple[Market, pa.Table]:
    """A market's first `count` logs from its first supply on, and the market as it is after them."""
    market = Market(SEED, directed=True)
    logs: list[RpcLog] = []
    block = transaction = ordinal = 0
    while len(logs) < count:
        if ordinal >= LOGS_A_BLOCK:
            block, transaction, ordinal = block + 1, 0, 0
        market.now = block * BLOCK_SECONDS
        for contract, event, topics, data in market.act():
            logs.append(
                log_of(
                    (block, transaction, ordinal), contract, [TOPICS[event], *("0x" + topic for topic in topics)], data
                )
            )
            ordinal += 1
        transaction += 1
    return market, log_table([log for log in logs if log.topics[0] != TOPICS["AnswerUpdated"]])


def log_of(place: tuple[int, int, int], contract: str, topics: list[str], data: str) -> RpcLog:
    block, transaction, ordinal = place
    return RpcLog(
        address=contract,
        topics=topics,
        data="0x" + data,
        block_number=hex(block),
        block_hash="0x" + block.to_bytes(32).hex(),
        transaction_hash="0x" + (block << 32 | transaction).to_bytes(32).hex(),
        transaction_index=hex(transaction),
        log_index=hex(ordinal),
    )


def aspects_of(market: Market) -> dict[MarketKey, str]:
    """What the journals hold of a market whose reserves are listed."""
    engine = {"engine": "aave-3.5", "revision": 9, "supported": True, "exact": True, "since": 0}
    aspects: dict[MarketKey, object] = {
        (WHOLE_VENUE, "engine"): engine,
        (WHOLE_VENUE, "wiring"): {},
        (WHOLE_VENUE, "followed"): {},
    }
    for reserve in market.reserves:
        tokens = {"a_token": reserve.a.address, "variable_debt_token": reserve.v.address}
        aspects[raw(reserve.asset), "reserve"] = {**tokens, "stable_debt_token": "0x" + "00" * 20}
        aspects[raw(reserve.asset), "rounding"] = dict.fromkeys(SIDES, Rounding.DIRECTED)
        aspects[raw(reserve.asset), "variable_debt"] = {"scaled": "0"}
        aspects[raw(reserve.asset), ASPECT] = {"virtual": str(PLENTY), "supplied": "0"}
    return {key: json.dumps(aspect) for key, aspect in aspects.items()}


def work_through(fold: AaveV3, logs: pa.Table, market: Market) -> State:
    """Fold all batches, one upon the other, and return the state at the end."""
    state = State(aspects_of(market))
    for batch in batches(logs):
        state.take(columns_of(folded(fold, batch, state)))
    return state


def seconds(fold: AaveV3, logs: pa.Table, market: Market) -> float:
    """How long all batches take; keeping the tips of each for the next is the store's part."""
    state, spent = State(aspects_of(market)), 0.0
    for batch in batches(logs):
        began = process_time()
        columns = columns_of(folded(fold, batch, state))
        spent += process_time() - began
        state.take(columns)
    return spent


def lines_per_second(logs: pa.Table, market: Market) -> float:
    """How many token events a second become balances, once they are decoded: interned, in order, and added up exactly."""
    epochs = Epochs(tokens_of(market), "aave-3.5")
    found = [event.columns(logs) for event in ev.TOKEN_EVENTS]
    numbers = [epochs.token_numbers(events.table) for events in found]
    began = process_time()
    moves = [
        minted(found[0], numbers[0]),
        burnt(found[1], numbers[1]),
        *transferred(found[2], numbers[2], epochs.tokens),
    ]
    settled(moves, epochs.tokens, lambda keys: pa.nulls(keys.num_rows, AMOUNT))
    count: int = sum(events.table.num_rows for events in found)
    return count / (process_time() - began)


def tokens_of(market: Market) -> dict[bytes, Token]:
    return {
        raw(token.address): Token(raw(reserve.asset), side, Rounding.DIRECTED)
        for reserve in market.reserves
        for token, side in ((reserve.a, Side.SUPPLY), (reserve.v, Side.BORROW))
    }


def batches(logs: pa.Table, size: int = BATCH) -> Sequence[pa.Table]:
    return [logs.slice(start, size) for start in range(0, logs.num_rows, size)]


def folded(fold: AaveV3, logs: pa.Table, state: State) -> Rows:
    times = {block: block * BLOCK_SECONDS for block in set(logs["block_number"].to_pylist())}
    outcome = fold.fold(state, fold.decode(logs), times, Node({}))
    assert isinstance(outcome, Folded)
    return outcome.rows


def columns_of(rows: Rows) -> dict[str, pa.Table]:
    """Every derived row as the store takes it in."""
    return {field: joined(field, getattr(rows, field), rows.columns.get(field, ())) for field in SCHEMAS}


def raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])
