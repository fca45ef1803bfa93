"""The margin model over a whole book in arrays: everything, a price that moves, a position that changes, one account; beside plain sums.

The peers compute much less, two sums an account (what counts and what is owed, at one price): numpy by gathering and `bincount`, DuckDB
by a join and a group. Ours are three health factors, two margins, both sums and flags. All in one run, on the same positions; the
arrays' numbers are compared with the peers' first.

Parts are chosen by `MARGIN_ACCOUNTS` (1000000), `MARGIN_PRICES` (50,5000), `MARGIN_WEIGHTS` (static,layered,sized) and `MARGIN_PARTS`
(numpy,compiled,changed,one,peers,sql).
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from itertools import count, cycle
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import perf_counter, process_time
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aggregator.arrays import stacked
from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.columns import HAS_DEBT, OWED, VALUE, Floats
from aggregator.arrays.estimates import STATIC, Case, Estimates
from aggregator.arrays.kernels import Revalue, fastest
from aggregator.arrays.layout import Layout, neighbours
from aggregator.arrays.legs import Leg, LegTable, Pair, Price, Weight
from aggregator.arrays.tables import margin_tables
from indexer.store import Store

ACCOUNTS = int(os.environ.get("MARGIN_ACCOUNTS", "1000000"))
PRICES = tuple(int(keys) for keys in os.environ.get("MARGIN_PRICES", "50,5000").split(","))
WEIGHTS = tuple(os.environ.get("MARGIN_WEIGHTS", "static,layered,sized").split(","))
PARTS = frozenset(os.environ.get("MARGIN_PARTS", "numpy,compiled,changed,one,peers,sql").split(","))
FEW_PRICES = 50
"""With more than so many prices accounts have 1 to 16 positions, else 5; and SQL is asked of no more."""

MOVED = "A0"
SHARE = 0.2
"""Of all accounts have what `MOVED` prices."""

ESTIMATED = 200
"""So many of the assets have estimates, where any have."""

RUNS = 7
SEED = 1
CASES = (Case(ones=0, first=1, third=0, offset=0.8), Case(ones=0.5, first=0.5, third=0, offset=0.8), Case(ones=0, first=0.5, third=0.5, offset=0.8))  # fmt: skip  # noqa: E501


def main() -> None:
    print(
        f"margin · {ACCOUNTS:,} accounts, median of {RUNS} runs, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"  Python {platform.python_version()}, numpy {version('numpy')}, duckdb {version('duckdb')}, milliseconds on the clock and of CPU"
    )
    for keys in PRICES:
        for weights in WEIGHTS:
            measure(keys, weights, skewed=keys > FEW_PRICES)


def measure(keys: int, weights: str, *, skewed: bool) -> None:
    world = World(ACCOUNTS, keys, weights, skewed=skewed)
    print(
        f"  {keys:,} prices, {len(world.legs) / ACCOUNTS:.1f} positions an account, {'1 to 16' if skewed else 'always 5'}, {weights}"
    )
    if "numpy" in PARTS:
        in_arrays(world, "numpy", stacked.revalue)
    if PARTS & {"compiled", "changed", "one"}:
        compiled(world)
    if "peers" in PARTS:
        report("peer: two sums, numpy", timed(world.bincount))
        with duckdb.connect() as con:
            world.load(con)
            report("peer: two sums, DuckDB", timed(lambda: con.execute(TWO_SUMS).fetchall()))
    if "sql" in PARTS and not skewed:
        in_sql(world)


def compiled(world: World) -> None:
    """What the fastest kernel that there is here does: everything, a price, changes while somebody reads, one account."""
    name = "numpy" if fastest() is stacked.revalue else "compiled"
    book = in_arrays(world, name, fastest(), told="compiled" in PARTS)
    if "changed" in PARTS:
        entries = world.entries(1_000)
        report("1,000 accounts changed", timed(lambda: book.change(entries)))
        for what, read in (("everything and those", nullcontext()), ("the same while read", reading(book))):
            marks = iter([world.moved(step) for step in range(1, RUNS + 2)])
            with read:
                report(what, timed(lambda: book.change(entries, next(marks))))  # noqa: B023 - called before the next turn
    if "one" in PARTS:
        names = [f"a{place}" for place in range(1_000)]
        report("one account, of 1,000, in µs", timed(lambda: [book.standing.account(name) for name in names]))
    check(book, world)


TWO_SUMS = """
SELECT sum(counted), sum(owed) FROM (
    SELECT
        p.account, sum(CASE WHEN l.is_debt THEN 0 ELSE p.amount * l.price * l.kept END) AS counted,
        sum(CASE WHEN l.is_debt THEN p.amount * l.price * l.kept ELSE 0 END) AS owed
    FROM positions AS p JOIN legs AS l ON l.leg = p.leg
    GROUP BY p.account
)
"""
IN_SQL = "SELECT count(*), sum(health_factor), sum(headroom_usd) FROM public.fct_margin_account"


class World:
    """Accounts that hold random amounts of random legs; `MOVED` prices something of `SHARE` of them."""

    def __init__(self, accounts: int, keys: int, weights: str, *, skewed: bool) -> None:
        chance = np.random.default_rng(SEED)
        positions = np.minimum(chance.geometric(0.22, accounts), 16) if skewed else np.full(accounts, 5)
        debts = chance.binomial(positions - 1, 0.35)
        self.supplies, self.debts = (positions - debts).astype(np.int32), debts.astype(np.int32)
        counts = self.supplies + self.debts
        self.owners = np.repeat(np.arange(accounts), counts)
        within = np.arange(len(self.owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        owed = within >= self.supplies[self.owners]
        popular = 1 / np.arange(1, keys)
        found = chance.choice(np.arange(1, keys), len(self.owners), p=popular / popular.sum())
        found[chance.permutation(np.flatnonzero(within == 0))[: int(SHARE * accounts)]] = 0
        found = found[np.lexsort((found, found >= ESTIMATED, owed, self.owners))]
        order = neighbours(self.supplies, self.debts, found)
        placed = np.repeat((np.cumsum(counts) - counts)[order], counts[order])
        self.supplies, self.debts, counts = self.supplies[order], self.debts[order], counts[order]
        within = np.arange(len(self.owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.owners = np.repeat(np.arange(accounts), counts)
        self.legs = (found + owed * keys).astype(np.int32)[placed + within]
        self.amounts = chance.lognormal(3, 2, len(self.owners))
        self.keys, self.weights = keys, weights
        self.mids = chance.uniform(0.5, 3000, keys)

    def price(self, step: int = 0, key: int = 0) -> Price:
        mid = float(self.mids[key]) * (1 + step / 1000)
        return Price(mid * 0.995, mid, mid * 1.005)

    @property
    def leg_list(self) -> list[Leg]:
        return [self._leg(key, is_debt=is_debt) for is_debt in (False, True) for key in range(self.keys)]

    def _leg(self, key: int, *, is_debt: bool) -> Leg:
        estimated = self.weights != "static" and key < ESTIMATED
        return Leg(
            is_debt=is_debt,
            identity=f"A{key}",
            mark=f"A{key}",
            weight=Weight(
                static=Pair(1.0, 1.1) if is_debt else Pair(0.8, 0.7),
                market=Pair(0.08, 0.12) if estimated else Pair(0.0, 0.0),
                others=0.98 if estimated and not is_debt else 1.0,
                sale=0.999 if estimated and not is_debt else 1.0,
                slope=1e-6 if self.weights == "sized" and estimated and not is_debt else 0.0,
            ),
        )

    @property
    def estimates(self) -> Estimates:
        if self.weights == "static":
            return STATIC
        size = min(self.keys, ESTIMATED)
        matrix = np.full((size, size), 0.6) + 0.4 * np.eye(size)
        return Estimates(
            kappa=0.5, identities=[f"A{key}" for key in range(size)], correlation=matrix.tolist(), cases=CASES
        )

    def book(self, kernel: Revalue) -> ArrayBook:
        estimates = self.estimates
        table = LegTable(places=estimates.places)
        table.add(self.leg_list)
        table.reprice(self.marks)
        size = len(self.supplies)
        layout = Layout.packed(
            supplies=self.supplies,
            debts=self.debts,
            legs=self.legs,
            amounts=self.amounts,
            fixed_at=np.zeros(size, np.int32),
            fixed=np.zeros((1, 6)),
            said=np.where(self.debts > 0, HAS_DEBT, 0).astype(np.uint8),
        )
        return ArrayBook(layout, table, [f"a{place}" for place in range(size)], estimates, kernel)

    @property
    def marks(self) -> dict[str, Price | None]:
        return {f"A{key}": self.price(key=key) for key in range(self.keys)}

    def moved(self, step: int) -> dict[str, Price | None]:
        """Other marks of everything."""
        return {f"A{key}": self.price(step, key) for key in range(self.keys)}

    def entries(self, number: int) -> list[Entry]:
        """As many accounts as they are, spread over all."""
        legs, entries = self.leg_list, []
        counts = self.supplies + self.debts
        starts = np.cumsum(counts) - counts
        for account in range(0, len(counts), len(counts) // number):
            places = range(starts[account], starts[account] + counts[account])
            holdings = [(legs[self.legs[place]], float(self.amounts[place])) for place in places]
            said = HAS_DEBT if self.debts[account] else 0
            entries.append(Entry(name=f"a{account}", holdings=holdings, said=said))
        return entries

    def tables(self) -> dict[str, pa.Table]:
        """What SQL computes the same accounts from: the tables of one that has every leg, with these accounts in its place."""
        legs = self.leg_list
        every = Entry(name="all", holdings=[(leg, 1.0) for leg in legs])
        made = margin_tables([every], self.marks, self.estimates, snapshot_id="s", slot_time=1)
        numbers = {leg: place for place, leg in enumerate(sorted(legs))}
        size = len(self.supplies)
        holder = {
            "account": np.arange(size),
            "account_id": [f"a{place}" for place in range(size)],
            **{name: np.zeros(size) for name in made["margin_holder"].column_names if name.endswith("_usd")},
            "has_debt": self.debts > 0,
            **{name: np.zeros(size, dtype=bool) for name in ("debt_unknown", "apart", "claimed")},
        }
        position = {
            "account": self.owners,
            "leg": np.array([numbers[leg] for leg in legs])[self.legs],
            "amount": self.amounts,
        }
        for name, columns in (("margin_holder", holder), ("margin_position", position)):
            schema = made[name].schema
            made[name] = pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema})
        return made

    def per_token(self) -> tuple[Floats, NDArray[np.bool_]]:
        """What one token of each leg counts for at the mid, by class alone; and whether it is owed."""
        owed = np.arange(2 * self.keys) >= self.keys
        return np.tile(self.mids, 2) * np.where(owed, 1.0, 0.8), owed

    def bincount(self) -> tuple[Floats, Floats]:
        counted, owed = self.per_token()
        worth, debt = self.amounts * counted[self.legs], owed[self.legs].astype(np.float64)
        size = len(self.supplies)
        both = np.bincount(self.owners, worth, size).astype(np.float64)
        owing = np.bincount(self.owners, worth * debt, size).astype(np.float64)
        return both - owing, owing

    def load(self, con: duckdb.DuckDBPyConnection) -> None:
        counted, owed = self.per_token()
        positions = pa.table({"account": self.owners.astype(np.int32), "leg": self.legs, "amount": self.amounts})
        legs = pa.table(
            {"leg": np.arange(len(owed), dtype=np.int32), "is_debt": owed, "price": counted, "kept": np.ones(len(owed))}
        )
        con.register("given_positions", positions)
        con.register("given_legs", legs)
        con.execute("CREATE TABLE positions AS SELECT * FROM given_positions")
        con.execute("CREATE TABLE legs AS SELECT * FROM given_legs")


def in_arrays(world: World, name: str, kernel: Revalue, *, told: bool = True) -> ArrayBook:
    book = world.book(kernel)
    if not told:
        return book
    report(f"everything, {name}", timed(book.revalue))
    report(f"a price of {SHARE:.0%} of all, {name}", timed(partial(move, book, world, count(1))))
    return book


def move(book: ArrayBook, world: World, steps: Iterator[int]) -> None:
    book.reprice({MOVED: world.price(next(steps))})


@contextmanager
def reading(book: ArrayBook) -> Iterator[None]:
    """Let a thread read accounts all the while."""
    ended = Event()

    def read() -> None:
        for place in cycle(range(1_000)):
            if ended.wait(0.0001):
                return
            book.standing.account(f"a{place}")

    reader = Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()


def check(book: ArrayBook, world: World) -> None:
    """What is held and owed at the mid must be what the peer's sums say, before haircuts."""
    book.reprice(world.marks)
    counted, owing = world.bincount()
    rows = book.standing.rows
    assert np.allclose(rows[:, VALUE] * 0.8, counted, rtol=1e-9, atol=1e-3)
    assert np.allclose(rows[:, OWED], owing, rtol=1e-9, atol=1e-3)


