"""Aave's fold by column gives, row for row, what one event after the other gives, however a span is cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from random import Random
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import example, given
from hypothesis import strategies as st

from chains.errors import NodeWrong
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.fold import AaveV3
from chains.evm.aave_v3.liquidity import COUNTED_BIT
from chains.evm.aave_v3.maths import RAY
from chains.evm.abi import Event
from chains.evm.logs import log_table
from chains.evm.ports import Answer, Folded, Look, Reads
from chains.evm.records import RpcLog
from chains.model import END_OF_BLOCK, WHOLE_VENUE, Rows, Side, VenueSpec
from indexer.store.journals import derive
from tests.support.aave_row_by_row import AaveRowByRow
from tests.support.state import Tips

Tables = dict[str, list[dict[str, Any]]]
Said = tuple[bytes, Event, tuple[Any, ...]]
"""(emitter, event, arguments)"""

POOL, PROVIDER, CONFIGURATOR, ORACLE, STRANGER = (bytes([i]) * 20 for i in range(1, 6))
HOLDERS = [bytes([i]) * 20 for i in (0, 0x11, 0x12, 0x13)]
ASSETS = [bytes([i]) * 20 for i in (0x21, 0x22)]
A_TOKENS = [bytes([i]) * 20 for i in (0x31, 0x32)]
DEBT_TOKENS = [bytes([i]) * 20 for i in (0x41, 0x42)]
VENUE = VenueSpec(id="aave", protocol="aave-v3", chain_id="eip155:1", address=POOL, start_block=1)
REVISIONS = [1, 9, 9, 11, 99]
"""Of pools: 3.0, 3.5 twice, 3.7 and one that nobody knows."""

TOKEN_REVISIONS = [1, 4, 5, 6]
"""Of tokens: up to 3.3, 3.5, 3.7 and one that nobody knows."""

EXTREMES = [0, 1, 2**64 - 1, 2**64, 10**38 - 1, 10**38, 2**128, 2**255, 2**256 - 1]
ODD_INDEXES = [0, 1, RAY - 1, 2**128 - 1, 2**256 - 1]
LENGTH = 40


class Chance:
    """Logs by chance: mostly such as a market has, with extreme words, strangers and logs of another shape among them."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)

    def history(self) -> list[RpcLog]:
        """Logs in chain order, from block 1 on."""
        logs, block, ordinal = [], 1, 0
        for _ in range(LENGTH):
            block, ordinal = (block + 1, 0) if self.rng.random() < 0.5 else (block, ordinal + 1)
            (kind,) = self.rng.choices([self.of_token, self.of_pool, self.of_market], [60, 30, 10])
            log = log_of(block, ordinal, *kind())
            if self.rng.random() < 0.02:
                log.data += "00"
            logs.append(log)
        return logs

    def of_token(self) -> Said:
        (emitters,) = self.rng.choices([A_TOKENS, DEBT_TOKENS, [STRANGER]], [6, 3, 1])
        (event,) = self.rng.choices([ev.MINT, ev.BURN, ev.BALANCE_TRANSFER], [3, 1, 1])
        words = [self.word()] if event is ev.BALANCE_TRANSFER else [self.word(), self.word()]
        return self.rng.choice(emitters), event, (self.holder(), self.holder(), *words, self.index())

    def of_pool(self) -> Said:
        event = self.rng.choice([*ev.POOL_EVENTS, ev.LIQUIDATION_CALL])
        arguments = tuple(self.argument(argument.name, argument.type) for argument in event.arguments)
        return (POOL if self.rng.random() < 0.9 else STRANGER), event, arguments

    def of_market(self) -> Said:
        if self.rng.random() < 0.3:
            return self.rng.choice([POOL, *A_TOKENS, *DEBT_TOKENS, STRANGER]), ev.UPGRADED, (self.holder(),)
        if self.rng.random() < 0.2:
            return CONFIGURATOR, ev.RESERVE_DROPPED, (self.rng.choice(ASSETS),)
        tokens = self.rng.choice(A_TOKENS), bytes(20), self.rng.choice(DEBT_TOKENS)
        return CONFIGURATOR, ev.RESERVE_INITIALIZED, (self.rng.choice(ASSETS), *tokens, self.holder())

    def argument(self, name: str, kind: str) -> Any:
        if kind == "address":
            named = {"reserve", "asset", "collateralAsset", "debtAsset"}
            return self.rng.choice(ASSETS) if name in named else self.holder()
        return {"bool": self.rng.randrange(2) == 1, "uint256": self.word()}.get(kind, self.rng.randrange(256))

    def holder(self) -> bytes:
        return self.rng.choice(HOLDERS)

    def word(self) -> int:
        return (
            self.rng.choice(EXTREMES) if self.rng.random() < 0.03 else self.rng.randrange(10 ** self.rng.randrange(28))
        )

    def index(self) -> int:
        return self.rng.choice(ODD_INDEXES) if self.rng.random() < 0.02 else RAY + self.rng.randrange(RAY)


