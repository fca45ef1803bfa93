"""Liquidations, round by round, until nothing more happens: a pure function of a scene and of terms.

In a round every unit below 1 is looked at, the lowest health factor first; what is sold is sold at the prices of the round, and marks the
whole book for the next one. Bad debt is what is forgiven, and what is owed beyond all collateral in the end; it stays in its pool: the
venue's fund pays first, then the common one, each pool its part, then who lent there.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from aggregator.risk.liquidation import (
    NEVER_BELOW,
    STAYS,
    Borrower,
    Loss,
    Order,
    Outcome,
    Outlet,
    Pool,
    Scene,
    Step,
    Terms,
)
from aggregator.told import Told, each_told, untold
from chains.identifiers import format_address
from chains.liquidating import WAD, Lot, Portion, Taken

NEAR = 1e-6
"""How far from its boundary, relative to its debt, a unit is left to exact arithmetic."""

FINENESS = 10**9
SMALLEST_STEP = 1e-9
"""Of a price; less is not marked."""


def simulate(scene: Scene, terms: Terms) -> Outcome:
    """Move prices, and liquidate."""
    return _Run(scene, terms).outcome()


def compared(scene: Scene, terms: Terms, told: Told = untold) -> dict[Order, Outcome]:
    """Do it in every order of sale; all else alike."""
    orders = each_told(told, "orders of sale", list(Order))
    return {order: simulate(scene, replace(terms, order=order)) for order in orders}


class _Run:
    def __init__(self, scene: Scene, terms: Terms) -> None:
        scene = replace(scene, borrowers=tuple(sorted(scene.borrowers, key=lambda each: each.name)))
        self.scene = scene
        self.terms = terms
        self.times = {asset: max(1 + scene.moves.get(asset, 0.0), NEVER_BELOW) for asset in scene.identities}
        self.late = {
            asset: max(1 + move, NEVER_BELOW) / self.times[asset]
            for asset, move in scene.shown.items()
            if asset in self.times and move != scene.moves.get(asset, 0.0)
        }
        self.exposed = {each.name: each.exposed for each in scene.borrowers}
        self.borrowers = {each.name: each for each in scene.borrowers}
        self.touched: set[str] = set()
        self.unknown: set[str] = set()
        self.lines = Lines(scene)
        self.steps: list[Step] = []
        self.sold: dict[str, float] = defaultdict(float)
        self.forgiven: dict[Pool, float] = defaultdict(float)
        self.revalued = 0.0
        self.net: dict[str, float] = defaultdict(float)
        self.given: dict[str, float] = defaultdict(float)
        for borrower in scene.borrowers:
            self.count(borrower, 1)

    def outcome(self) -> Outcome:
        before, rounds, ended = self._equity(), 0, False
        while not ended and rounds < self.terms.rounds:
            rounds += 1
            ended = not self._round(rounds)
        standing = tuple(name for name, _ in self._below() if self.exposed[name].collaterals)
        losses, funds, common = self._losses()
        return Outcome(
            terms=self.terms,
            steps=tuple(self.steps),
            rounds=rounds,
            ended=ended,
            losses=losses,
            equity_before=before,
            equity_after=self._equity(),
            revalued=self.revalued,
            times=dict(self.times),
            sold=dict(sorted(self.sold.items())),
            liquidated=tuple(sorted({step.unit for step in self.steps})),
            standing=tuple(sorted(standing)),
            unknown=tuple(sorted(self.unknown)),
            funds_left=funds,
            common_left=common,
            left=self.exposed,
        )

    def _round(self, number: int) -> bool:
        """Liquidate at the prices of now, and mark what was sold; tells whether anything was done."""
        selling = _Selling(self, number)
        for name, _ in self._below():
            selling.liquidate(self.borrowers[name])
        self._mark(selling.sold)
        return selling.done

    def _below(self) -> list[tuple[str, int]]:
        """Return who may be liquidated, the lowest health factor first, and those who are alike in an order that the seed says."""
        found = []
        for name in {*self.lines.near(self._shown()), *self.touched}:
            moved = self.exposed[name] = self.exposed[name].moved(self._exact(self.borrowers[name]))
            if not moved.debts:
                continue
            if (wad := moved.health_factor_wad) is None:
                self.unknown.add(name)
            elif wad < WAD:
                found.append((name, wad))
        return sorted(found, key=lambda each: (each[1], _drawn(self.terms.seed, each[0])))

    def _exact(self, borrower: Borrower) -> dict[bytes, Fraction]:
        return {
            token: _fraction(self.times[asset] * self.late.get(asset, 1.0)) for token, asset in borrower.assets.items()
        }

    def seen(self, borrower: Borrower, lot: Lot) -> float:
        """Return what a venue takes a token for, relative to what the market does."""
        return self.late.get(borrower.assets[lot.asset], 1.0)

    def _shown(self) -> dict[str, float]:
        """Return prices as venues see them: late ones know what sales did to the market, and not yet what the scenario did."""
        return {asset: times * self.late.get(asset, 1.0) for asset, times in self.times.items()}

    def _mark(self, sold: dict[str, float]) -> None:
        """Let what was sold stay in the prices of its identity, wherever it is.

        What a sale of any amount loses stays once: many small sales would else take a price to nothing.
        """
        falls = {}
        for identity, amount in sold.items():
            outlet = self.scene.outlets[identity]
            before = outlet.least if self.sold[identity] > 0 else 0.0
            falls[identity] = STAYS * (outlet.cost(amount, self.terms.depth) - before)
            self.sold[identity] += amount
        for asset, identity in self.scene.identities.items():
            if (fall := falls.get(identity, 0.0)) > SMALLEST_STEP:
                old, self.times[asset] = self.times[asset], max(self.times[asset] * (1 - fall), NEVER_BELOW)
                self.revalued += self.net[asset] * (old - self.times[asset])

    def count(self, borrower: Borrower, sign: int) -> None:
        """Add what a unit has, less what it owes, to what all have of each asset, USD at the prices of the cut."""
        exposed = self.exposed[borrower.name]
        for side, lots in ((sign, exposed.collaterals), (-sign, exposed.debts)):
            for lot in lots:
                self.net[borrower.assets[lot.asset]] += side * lot.amount_raw * lot.each * borrower.base_usd

    def give(self, borrower: Borrower, lot: Lot, amount_raw: int) -> None:
        """Let a unit have what its venue gives it back: it is among its collateral no more, and still its own."""
        asset, usd = borrower.assets[lot.asset], amount_raw * lot.each * borrower.base_usd
        self.given[asset] += usd
        self.net[asset] += usd

    def worth(self, borrower: Borrower, lot: Lot, amount_raw: int) -> float:
        """Return what an amount is worth at the prices of now, USD."""
        return amount_raw * lot.each * borrower.base_usd * self.times[borrower.assets[lot.asset]]

    def _equity(self) -> float:
        given = (usd * self.times[asset] for asset, usd in self.given.items())
        return math.fsum([*given, *(part for each in self.scene.borrowers for part in self._parts(each))])

    def _parts(self, borrower: Borrower) -> Iterator[float]:
        exposed = self.exposed[borrower.name]
        yield from (self.worth(borrower, lot, lot.amount_raw) for lot in exposed.collaterals)
        yield from (-self.worth(borrower, lot, lot.amount_raw) for lot in exposed.debts)

    def _losses(self) -> tuple[tuple[Loss, ...], dict[str, float], float]:
        bad = defaultdict(float, self.forgiven)
        for borrower in self.scene.borrowers:
            owed = {lot: self.worth(borrower, lot, lot.amount_raw) for lot in self.exposed[borrower.name].debts}
            lacking = math.fsum(owed.values()) - math.fsum(
                self.worth(borrower, lot, lot.amount_raw) for lot in self.exposed[borrower.name].collaterals
            )
            for lot, amount in owed.items():
                if lacking > 0:
                    bad[pool_of(borrower, lot.market)] += lacking * amount / math.fsum(owed.values())
        return self._paid({pool: amount for pool, amount in sorted(bad.items()) if amount > 0})

    def _paid(self, bad: dict[Pool, float]) -> tuple[tuple[Loss, ...], dict[str, float], float]:
        funds, first = dict(self.scene.funds), dict[Pool, float]()
        for venue in {pool.venue for pool in bad}:
            mine = {pool: amount for pool, amount in bad.items() if pool.venue == venue}
            paid = _shared(funds.get(venue, 0.0), mine)
            first |= paid
            if venue in funds:
                funds[venue] -= math.fsum(paid.values())
        open_after = {pool: amount - first[pool] for pool, amount in bad.items()}
        second = _shared(self.scene.common_usd, open_after)
        losses = tuple(
            Loss(
                pool=pool,
                bad_debt=amount,
                by_fund=first[pool],
                by_common=second[pool],
                by_lenders=(rest := open_after[pool] - second[pool]),
                share=min(rest / lent, 1.0) if (lent := self._lent(pool)) else None,
            )
            for pool, amount in bad.items()
        )
        return losses, funds, self.scene.common_usd - math.fsum(second.values())

    def _lent(self, pool: Pool) -> float:
        asset, amount = self.scene.supplied.get(pool, ("", 0.0))
        return amount * self.times.get(asset, 1.0)


class _Selling:
    """The sales of one round."""

    def __init__(self, run: _Run, number: int) -> None:
        self.run = run
        self.number = number
        self.sold: dict[str, float] = defaultdict(float)
        self.spent: dict[str, float] = defaultdict(float)
        self.done = False

    def liquidate(self, borrower: Borrower) -> None:
        """Take collaterals in the order of the terms, until the unit is sound or nothing more may be taken in this round."""
        name, run = borrower.name, self.run
        for market, share in self._order(borrower):
            exposed = run.exposed[name]
            if not exposed.debts:
                return
            pledged = next((lot for lot in exposed.collaterals if lot.market == market), None)
            if pledged is None:
                continue
            for debt in self._debts(borrower):
                cap = self._cap(borrower, pledged, debt, share)
                cover = 0 if cap == 0 else exposed.most(market, debt.market, cap)
                if cover > 0:
                    self._take(borrower, pledged, debt, cover)
                    break

    def _debts(self, borrower: Borrower) -> list[Lot]:
        """Return debts, what is worth most first: some venues let only one of them be paid."""
        lots = self.run.exposed[borrower.name].debts
        return sorted(lots, key=lambda lot: (self.run.worth(borrower, lot, lot.amount_raw), lot.market), reverse=True)

    def _take(self, borrower: Borrower, pledged: Lot, debt: Lot, cover: int) -> None:
        run, name = self.run, borrower.name
        before = run.exposed[name]
        left, taken = before.taken(pledged.market, debt.market, cover)
        step = self._step(borrower, before.collaterals, before.debts, taken)
        if not step.seized + step.fee or (run.terms.profitable_only and step.gained < 0):
            return
        run.count(borrower, -1)
        run.exposed[name] = left
        run.count(borrower, 1)
        run.touched.add(name)
        for portion in taken.seized:
            lot = _lot(before.collaterals, portion)
            self.sold[self._identity(borrower, lot)] += run.worth(borrower, lot, portion.amount_raw)
        for portion in taken.returned:
            run.give(borrower, _lot(before.debts, portion), portion.amount_raw)
        for portion in taken.forgiven:
            lot = _lot(before.debts, portion)
            run.forgiven[pool_of(borrower, lot.market)] += run.worth(borrower, lot, portion.amount_raw)
        self.spent[borrower.venue] += step.paid
        self.done = True
        run.steps.append(step)

    def _step(self, borrower: Borrower, lots: tuple[Lot, ...], debts: tuple[Lot, ...], taken: Taken) -> Step:
        def usd(of: tuple[Lot, ...], portions: Iterable[Portion]) -> float:
            return math.fsum(self.run.worth(borrower, _lot(of, each), each.amount_raw) for each in portions)

        return Step(
            round=self.number,
            unit=borrower.name,
            venue=borrower.venue,
            collateral="+".join(borrower.assets[_lot(lots, each).asset] for each in taken.seized),
            debt=borrower.assets[_lot(debts, taken.paid).asset],
            paid_raw=taken.paid.amount_raw,
            seized_raw=sum(each.amount_raw for each in taken.seized),
            fee_raw=sum(each.amount_raw for each in taken.fee),
            paid=usd(debts, [taken.paid]),
            seized=usd(lots, taken.seized),
            fee=usd(lots, taken.fee),
            relieved=usd(debts, taken.relieved),
            returned=usd(debts, taken.returned),
            impact=self._impact(borrower, lots, taken.seized),
            forgiven=usd(debts, taken.forgiven),
        )

    def _impact(self, borrower: Borrower, lots: tuple[Lot, ...], seized: Iterable[Portion]) -> float:
        """Return what these sales add to all that the round's sales of their identities lose; what is of one is sold together."""
        amounts: dict[str, float] = defaultdict(float)
        for portion in seized:
            lot = _lot(lots, portion)
            amounts[self._identity(borrower, lot)] += self.run.worth(borrower, lot, portion.amount_raw)
        return math.fsum(self._added(identity, amount) for identity, amount in amounts.items())

    def _added(self, identity: str, amount: float) -> float:
        outlet, depth, sold = self.run.scene.outlets[identity], self.run.terms.depth, self.sold[identity]
        whole = sold + amount
        return whole * outlet.cost(whole, depth) - sold * outlet.cost(sold, depth)

    def _cap(self, borrower: Borrower, pledged: Lot, debt: Lot, share: float) -> int | None:
        """Return how much of a debt may be covered by what the round has room for, `None` for any amount."""
        run, identity = self.run, self._identity(borrower, pledged)
        exposed = run.exposed[borrower.name]
        outlet = run.scene.outlets[identity]
        room = outlet.room(run.terms.impact_cap, run.terms.depth) - self.sold[identity]
        if room <= 0:
            return 0
        usd = room / exposed.incentive(pledged.market) * run.seen(borrower, pledged) / run.seen(borrower, debt)
        if run.terms.venue_limit_usd is not None:
            usd = min(usd, max(run.terms.venue_limit_usd - self.spent[borrower.venue], 0.0))
        each = run.worth(borrower, debt, 1)
        usd = min(usd, math.inf if share >= 1 else share * each * debt.amount_raw)
        return None if math.isinf(usd) else math.floor(usd / each)

    def _order(self, borrower: Borrower) -> list[tuple[bytes, float]]:
        """Return collateral markets in the order in which they go, and the share of the debt that each may pay in a round."""
        run, exposed = self.run, self.run.exposed[borrower.name]
        lots = exposed.collaterals
        worth = {lot.market: run.worth(borrower, lot, lot.amount_raw) for lot in lots}
        if run.terms.order is Order.PRO_RATA:
            whole = math.fsum(worth.values()) or 1.0
            return [(lot.market, worth[lot.market] / whole) for lot in lots]
        return [(lot.market, 1.0) for lot in sorted(lots, key=lambda lot: self._rank(borrower, lot, worth[lot.market]))]

    def _rank(self, borrower: Borrower, lot: Lot, worth: float) -> tuple[float, bytes]:
        run, outlet = self.run, self.run.scene.outlets[self._identity(borrower, lot)]
        volume = outlet.volume_usd or 0.0
        match run.terms.order:
            case Order.LEAST_LIQUID:
                return volume, lot.market
            case Order.MOST_LIQUID:
                return -volume, lot.market
            case _:
                return self._price_of_health(borrower, lot, worth, outlet), lot.market

    def _price_of_health(self, borrower: Borrower, lot: Lot, worth: float, outlet: Outlet) -> float:
        """Return what is lost for what headroom gains by selling a dollar of a collateral; infinite where nothing is gained."""
        paid = 1 / self.run.exposed[borrower.name].incentive(lot.market)
        gained = paid - lot.threshold / 10_000
        lost = 1 - paid + outlet.cost(worth, self.run.terms.depth)
        return lost / gained if gained > 0 else math.inf

    def _identity(self, borrower: Borrower, lot: Lot) -> str:
        return self.run.scene.identities[borrower.assets[lot.asset]]