def in_sql(world: World) -> None:
    """The published view over all accounts, and the arrays' sum of health factors beside it."""
    book = world.book(fastest())
    with tempfile.TemporaryDirectory() as made, Store.open(Path(made) / "store.duckdb") as store:
        store.replace_margin(1, world.tables())
        answers: list[Sequence[object]] = []
        spent = timed(lambda: answers.append(store.query(IN_SQL, timeout_s=300, max_rows=9).rows[0]))
        owing = [health for _, health in book.standing.below(float("inf"))]
        assert np.isclose(float(str(answers[0][1])), sum(owing), rtol=1e-12)
        report(f"SQL, {ACCOUNTS:,} accounts", spent)


class Spent(NamedTuple):
    """Milliseconds on the clock, and of CPU over all cores."""

    clock: float
    cpu: float


def timed(work: Callable[[], object]) -> Spent:
    """Return the medians of some calls, after one that is not counted."""
    work()
    spent = []
    for _ in range(RUNS):
        clock, cpu = perf_counter(), process_time()
        work()
        spent.append((perf_counter() - clock, process_time() - cpu))
    return Spent(*(median(each) * 1e3 for each in zip(*spent, strict=True)))


def report(what: str, spent: Spent) -> None:
    print(f"    {what:<34}{spent.clock:>10.2f}{spent.cpu:>10.2f}", flush=True)
