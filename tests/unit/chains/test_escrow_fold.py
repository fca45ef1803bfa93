"""Movements of a vault into journals: whatever was folded before, the same events give the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterable

from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from chains.evm.erc20 import DECIMALS, SYMBOL
from chains.evm.escrow import Escrow
from chains.evm.escrow.declarations import parse_declaration
from chains.evm.escrow.events import DECLARED
from chains.evm.logs import log_table
from chains.evm.ports import ETH_CALL, Answer, Folded, NeedReads, Read, Reads
from chains.evm.records import RpcLog
from chains.model import Basis, LendingEvent, MarketChange, PositionChange, Rows, Side, VenueSpec
from tests.support.rows import spelled_out
from tests.support.state import Tips

VAULT, OTHER = b"\xaa" * 20, b"\xbb" * 20
ANN, BOB = b"\x01" * 20, b"\x02" * 20
USD, ODD = b"\x0a" * 20, b"\x0b" * 20
TOPICS = {
    incoming: parse_declaration(text).topic0 for incoming, text in zip((True, False), DECLARED.values(), strict=True)
}
WIDEST = 10**38 - 1

Said = tuple[bool, bytes, bytes, int]
"""(deposit, account, token, amount)"""


def venue() -> VenueSpec:
    return VenueSpec(id="vault", protocol="escrow", chain_id="eip155:1", address=VAULT, start_block=1)


def log(block: int, said: Said, *, emitter: bytes = VAULT) -> RpcLog:
    incoming, account, token, amount = said
    topics = [TOPICS[incoming], encode(["address"], [account]), encode(["address"], [token])]
    return RpcLog(
        address="0x" + emitter.hex(),
        topics=["0x" + topic.hex() for topic in topics],
        data="0x" + encode(["uint256"], [amount]).hex(),
        block_number=hex(block),
        block_hash="0x" + "11" * 32,
        transaction_hash="0x" + block.to_bytes(32).hex(),
        transaction_index="0x3",
        log_index="0x5",
    )


def answers(read: Read) -> Answer:
    """One token of six decimals, and one that says nothing of itself."""
    if read.address == ODD:
        return Answer("reverted", b"")
    return Answer(
        "returned", encode(["uint8"], [6]) if read.input == DECIMALS.calldata() else encode(["string"], ["USD"])
    )


def fold(tips: Tips, logs: Iterable[RpcLog]) -> Rows:
    """Fold a span as the chain does, and let the tips be what they are after it."""
    escrow, known = Escrow(venue()), dict[Read, Answer]()
    decoded = escrow.decode(log_table(list(logs)))
    while True:
        match escrow.fold(tips, decoded, {}, Reads(known)):
            case NeedReads(reads=reads):
                assert reads.isdisjoint(known)
                known |= {read: answers(read) for read in reads}
            case Folded(rows=rows, contracts=contracts, sources=sources):
                assert (contracts, sources) == ({VAULT: 1}, {})
                rows = spelled_out(rows)
                tips.take(rows)
                return rows


def test_a_deposit_becomes_a_token_an_amount_and_a_line_of_history() -> None:
    rows = fold(Tips(), [log(7, (True, ANN, USD, 100)), log(8, (False, ANN, USD, 30))])

    assert rows.markets == [
        MarketChange(7, 3, 5, "vault", USD, "token", '{"decimals":6,"symbol":"USD"}', "escrow-1", Basis.EXACT)
    ]
    assert rows.positions == [
        PositionChange(7, 3, 5, "vault", ANN, ANN, USD, Side.SUPPLY, USD, 100, "escrow-1", Basis.EXACT),
        PositionChange(8, 3, 5, "vault", ANN, ANN, USD, Side.SUPPLY, USD, 70, "escrow-1", Basis.EXACT),
    ]
    assert rows.events == [
        LendingEvent(7, 3, 5, (7).to_bytes(32), "vault", "supply", USD, ANN, None, USD, 100, "{}"),
        LendingEvent(8, 3, 5, (8).to_bytes(32), "vault", "withdraw", USD, ANN, None, USD, 30, "{}"),
    ]
    assert (rows.accounts, rows.prices, rows.quarantined) == ([], [], [])


def test_a_token_is_asked_once_at_the_block_of_its_first_event() -> None:
    escrow = Escrow(venue())
    decoded = escrow.decode(log_table([log(7, (True, ANN, USD, 1)), log(9, (True, BOB, USD, 1))]))

    outcome = escrow.fold(Tips(), decoded, {}, Reads({}))

    assert outcome == NeedReads(
        reads=frozenset({Read(7, ETH_CALL, USD, DECIMALS.calldata()), Read(7, ETH_CALL, USD, SYMBOL.calldata())})
    )


def test_a_token_that_says_nothing_has_neither_decimals_nor_symbol() -> None:
    (aspect,) = fold(Tips(), [log(7, (True, ANN, ODD, 1))]).markets

    assert json.loads(aspect.state) == {"decimals": None, "symbol": None}


def test_what_another_contract_says_is_not_the_vaults() -> None:
    rows = fold(Tips(), [log(7, (True, ANN, USD, 100), emitter=OTHER)])

    assert rows == Rows()


def test_an_amount_that_is_too_wide_is_remembered_until_it_fits() -> None:
    tips = Tips()
    rows = [fold(tips, [log(n, (incoming, ANN, USD, amount))]) for n, incoming, amount in (
        (1, True, WIDEST), (2, True, 1), (3, True, 1), (4, False, 3), (5, False, 1),
    )]  # fmt: skip

    assert [change.amount_raw for part in rows for change in part.positions] == [
        WIDEST,
        10**38,
        10**38 + 1,
        10**38 - 2,
        10**38 - 3,
    ]
    assert [(change.block, change.aspect, change.state) for part in rows for change in part.accounts] == [
        (2, "wide_amount", f'"{10**38}"'),
        (3, "wide_amount", f'"{10**38 + 1}"'),
        (4, "wide_amount", "null"),
    ]


amounts = st.one_of(st.integers(0, 9), st.integers(0, 2**256 - 1), st.sampled_from([WIDEST, 10**38, 2**255]))
movements = st.tuples(st.booleans(), st.sampled_from([ANN, BOB]), st.sampled_from([USD, ODD]), amounts)


@given(st.lists(movements, max_size=12), st.data())
def test_rows_do_not_depend_on_how_events_were_cut_into_spans(said: list[Said], data: st.DataObject) -> None:
    logs = [log(block, one) for block, one in enumerate(said, start=1)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(logs)))))
    whole, tips, pieces = fold(Tips(), logs), Tips(), Rows()

    for first, last in zip([0, *cuts], [*cuts, len(logs)], strict=True):
        pieces.extend(fold(tips, logs[first:last]))

    assert pieces == whole
    for key, amount in tips.held.items():
        said_of_it = [one for one in said if one[1:3] == key[:2]]
        total = sum(amount if incoming else -amount for incoming, *_, amount in said_of_it)
        assert total == amount or abs(total) > WIDEST