class Lines:
    """What each unit gains when a price moves, so that exact arithmetic looks only at who may be near its boundary."""

    def __init__(self, scene: Scene) -> None:
        self.names = tuple(each.name for each in scene.borrowers)
        self.places = {asset: place for place, asset in enumerate(scene.identities)}
        rows: list[tuple[int, int, float]] = []
        for row, borrower in enumerate(scene.borrowers):
            for sign, lots in ((1, borrower.exposed.collaterals), (-1, borrower.exposed.debts)):
                for lot in lots:
                    usd = lot.amount_raw * lot.each * borrower.base_usd
                    counted = sign * usd * lot.threshold / 10_000
                    rows.append((row, self.places[borrower.assets[lot.asset]], counted))
        self.rows = np.array([row for row, _, _ in rows], np.int64)
        self.assets = np.array([asset for _, asset, _ in rows], np.int64)
        self.amounts = np.array([amount for _, _, amount in rows], np.float64)
        limits = ((each.exposed.owed_limit, each.base_usd) for each in scene.borrowers)
        self.limits = np.array([math.inf if limit is None else limit * base for limit, base in limits], np.float64)

    def near(self, times: dict[str, float]) -> list[str]:
        """Return who is below its boundary, or so near that rounding decides."""
        moved = self.amounts * np.array([times[asset] for asset in self.places])[self.assets]
        covered, owed = (np.bincount(self.rows, np.maximum(side * moved, 0.0), len(self.names)) for side in (1, -1))
        return [self.names[row] for row in np.flatnonzero(np.minimum(covered, self.limits) - owed <= NEAR * owed)]


@lru_cache(1_000)
def _fraction(times: float) -> Fraction:
    """Return the fraction that a price is of that at the cut: nine tenths for 0.9, whose float is a bit less."""
    plain = Fraction(times).limit_denominator(FINENESS)
    return plain if math.isclose(plain, times, rel_tol=2**-51) else Fraction(times)


def pool_of(borrower: Borrower, market: bytes) -> Pool:
    """Return where the loss of a debt stays."""
    return Pool(borrower.venue, format_address(borrower.chain, market))


def _lot(lots: tuple[Lot, ...], portion: Portion) -> Lot:
    return next(lot for lot in lots if lot.market == portion.market)


def _shared(fund: float, needs: dict[Pool, float]) -> dict[Pool, float]:
    """Divide a fund among needs, each its part where it is too small."""
    whole = math.fsum(needs.values())
    part = 1.0 if whole <= fund else fund / whole
    return {pool: amount * part for pool, amount in needs.items()}


def _drawn(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