def log_of(block: int, ordinal: int, emitter: bytes, event: Event, values: Sequence[Any]) -> RpcLog:
    pairs = list(zip(event.arguments, values, strict=True))
    plain = [(a.type, v) for a, v in pairs if not a.indexed]
    topics = [event.topic0, *(encode([a.type], [v]) for a, v in pairs if a.indexed)]
    return RpcLog(
        address="0x" + emitter.hex(),
        topics=["0x" + topic.hex() for topic in topics],
        data="0x" + encode([kind for kind, _ in plain], [v for _, v in plain]).hex(),
        block_number=hex(block),
        block_hash="0x" + block.to_bytes(32).hex(),
        transaction_hash="0x" + (block * 1_000 + ordinal // 2).to_bytes(32).hex(),
        transaction_index=hex(ordinal // 2),
        log_index=hex(ordinal),
    )


UNSCALED_SHARE = 0.3


class Node(Reads):
    """Answers every question; revisions are others in some blocks."""

    __slots__ = ("_seed",)

    def __init__(self, seed: int) -> None:
        super().__init__({})
        self._seed = seed

    def __call__(self, block: int, address: bytes, calldata: bytes) -> Answer:
        rng = Random(f"{self._seed} {block // 10} {address.hex()}")
        if calldata == ev.POOL_REVISION.calldata():
            return Answer("returned", rng.choice(REVISIONS).to_bytes(32))
        if calldata in [view.calldata() for view in ev.TOKEN_REVISIONS.values()]:
            return Answer("returned", rng.choice(TOKEN_REVISIONS).to_bytes(32))
        if calldata[:4] in (ev.HANDLE_REPAYMENT.selector, ev.HANDLE_REPAYMENT_BEFORE_3_0_1.selector):
            has = ev.HANDLE_REPAYMENT_BEFORE_3_0_1 if rng.random() < UNSCALED_SHARE else ev.HANDLE_REPAYMENT
            return Answer("reverted", b"refused" if calldata[:4] == has.selector else b"")
        return Answer("returned", bytes(32 * 15))

    def state(self, block: int, address: bytes, calldata: bytes) -> Answer:
        rng = Random(f"{self._seed} {block} {address.hex()} {calldata.hex()}")
        if calldata[:4] == ev.RESERVE_DATA.selector:
            return Answer("returned", (rng.randrange(2) << COUNTED_BIT).to_bytes(32) + bytes(32 * 14))
        return Answer("returned", rng.choice([0, 5, 10**30]).to_bytes(32))


def state_of(balance: int, *, begun: bool) -> Tips:
    """A market with one reserve, whose holders all have a balance; or one whose engine is still to be read."""
    reserve = {
        "a_token": "0x" + A_TOKENS[0].hex(),
        "variable_debt_token": "0x" + DEBT_TOKENS[0].hex(),
        "stable_debt_token": "0x" + bytes(20).hex(),
    }
    wiring = {"oracle": "0x" + ORACLE.hex(), "configurator": "0x" + CONFIGURATOR.hex()}
    engine = {"engine": "aave-3.0", "revision": 1, "supported": True, "exact": True, "since": 1}
    followed = {"0x" + address.hex(): 1 for address in (*A_TOKENS, *DEBT_TOKENS)}
    aspects = {(ASSETS[0], "reserve"): reserve, (WHOLE_VENUE, "wiring"): wiring, (WHOLE_VENUE, "followed"): followed}
    texts = {key: json.dumps(value) for key, value in aspects.items()}
    if begun:
        texts[WHOLE_VENUE, "engine"] = json.dumps(engine)
    held = {(holder, asset, side): balance for holder in HOLDERS for asset in ASSETS for side in Side}
    return Tips(held=held, aspects=texts)


def tables_of(rows: Rows) -> Tables:
    """Every derived row, and with it whether it is its key's last; aspects that one log changed are told in any order."""
    tables = {
        each.journal.name: [
            {**row, "last": i in last}
            for last in [set(each.last.to_pylist())]
            for i, row in enumerate(each.rows.to_pylist())
        ]
        for each in derive(rows)
    }
    place = itemgetter("block_number", "ordinal", "market", "aspect")
    return tables | {"market_change": sorted(tables.get("market_change", []), key=place)}


def take(tips: Tips, tables: Tables) -> None:
    tips.held |= {
        (row["unit_id"], row["market"], Side(row["side"])): int(row["amount_raw"])
        for row in tables.get("position_change", [])
    }
    tips.aspects |= {(row["market"], row["aspect"]): row["state"] for row in tables.get("market_change", [])}


def folded(fold: AaveV3, tips: Tips, logs: Sequence[RpcLog], node: Reads) -> Tables | str:
    """The tables of a span, or what is wrong with it."""
    table = log_table(logs)
    times = {block: 1_000 + 12 * block for block in table["block_number"].to_pylist()}
    try:
        outcome = fold.fold(tips, fold.decode(table), times, node)
    except NodeWrong as error:
        return str(error)
    assert isinstance(outcome, Folded)
    return tables_of(outcome.rows)


@example(60212, frozenset())  # a transfer in token units at an index of zero
@example(1646, frozenset())  # listed again between two updates of its rates, then liquidated
@given(seed=st.integers(0, 2**64 - 1), cuts=st.frozensets(st.integers(1, LENGTH), max_size=5))
def test_columns_give_the_rows_of_one_event_after_the_other_wherever_a_span_is_cut(
    seed: int, cuts: frozenset[int]
) -> None:
    chance = Chance(seed)
    spans = spans_of(chance.history(), cuts)
    tips = state_of(chance.rng.choice([10**30, 10**37, 0]), begun=chance.rng.random() < 0.7)
    node = Node(seed)

    for span in spans:
        by_column = folded(AaveV3(VENUE, PROVIDER), tips, span, node)
        by_row = folded(AaveRowByRow(VENUE, PROVIDER), tips, span, node)

        assert by_column == by_row
        if isinstance(by_row, str):
            return
        take(tips, by_row)


@pytest.mark.parametrize("event", [ev.MINT, ev.BURN])
def test_a_log_of_a_token_with_an_index_of_zero_is_in_quarantine_and_changes_no_balance(event: Event) -> None:
    odd, sound = ((HOLDERS[1], HOLDERS[1], 5, 0, index) for index in (0, RAY))
    logs = [log_of(1, 0, A_TOKENS[0], event, odd), log_of(1, 1, A_TOKENS[0], event, sound)]

    tables = folded(AaveV3(VENUE, PROVIDER), state_of(100, begun=True), logs, Node(0))

    assert isinstance(tables, dict)
    assert [(row["ordinal"], row["reason"]) for row in tables["quarantine"]] == [(0, f"malformed_event:{event.name}")]
    assert [int(row["amount_raw"]) for row in tables["position_change"]] == [105 if event is ev.MINT else 95]


def test_a_reserve_listed_between_two_logs_of_its_token_divides_them() -> None:
    minted = (HOLDERS[1], HOLDERS[1], 7, 0, RAY)
    listing = (ASSETS[1], A_TOKENS[1], bytes(20), DEBT_TOKENS[1], bytes(20))
    logs = [
        log_of(1, 0, A_TOKENS[1], ev.MINT, minted),
        log_of(1, 1, CONFIGURATOR, ev.RESERVE_INITIALIZED, listing),
        log_of(1, 2, A_TOKENS[1], ev.MINT, minted),
    ]

    tables = folded(AaveV3(VENUE, PROVIDER), state_of(0, begun=True), logs, Node(0))

    assert isinstance(tables, dict)
    assert [(row["ordinal"], int(row["amount_raw"])) for row in tables["position_change"]] == [(2, 7)]


class Upgraded(Reads):
    """Answers of a market whose pool is of 3.5 and whose tokens are of `token_revision`."""

    __slots__ = ("token_revision",)

    def __init__(self, token_revision: int) -> None:
        super().__init__({})
        self.token_revision = token_revision

    def __call__(self, block: int, address: bytes, calldata: bytes) -> Answer:
        pool = calldata == ev.POOL_REVISION.calldata()
        return Answer("returned", (9 if pool else self.token_revision).to_bytes(32))

    def state(self, block: int, address: bytes, calldata: bytes) -> Answer:
        data = calldata[:4] == ev.RESERVE_DATA.selector
        return Answer("returned", bytes(32 * 15) if data else (10**9 if address == POOL else 7).to_bytes(32))


def test_a_token_rounds_as_its_own_implementation_does_from_its_upgrade_on() -> None:
    holder, index = HOLDERS[1], 2 * RAY
    minted = (holder, holder, 3, 0, index)
    logs = [
        log_of(1, 0, A_TOKENS[0], ev.MINT, minted),  # 3 / 2, half up: 0 + 2
        log_of(2, 0, POOL, ev.UPGRADED, (STRANGER,)),
        log_of(2, 1, A_TOKENS[0], ev.MINT, minted),  # the pool's upgrade is not the token's: 2 + 2
        log_of(3, 0, A_TOKENS[0], ev.UPGRADED, (STRANGER,)),
        log_of(3, 1, A_TOKENS[0], ev.MINT, minted),  # shown 8 + 3 = 11, which 5.5 scaled are; up: 6
        log_of(3, 2, DEBT_TOKENS[0], ev.MINT, minted),  # not upgraded: 0 + 2
    ]

    tables = folded(AaveV3(VENUE, PROVIDER), state_of(0, begun=True), logs, Upgraded(4))

    assert isinstance(tables, dict)
    found = [(row["block_number"], row["side"], int(row["amount_raw"])) for row in tables["position_change"]]
    assert found == [(1, "supply", 2), (2, "supply", 4), (3, "supply", 6), (3, "borrow", 2)]


def test_a_pool_that_begins_to_count_is_asked_what_it_begins_with() -> None:
    minted = (HOLDERS[1], HOLDERS[1], 3, 0, RAY)
    logs = [
        log_of(1, 0, POOL, ev.SUPPLY, (ASSETS[0], HOLDERS[1], HOLDERS[1], 50, 0)),  # not counted yet
        log_of(2, 0, POOL, ev.UPGRADED, (STRANGER,)),
        log_of(2, 1, POOL, ev.SUPPLY, (ASSETS[0], HOLDERS[1], HOLDERS[1], 50, 0)),  # in what it says after the block
        log_of(3, 0, POOL, ev.WITHDRAW, (ASSETS[0], HOLDERS[1], HOLDERS[1], 10**9)),
        log_of(3, 1, A_TOKENS[0], ev.MINT, minted),
        log_of(4, 0, POOL, ev.SUPPLY, (ASSETS[0], HOLDERS[1], HOLDERS[1], 0, 0)),  # changes nothing
        log_of(5, 0, POOL, ev.WITHDRAW, (ASSETS[0], HOLDERS[1], HOLDERS[1], 1)),  # more than there is
        log_of(6, 0, POOL, ev.SUPPLY, (ASSETS[0], HOLDERS[1], HOLDERS[1], 50, 0)),
    ]

    tables = folded(AaveV3(VENUE, PROVIDER), state_of(0, begun=True), logs, Upgraded(4))

    assert isinstance(tables, dict)
    told = [row for row in tables["market_change"] if row["aspect"] == "liquidity"]
    assert [(row["block_number"], row["ordinal"], row["state"]) for row in told] == [
        (2, END_OF_BLOCK, '{"virtual":"1000000000","supplied":"7"}'),
        (3, 1, '{"virtual":"0","supplied":"10"}'),
        (5, 0, "null"),
    ]


class Maker(Reads):
    """Answers of a pool of 3.0 whose aTokens hold five, and of a token that says how much `maker` may make of it."""

    __slots__ = ("maker",)

    def __init__(self, maker: bytes) -> None:
        super().__init__({}, first=1, last=1)
        self.maker = maker

    def __call__(self, block: int, address: bytes, calldata: bytes) -> Answer:
        return Answer("returned", bytes(32 * 15))

    def state(self, block: int, address: bytes, calldata: bytes) -> Answer:
        if calldata[:4] == ev.FACILITATOR_BUCKET.selector:
            return Answer("returned", bytes(64)) if calldata[16:] == self.maker else Answer("reverted", b"")
        return Answer("returned", (5).to_bytes(32))

    def first_change(self, look: Look) -> int | None:
        return None


@pytest.mark.parametrize(
    "maker, told",
    [
        (A_TOKENS[1], '{"outcome":"makes_tokens","output":"0x","silent":0}'),
        (STRANGER, '{"outcome":"returned","output":"0x' + f"{5:064x}" + '","silent":0}'),
    ],
)
def test_what_an_atoken_holds_is_not_read_of_a_token_that_it_makes(maker: bytes, told: str) -> None:
    listing = (ASSETS[1], A_TOKENS[1], bytes(20), DEBT_TOKENS[1], bytes(20))
    logs = [log_of(1, 1, CONFIGURATOR, ev.RESERVE_INITIALIZED, listing)]
    fold = AaveV3(replace(VENUE, options={"liquidity": "read"}), PROVIDER)

    tables = folded(fold, state_of(0, begun=True), logs, Maker(maker))

    assert isinstance(tables, dict)
    assert [row["state"] for row in tables["market_change"] if row["aspect"] == "held"] == [told]


def test_no_balance_is_told_of_a_token_that_became_one_nobody_knows() -> None:
    minted = (HOLDERS[1], HOLDERS[1], 3, 0, RAY)
    logs = [
        log_of(1, 0, A_TOKENS[0], ev.UPGRADED, (STRANGER,)),
        log_of(1, 1, A_TOKENS[0], ev.MINT, minted),
        log_of(1, 2, DEBT_TOKENS[0], ev.MINT, minted),
    ]

    tables = folded(AaveV3(VENUE, PROVIDER), state_of(0, begun=True), logs, Upgraded(99))

    assert isinstance(tables, dict)
    assert [(row["side"], int(row["amount_raw"])) for row in tables["position_change"]] == [("borrow", 3)]
    assert [row["state"] for row in tables["market_change"]] == ['{"a_token":null}']


def spans_of(logs: Sequence[RpcLog], cuts: frozenset[int]) -> list[list[RpcLog]]:
    """The logs of spans that end in the blocks `cuts`, without those that are empty."""
    ends = [*sorted(cuts), 10**9]
    spans = [
        [log for log in logs if first < int(log.block_number, 16) <= last]
        for first, last in zip([0, *ends], ends, strict=False)
    ]
    return [span for span in spans if span]
