"""The accounts of a book in arrays, each asset with a mark of its own: who falls below one by the house's rules at moved marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.columns import ALONE, OWED, VALUE
from aggregator.arrays.entries import entry_of, estimates_of, held, price_of
from aggregator.arrays.estimates import Estimates
from aggregator.arrays.kernels import Revalue
from aggregator.arrays.legs import Price
from aggregator.arrays.standing import Standing
from aggregator.book import Book
from aggregator.margin.account import Assessment
from aggregator.margin.house import NOTHING
from aggregator.margin.valuation import Context
from aggregator.risk.exposures import Indexes
from aggregator.risk.scenarios import Scenario
from aggregator.risk.tallies import Key, Of, Tally, exactly
from aggregator.told import Told, each_told, untold

LEAST_PRICE = 1e-12
"""Of before, where a scenario leaves nothing: what it comes to is less than any rounding."""
Marks = Mapping[str, tuple[str, Price | None]]
"""Name of a mark → the asset that has it, and its price."""


class HouseBook:
    """Accounts in arrays, each asset with a price of its own, so that two of one identity may move apart."""

    def __init__(
        self, entries: Sequence[Entry], marks: Marks, estimates: Estimates, kernel: Revalue | None = None
    ) -> None:
        self._marks = marks
        self._arrays = ArrayBook.build(entries, {name: price for name, (_, price) in marks.items()}, estimates, kernel)
        standing = self._arrays.standing
        self._before = {name for name, _ in standing.below(1.0)}
        self.unmeasured = tuple(standing.unmeasured())

    @classmethod
    def of(cls, book: Book) -> HouseBook:
        """Lay a book out."""
        return cls(*house_entries(book), estimates_of(book.context))

    def fallen(self, scenarios: Sequence[Scenario], told: Told = untold) -> dict[Key, Tally]:
        """Count who falls in which scenario, from below: who is in doubt already is not judged (`unmeasured`)."""
        found = {
            Key(Of.HOUSE, place): self._after(scenario)
            for place, scenario in enumerate(each_told(told, "scenarios", scenarios))
        }
        return found | {Key(Of.UNMEASURED, 0, name): Tally(count=1) for name in self.unmeasured}

    def _after(self, scenario: Scenario) -> Tally:
        moves = {applied.asset: applied.move for applied in scenario.moves}
        marks = {
            name: None if price is None else _moved(price, moves[asset] if asset in moves else scenario.move(asset))
            for name, (asset, price) in self._marks.items()
        }
        return self._tally(self._arrays.reprice(marks))

    def _tally(self, standing: Standing) -> Tally:
        below = [name for name, _ in standing.below(1.0)]
        places: Indexes = np.array([standing.places[name] for name in below], np.int64)
        value, owed = standing.rows[places, VALUE], standing.rows[places, OWED]
        return Tally(
            count=len(below),
            newly=len(set(below) - self._before),
            owed=exactly(owed.tolist()),
            lacking=exactly(np.maximum(owed - value, 0.0).tolist()),
        )


def house_entries(book: Book) -> tuple[list[Entry], Marks]:
    """Return the accounts of a book as `HouseBook` takes them: without numbers where a pool is judged by other sums than the account."""
    marks: dict[str, tuple[str, Price | None]] = {}
    return [_entry(each.account.id, each.assessment, book.context, marks) for each in book.accounts], marks


def _entry(name: str, assessment: Assessment, context: Context, marks: dict[str, tuple[str, Price | None]]) -> Entry:
    made, holdings = entry_of(name, assessment, context), []
    said = made.said | ALONE if _judged_by_pools(assessment) else made.said
    for (each, _), (leg, amount) in zip(held(assessment), made.holdings, strict=True):
        asset_id = each.item.asset_id
        mark = f"{asset_id} {leg.mark}"
        marks[mark] = asset_id, price_of(each.item.mark, context)
        holdings.append((leg._replace(mark=mark), amount))
    return replace(made, holdings=holdings, said=said)


def _judged_by_pools(assessment: Assessment) -> bool:
    """Whether a pool with debt is judged by other sums than the account's, which are all that arrays hold.

    So is each isolated one, and each cross pool beside which another one has something.
    """
    together = [part for part in assessment.house.parts if part.held or part.required != NOTHING]
    whole = together[0] if len(together) == 1 else None
    return any(each.owes and each.part is not whole for each in assessment.pools)


def _moved(price: Price, move: float) -> Price:
    times = max(1 + move, LEAST_PRICE)
    return Price(price.low * times, price.mid * times, price.high * times, price.authorises)
