"""What arrays say of an account is what is said of it by itself: to 1e-12, whatever it holds, and by either kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.arrays import compiled, stacked
from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.entries import entry_of, marks_of
from aggregator.arrays.kernels import Revalue
from aggregator.arrays.legs import Price
from aggregator.arrays.standing import HeldBack
from aggregator.margin.account import Assessment
from aggregator.margin.house import Bound, Margin, value
from aggregator.oracle.mark import Mark, Unpriced
from aggregator.oracle.rules import State
from chains.model import Side
from tests.unit.aggregator.arrays.books import APART, ESTIMATED, OTHERS, TOGETHER, Holding, Toy, identity, mark, toy

LIMITED = '[[pool]]\nid = "main"\nmax_share = { other = 0.5 }\n'
KERNELS = pytest.mark.parametrize("kernel", [compiled.revalue, stacked.revalue], ids=["compiled", "numpy"])
REGIMES = pytest.mark.parametrize(
    "regime",
    [
        {},
        {"stressed": True},
        {"negative": True},
        {"model": "[model]\nkappa = 1.0\n"},
        {"model": '[model]\nhaircuts = "static"\n'},
        {"doubted": True},
        {"claimed": True},
        {"model": APART},
        {"model": TOGETHER},
        {"model": LIMITED},
    ],
    ids=[
        "calm",
        "stress",
        "negative correlations",
        "nothing diversifies",
        "static",
        "marks in doubt",
        "claims of others",
        "an isolated pool",
        "two pools and charges",
        "a limited pool",
    ],
)
SUPPLY, BORROW = Side.SUPPLY, Side.BORROW

holdings = st.lists(
    st.tuples(
        st.integers(0, ESTIMATED + OTHERS - 1),
        st.sampled_from(Side),
        st.one_of(st.just(0.0), st.floats(1e-6, 1e9, allow_nan=False)),
    ),
    max_size=10,
)
books = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), holdings, min_size=1, max_size=12)


def agrees(book: ArrayBook, world: Toy, name: str) -> bool:
    """Compare one account, if arrays have it; differences of sums are measured by the sums."""
    theirs = world.assessed(name)
    try:
        ours = book.standing.account(name)
    except HeldBack:
        assert name in book.standing.unmeasured()
        return False
    assert ours is not None
    low, mid, high = theirs.margins.low, theirs.margins.mid, theirs.margins.high
    scale = 1e-12 * (mid.collateral + low.debt)
    near = pytest.approx
    assert ours.collateral == near(mid.collateral, rel=1e-12)
    assert (ours.debt is None) is not theirs.debt_known
    if theirs.debt_known:
        assert ours.debt == near(mid.debt, rel=1e-12)
        assert ours.headroom == near(low.headroom, rel=1e-12, abs=scale)
        assert ours.maintenance_excess == near(mid.maintenance.excess, rel=1e-12, abs=scale)
    assert (ours.health_factor is None) is not theirs.measurable
    if theirs.measurable:
        assert ours.health_factor == near(mid.health_factor, rel=1e-12, abs=of_all(theirs, mid))
        assert ours.low == near(low.health_factor, rel=1e-12, abs=of_all(theirs, low))
        assert (ours.high is None) is not theirs.collateral_known
        if theirs.collateral_known:
            assert ours.high == near(high.health_factor, rel=1e-12, abs=of_all(theirs, high))
    return True


def of_all(assessed: Assessment, seen: Margin) -> float:
    """A bit of the whole in health factors: what risk leaves of collateral is a difference, of which it is much where little is left."""
    return 1e-12 * gross(assessed) / seen.maintenance_debt if seen.maintenance_debt else 0.0


def gross(assessed: Assessment) -> float:
    """Everything that an account has, at the high of its marks."""
    return sum(
        value(item, Bound.HIGH)
        for item in assessed.positions
        if item.position.side is SUPPLY and isinstance(item.mark, Mark)
    )


@KERNELS
@REGIMES
@settings(max_examples=25)
@given(accounts=books, seed=st.integers(0, 100))
def test_arrays_agree_with_each_account_by_itself(
    kernel: Revalue, regime: dict[str, str], accounts: Mapping[str, Sequence[Holding]], seed: int
) -> None:
    world = toy(accounts, seed=seed, **regime)  # type: ignore[arg-type]

    book = world.arrays(kernel)

    told = [agrees(book, world, name) for name in accounts]
    assert any(told) is (regime != {"model": LIMITED}) or regime in ({"claimed": True}, {"model": TOGETHER})


@KERNELS
@settings(max_examples=20)
@given(accounts=books, prices=st.dictionaries(st.integers(0, ESTIMATED + OTHERS - 1), st.floats(0.01, 1e5), min_size=1))
def test_a_tick_gives_what_a_new_book_gives_to_the_bit(
    kernel: Revalue, accounts: Mapping[str, Sequence[Holding]], prices: Mapping[int, float]
) -> None:
    world = toy(accounts)
    moved = world.repriced({identity(number): mark(number, mid) for number, mid in prices.items()})
    book = world.arrays(kernel)

    book.reprice({identity(number): _price(number, mid) for number, mid in prices.items()})

    same(book, moved.arrays(kernel), accounts)


@KERNELS
@settings(max_examples=20)
@given(before=books, changes=st.lists(books, max_size=4))
def test_changed_positions_give_what_a_new_book_gives_to_the_bit(
    kernel: Revalue, before: Mapping[str, Sequence[Holding]], changes: Sequence[Mapping[str, Sequence[Holding]]]
) -> None:
    book, now = toy(before).arrays(kernel), dict(before)
    for change in changes:
        now |= change
        changed = toy(change)
        entries, marks = _entries(changed)
        book.change(entries, marks)

    same(book, toy(now).arrays(kernel), now)
    book.reprice({identity(0): _price(0, 17.0)})
    same(book, toy(now).repriced({identity(0): mark(0, 17.0)}).arrays(kernel), now)


@settings(max_examples=25)
@given(accounts=books, seed=st.integers(0, 100))
def test_both_kernels_give_the_same_bits(accounts: Mapping[str, Sequence[Holding]], seed: int) -> None:
    world = toy(accounts, seed=seed)

    same(world.arrays(compiled.revalue), world.arrays(stacked.revalue), accounts)


@KERNELS
def test_a_mark_that_is_lost_leaves_no_number_behind(kernel: Revalue) -> None:
    world = toy({"a": [(0, SUPPLY, 10.0), (1, BORROW, 1.0)], "b": [(1, SUPPLY, 1.0), (5, BORROW, 1.0)]})
    book = world.arrays(kernel)

    book.reprice({identity(1): None})

    owing, owned = book.standing.account("a"), book.standing.account("b")
    assert owing is not None
    assert owned is not None
    assert (owing.health_factor, owing.debt, owing.headroom) == (None, None, None)
    assert owned.collateral == 0.0
    assert owned.health_factor == 0.0
    assert owned.high is None
    assert book.standing.unmeasured() == ["a"]
    assert [name for name, _ in book.standing.below(1.0)] == ["b"]
    unpriced = world.repriced({identity(1): Unpriced(identity=identity(1), discarded=())})
    assert not unpriced.assessed("a").debt_known


@KERNELS
def test_one_identity_on_two_positions_is_sold_together(kernel: Revalue) -> None:
    whole = toy({"a": [(0, SUPPLY, 10_000.0), (5, BORROW, 100.0)]}).arrays(kernel).standing.account("a")
    halves = toy({"a": [(0, SUPPLY, 5_000.0), (0, SUPPLY, 5_000.0), (5, BORROW, 100.0)]}).arrays(kernel)

    assert halves.standing.account("a") == whole


@KERNELS
def test_what_is_not_estimated_is_not_sold_with_what_is(kernel: Revalue) -> None:
    """Selling A0 costs more the more of it there is; of A6, which nobody estimated, nothing is known, and a lot is there."""
    world = toy({"a": [(0, SUPPLY, 10_000.0), (5, BORROW, 100.0), (6, SUPPLY, 1e7)]})

    assert agrees(world.arrays(kernel), world, "a")


@KERNELS
def test_by_hand(kernel: Revalue) -> None:
    """10 at 100 USD of a class that leaves 0.5 against 200 USD of debt at 1.25, nothing estimated: 500 / 250."""
    world = toy({"a": [(6, SUPPLY, 10.0), (8, BORROW, 200.0)]}).repriced({"A6": mark(6, 100.0), "A8": mark(8, 1.0)})

    numbers = world.arrays(kernel).standing.account("a")

    assert numbers is not None
    # class default leaves 0.5; a stable coin's debt counts once
    assert numbers.health_factor == pytest.approx(10 * 100 * 0.5 / 200, rel=1e-15)
    assert numbers.headroom == pytest.approx(10 * 99 * 0.5 - 200 * 1.01, rel=1e-13)


def test_requirements_of_others_weigh_like_debt() -> None:
    held = [(6, SUPPLY, 1.0), (6, SUPPLY, 1.0), (6, SUPPLY, 20.0)]
    world = toy({"a": held}, claimed=True).repriced({"A6": mark(6, 100.0)})
    book = world.arrays()

    numbers = book.standing.account("a")

    assert numbers is not None
    # 22 at 100 USD, of which the class default leaves 0.5, against 400 USD required and 150 lost; then 700 and 150
    assert numbers.health_factor == pytest.approx(1100 / 550, rel=1e-15)
    assert numbers.headroom == pytest.approx(22 * 99 * 0.5 - 850, rel=1e-13)
    book.reprice({"A6": None})
    with pytest.raises(HeldBack):
        book.standing.account("a")


@KERNELS
def test_new_debt_rests_on_no_mark_in_doubt(kernel: Revalue) -> None:
    held = [(6, SUPPLY, 10.0), (8, BORROW, 200.0)]
    marks = {"A6": mark(6, 100.0, state=State.HELD), "A8": mark(8, 1.0, state=State.UNCERTAIN)}
    numbers = toy({"a": held}).repriced(marks).arrays(kernel).standing.account("a")

    assert numbers is not None
    assert numbers.health_factor == pytest.approx(500 / 200, rel=1e-15)
    assert numbers.headroom == pytest.approx(-200 * 1.01, rel=1e-13)


def same(left: ArrayBook, right: ArrayBook, names: Mapping[str, object]) -> None:
    """Compare numbers by name to the bit."""
    for name in names:
        assert left.standing.account(name) == right.standing.account(name)
    fresh = left.standing.rows.copy()
    assert np.array_equal(left.revalue().rows, fresh)


def _price(number: int, mid: float) -> Price:
    made = mark(number, mid)
    return Price(made.low, made.mid, made.high)


def _entries(world: Toy) -> tuple[list[Entry], Mapping[str, Price | None]]:
    assessed = {name: world.assessed(name) for name in world.accounts}
    return [entry_of(name, each, world.context) for name, each in assessed.items()], marks_of(
        assessed.values(), world.context
    )
