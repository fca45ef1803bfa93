"""When transactions and accounts agree, and when they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from chains.identifiers import base58
from chains.model import END_OF_BLOCK, Basis, LendingEvent, Rows, Side
from chains.ports import MarketKey
from chains.solana.reconcile import Move, weigh
from chains.solana.told import BIRTH, WHOLE_UNIT, Delta
from tests.support.history_runs import Separate

VENUE, HISTORY = "lending", "history:lending"
UNIT, OTHER, MARKET, OWNER = b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\4" * 32
KINDS = {
    (Side.SUPPLY, 1): "supply",
    (Side.SUPPLY, -1): "withdraw",
    (Side.BORROW, 1): "borrow",
    (Side.BORROW, -1): "repay",
}


class Plain:
    """Debts in token units, collateral in tokens of its own."""

    nets = False

    def worth(self, markets: Mapping[MarketKey, str], market: bytes, side: Side, amount: int) -> int | None:
        del markets, market
        return amount if side is Side.BORROW else None


class Book:
    """A venue's units, known from the first look, while slots go by."""

    def __init__(self) -> None:
        self.state = Separate()
        self.state.of(VENUE).settings[UNIT, b"", "known"] = "{}"
        self.differs: list[tuple[int, str, str]] = []
        self.last: Rows = Rows()

    def span(self, moves: list[Move], observed: list[LendingEvent], looks: Mapping[bytes, list[int]]) -> list[str]:
        rows = Rows(events=list(observed))
        found = weigh(VENUE, HISTORY, Plain(), self.state, moves, rows, looks)
        assert [event for event in rows.events if event.basis is Basis.OBSERVED] == []
        self.state.take(found)
        self.last = found
        return [row.aspect for row in found.markets]

    @property
    def pending(self) -> object:
        return json.loads(self.state.of(HISTORY).settings[UNIT, b"", "pending"])


def moved(slot: int, side: Side, tokens: int | None, exact: int | None = None, market: bytes = MARKET) -> Move:
    return Move(slot, 0, 0, Delta(UNIT, market, side, tokens, exact))


def seen(slot: int, side: Side, tokens: int, exact: int = 0) -> LendingEvent:
    kind = KINDS[side, 1 if tokens >= 0 else -1]
    extra = json.dumps({"observed": True, "account": base58(UNIT), "change_raw": str(exact)})
    place = slot, -1, END_OF_BLOCK, b"", VENUE, kind, MARKET, OWNER, None, MARKET
    return LendingEvent(*place, abs(tokens), extra, Basis.OBSERVED)


def test_collateral_agrees_to_the_last_token() -> None:
    assert Book().span([moved(5, Side.SUPPLY, 10, 9)], [seen(6, Side.SUPPLY, 11, 9)], {UNIT: [6]}) == []
    assert Book().span([moved(5, Side.SUPPLY, 10, 9)], [seen(6, Side.SUPPLY, 11, 8)], {UNIT: [6]}) == [
        f"differs:0x{MARKET.hex()}:supply"
    ]


def test_debts_agree_to_one_for_each_instruction_and_a_thousandth() -> None:
    for off, differs in ((0, 0), (6, 0), (7, 1), (-6, 0), (-7, 1)):  # 1 + 1 + 4,000 / 1,000
        found = Book().span([moved(5, Side.BORROW, 4_000)], [seen(6, Side.BORROW, 4_000 + off)], {UNIT: [6]})
        assert len(found) == differs, off


def test_a_change_without_a_transaction_differs_and_a_transaction_without_a_change() -> None:
    assert len(Book().span([], [seen(6, Side.BORROW, 9)], {UNIT: [6]})) == 1
    assert len(Book().span([], [seen(6, Side.SUPPLY, -9, -9)], {UNIT: [6]})) == 1
    assert len(Book().span([moved(5, Side.BORROW, -9)], [], {UNIT: [6]})) == 1
    assert len(Book().span([moved(5, Side.SUPPLY, None, 9)], [], {UNIT: [6]})) == 1


def test_what_nothing_names_agrees_with_everything_until_the_next_look() -> None:
    book = Book()
    assert book.span([moved(5, Side.BORROW, None)], [seen(6, Side.BORROW, 77)], {UNIT: [6]}) == []
    assert len(book.span([], [seen(7, Side.BORROW, 77)], {UNIT: [7]})) == 1


def test_of_a_unit_that_went_over_whole_nothing_is_compared() -> None:
    moves = [moved(5, Side.SUPPLY, None, market=WHOLE_UNIT), moved(5, Side.SUPPLY, 1, 1)]
    assert Book().span(moves, [seen(6, Side.SUPPLY, -50, -50)], {UNIT: [6]}) == []


def test_a_transaction_after_the_look_waits_for_the_next_one() -> None:
    book = Book()
    assert (
        book.span([moved(5, Side.SUPPLY, 3, 3), moved(8, Side.SUPPLY, 4, 4)], [seen(6, Side.SUPPLY, 3, 3)], {UNIT: [6]})
        == []
    )
    assert book.pending == {f"0x{MARKET.hex()}:supply": ["4", "4", "4", 1]}
    assert book.span([], [seen(9, Side.SUPPLY, 4, 4)], {UNIT: [9]}) == []
    assert book.pending == {}


def test_a_unit_that_nobody_knew_is_compared_only_from_its_beginning() -> None:
    book = Book()
    book.state.of(VENUE).settings.clear()
    assert book.span([moved(5, Side.SUPPLY, 3, 3)], [], {UNIT: [6]}) == []
    book.state.of(VENUE).settings.clear()
    born = [moved(7, Side.SUPPLY, 0, 0, market=BIRTH), moved(7, Side.SUPPLY, 3, 3)]
    assert len(book.span(born, [], {UNIT: [8]})) == 1


def test_others_lines_stay() -> None:
    rows = Rows(events=[seen(6, Side.BORROW, 1)._replace(venue_id="other")])
    weigh(VENUE, HISTORY, Plain(), Separate(), [], rows, {OTHER: [6]})
    assert len(rows.events) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from(Side), st.integers(-50, 50).filter(bool)),
        max_size=12,
        unique_by=lambda t: t[0],
    ),
    st.sets(st.integers(1, 41), max_size=6),
    st.sets(st.integers(1, 40), max_size=4),
)
def test_what_differs_does_not_depend_on_how_slots_are_cut(
    acts: list[tuple[int, Side, int]], looks: set[int], cuts: set[int]
) -> None:
    moves = [moved(slot, side, amount, amount if side is Side.SUPPLY else None) for slot, side, amount in sorted(acts)]
    observed = [seen(slot, Side.SUPPLY, 5, 5) for slot in sorted(looks) if slot % 2]

    def run(edges: list[int]) -> list[object]:
        book, rows = Book(), list[object]()
        for first, last in zip([0, *edges], [*edges, 50], strict=True):
            book.span(
                [move for move in moves if first < move.slot <= last],
                [event for event in observed if first < event.block <= last],
                {UNIT: [slot for slot in sorted(looks) if first < slot <= last]},
            )
            rows += [*book.last.accounts, *book.last.markets]
        return sorted(rows, key=repr)

    assert run(sorted(cuts)) == run([])
