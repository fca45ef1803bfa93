"""A book through scenarios: who falls below one by the house's rules, which units venues may liquidate, and what is lacking then.

Amounts, haircuts, thresholds and debts stay as they are; prices alone move, those of venues as much as the house's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.columns import OWED, VALUE
from aggregator.arrays.entries import entry_of, estimates_of, held, price_of
from aggregator.arrays.estimates import Estimates
from aggregator.arrays.kernels import Revalue
from aggregator.arrays.legs import Price
from aggregator.arrays.standing import Standing
from aggregator.book import Book
from aggregator.margin.account import Assessment
from aggregator.margin.numbers import WAD
from aggregator.margin.risk import RiskInputs
from aggregator.margin.valuation import USD_BASE_UNIT, Context, OpenUnit, asset_class_of, identity_of
from aggregator.margin.venue import BASIS_POINTS, unit_name
from aggregator.risk.exposures import Exposures, Floats, Indexes, stressed
from aggregator.risk.extremes import smallest_multiple, together
from aggregator.risk.scenarios import LARGEST_RISE, NOTHING_LEFT, Held, Library, Scenario
from aggregator.risk.tallies import NOTHING, Key, Of, Tallies, Tally, added, exactly, of_kind
from aggregator.told import Told, each_told, untold
from chains.identifiers import Account, token
from chains.model import FeedSpec, Reason, Side, UnitPosition

LEAST_PRICE = 1e-12
"""Of before, where a scenario leaves nothing: what it comes to is less than any rounding."""

AGREES = 1e-6
"""How near to the venue's own health factor Σ value·threshold / Σ debt must be for the rule to be taken for the venue's."""

MOST_FRAGILE = 20
"""Units that are named, of those that fall in some scenario."""

Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The units with debt whose venue's rule is known to be the one that scenarios move, and those left out, with why.

    `counted`: what counts against liquidation, `whole`: what there is less what is owed; groups are places of `venues`.
    """

    names: tuple[str, ...]
    owners: tuple[str, ...]
    venues: tuple[str, ...]
    assets: tuple[str, ...]
    counted: Exposures
    whole: Exposures
    left_out: tuple[Reason, ...]


class UnitLine(NamedTuple):
    """A unit with debt; `positions`: asset, what counts against liquidation and what it is worth, USD, of a debt negative."""

    name: str
    owner: str
    venue: str
    positions: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What a scenario does to some units: how many may be liquidated, how many of them could not before, USD."""

    liquidatable: int
    newly: int
    debt_usd: float
    shortfall_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Houses:
    """What a scenario does to accounts by the house: below a health factor of 1, those that were not before, and what they lack.

    `debt_usd`: of those below; `shortfall_usd`: by how much debt is more than all collateral, at the mid.
    """

    below: int
    newly: int
    debt_usd: float
    shortfall_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One scenario's outcome; `venues`: by id, every venue with a unit that was stressed; `multiple`: see `reverse`."""

    scenario: Scenario
    house: Houses
    venues: Mapping[str, Group]
    multiple: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragile:
    """A unit that falls in some scenario: in how many, and how much it then lacks of what must be covered, at most (USD)."""

    unit: str
    breaches: int
    worst_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is stressed: how many accounts, how many units of which venues; and which units are not, with why."""

    accounts: int
    units: int
    venues: tuple[str, ...]
    left_out: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressed:
    """All outcomes; `unmeasured`: accounts that no scenario judges by the house's rules, `left_out`: units that none judges by a venue's.

    `fragile`: of the `fragile_units` that fall somewhere those that do most often, the most often first, `MOST_FRAGILE` at most.
    """

    accounts: int
    units: int
    results: tuple[Result, ...]
    fragile: tuple[Fragile, ...] = field(repr=False)
    fragile_units: int
    unmeasured: tuple[str, ...]
    left_out: tuple[Reason, ...]


def held_of(book: Book, market: str) -> tuple[Held, ...]:
    """Say of every asset that anybody has or owes what a scenario has to know of it, by id; `market`: the identity that betas are to."""
    return held_among(assets_of(book), book.context, book.catalogue.feeds, market)


def assets_of(book: Book) -> dict[str, str]:
    """Return the chain of every asset that anybody has or owes, by id."""
    return {
        str(token(held_in.venue.chain_id, position.asset)): held_in.venue.chain_id
        for held_in in book.units
        for position in held_in.unit.positions
        if position.amount_raw > 0
    }


def held_among(assets: Mapping[str, str], context: Context, feeds: Sequence[FeedSpec], market: str) -> tuple[Held, ...]:
    """Say the same of some assets, by id with their chain."""
    redeems = {
        identity_of(feed.asset, context.assets): identity_of(feed.of, context.assets)
        for feed in feeds
        if feed.of is not None
    }
    return tuple(_held(asset_id, chain, context, redeems, market) for asset_id, chain in sorted(assets.items()))


def _held(asset_id: str, chain: str, context: Context, redeems: Mapping[str, str], market: str) -> Held:
    configured = context.assets.get(asset_id)
    identity = identity_of(asset_id, context.assets)
    asset_class = asset_class_of(asset_id, context)
    of_class = context.policy.layers.of_class(asset_class)
    seen = context.risk_index.pegs.get(identity)
    return Held(
        asset=asset_id,
        identity=identity,
        chain=chain,
        usd_like=of_class.usd_like or asset_class in context.policy.marks.par_classes,
        staked=identity in redeems,
        bridge=configured.bridge if configured else None,
        redeems=redeems.get(identity),
        peg=of_class.peg if seen is None else seen.fall,
        beta=_beta(identity, context, market),
    )


def _beta(identity: str, context: Context, market: str) -> float | None:
    """Return how much of the market's move an identity makes, `None` where no history tells."""
    known, order = context.risk_index.assets, context.model.correlations.order
    if identity not in known or market not in known or known[market].deviation <= 0:
        return None
    correlation = context.risk.correlation[order[identity]][order[market]]
    beta = correlation * known[identity].deviation / known[market].deviation
    return beta if beta > 0 else None


def stress(
    book: Book, scenarios: Sequence[Scenario], fund_usd: float | None = None, *, told: Told = untold
) -> Stressed:
    """Take a book through scenarios that were made for it; raises `ScenarioError` where one says nothing of a held asset.

    `fund_usd`: also find the multiple of each at which units lack more than that. `told`: who waits for it.
    """
    units = units_of(book)
    tallies = added([units_fallen(units, scenarios), HouseBook.of(book).fallen(scenarios, told)])
    found = stressed_of(tallies, scenarios, outline_of(book, units))
    if fund_usd is None:
        return found
    multiples = [reverse(units, scenario, fund_usd) for scenario in scenarios]
    pairs = zip(found.results, multiples, strict=True)
    return replace(found, results=tuple(replace(result, multiple=multiple) for result, multiple in pairs))


def outline_of(book: Book, units: Units) -> Outline:
    """Say what of a book is stressed."""
    return Outline(accounts=len(book.accounts), units=len(units.names), venues=units.venues, left_out=units.left_out)


def units_fallen(units: Units, scenarios: Sequence[Scenario]) -> dict[Key, Tally]:
    """Count who of some units falls in which scenario; raises `ScenarioError` where one says nothing of a held asset."""
    moves = moves_of(units.assets, scenarios)
    outcome, found = stressed(units.counted, moves), dict[Key, Tally]()
    for place in range(len(scenarios)):
        for venue, tally in _by_venue(units, moves[:, place]).items():
            found[Key(Of.VENUE, place, venue)] = tally
    fell = np.flatnonzero(outcome.breaches)
    fragile = [(int(outcome.breaches[row]), float(outcome.worst[row]), units.names[row]) for row in fell]
    found[Key(Of.FRAGILE_UNITS, 0)] = Tally(count=len(fragile))
    for breaches, worst, name in sorted(fragile, key=_by_fragility)[:MOST_FRAGILE]:
        found[Key(Of.FRAGILE, 0, name)] = Tally(count=breaches, lacking=(worst,))
    return found


def _by_fragility(each: tuple[int, float, str]) -> tuple[int, float, str]:
    breaches, worst, name = each
    return -breaches, worst, name


def stressed_of(tallies: Tallies, scenarios: Sequence[Scenario], outline: Outline) -> Stressed:
    """Read what became of a whole book out of the tallies of all its parts."""
    fragile = [(tally.count, tally.shortfall_usd, name) for name, tally in of_kind(tallies, Of.FRAGILE).items()]
    return Stressed(
        accounts=outline.accounts,
        units=outline.units,
        results=tuple(
            Result(
                scenario=scenario,
                house=_house(tallies.get(Key(Of.HOUSE, place), NOTHING)),
                venues={name: _group(tallies.get(Key(Of.VENUE, place, name), NOTHING)) for name in outline.venues},
            )
            for place, scenario in enumerate(scenarios)
        ),
        fragile=tuple(
            Fragile(unit=name, breaches=breaches, worst_usd=worst)
            for breaches, worst, name in sorted(fragile, key=_by_fragility)[:MOST_FRAGILE]
        ),
        fragile_units=tallies.get(Key(Of.FRAGILE_UNITS, 0), NOTHING).count,
        unmeasured=tuple(of_kind(tallies, Of.UNMEASURED)),
        left_out=outline.left_out,
    )


def _house(tally: Tally) -> Houses:
    return Houses(below=tally.count, newly=tally.newly, debt_usd=tally.debt_usd, shortfall_usd=tally.shortfall_usd)


def _group(tally: Tally) -> Group:
    return Group(
        liquidatable=tally.count, newly=tally.newly, debt_usd=tally.debt_usd, shortfall_usd=tally.shortfall_usd
    )


def all_at_once(risk: RiskInputs, library: Library, held: Sequence[Held]) -> Scenario:
    """Let everything fall at once, by what is estimated at the cut; raises `ScenarioError` where too little is."""
    return together(library, held, {each.identity: each.swing for each in risk.assets}, risk.minima)


def reverse(units: Units, scenario: Scenario, fund_usd: float) -> float | None:
    """Return the smallest multiple of a scenario's moves at which units lack more than a fund has; `None`: none up to 64."""
    moves = moves_of(units.assets, [scenario])[:, 0]

    def lacking(multiple: float) -> float:
        after = equities(units.whole, np.clip(moves * multiple, NOTHING_LEFT, LARGEST_RISE))
        return math.fsum(np.maximum(-after, 0.0))

    return smallest_multiple(lacking, fund_usd)


def moves_of(assets: Sequence[str], scenarios: Sequence[Scenario]) -> Floats:
    """Return moves, assets by scenarios."""
    by_asset = [{applied.asset: applied.move for applied in scenario.moves} for scenario in scenarios]
    moves = np.zeros((len(assets), len(scenarios)))
    for column, (scenario, known) in enumerate(zip(scenarios, by_asset, strict=True)):
        moves[:, column] = [known[asset] if asset in known else scenario.move(asset) for asset in assets]
    return moves


def equities(exposures: Exposures, moves: Floats) -> Floats:
    """Return the equity of each row in one scenario (`moves` by asset)."""
    rows = len(exposures.bases)
    owners = np.repeat(np.arange(rows), np.diff(exposures.starts))
    gained = np.bincount(owners, exposures.amounts * moves[exposures.assets], rows)
    return exposures.bases + gained.astype(np.float64)


def _by_venue(units: Units, moves: Floats) -> dict[str, Tally]:
    before, after, owed = units.counted.bases < 0, equities(units.counted, moves) < 0, debts_of(units, moves)
    lacking = np.maximum(-equities(units.whole, moves), 0.0)
    return {
        venue: Tally(
            count=int(np.sum(fallen := after & (mine := units.counted.groups == place))),
            newly=int(np.sum(fallen & ~before)),
            owed=exactly(owed[fallen].tolist()),
            lacking=exactly(lacking[mine].tolist()),
        )
        for place, venue in enumerate(units.venues)
    }


def debts_of(units: Units, moves: Floats) -> Floats:
    """Return what each unit owes in a scenario, USD."""
    whole, rows = units.whole, len(units.names)
    owners = np.repeat(np.arange(rows), np.diff(whole.starts))
    owed = np.where(whole.amounts < 0, -whole.amounts * (1 + moves[whole.assets]), 0.0)
    return np.bincount(owners, owed, rows).astype(np.float64)


def units_of(book: Book) -> Units:
    """Lay out every unit with debt; left out is who has no numbers of the venue's, and whose venue judges by another rule."""
    return laid_out(*unit_lines(book))


def unit_lines(book: Book) -> tuple[list[UnitLine], list[Reason]]:
    """Return every unit with debt that scenarios can judge, and why others are left out."""
    lines, left_out = [], []
    for held_in in book.units:
        if not held_in.unit.has_debt:
            continue
        doubt = _doubt(held_in)
        if doubt is None:
            owner = str(Account(held_in.venue.chain_id, held_in.unit.owner))
            lines.append(UnitLine(unit_name(held_in), owner, held_in.venue.id, tuple(_positions(held_in))))
        else:
            left_out.append(doubt)
    return lines, left_out


def laid_out(lines: Sequence[UnitLine], left_out: Iterable[Reason]) -> Units:
    """Lay units out as arrays, those that were left out by their name."""
    assets = sorted({asset for line in lines for asset, _, _ in line.positions})
    venues = sorted({line.venue for line in lines})
    groups = np.array([venues.index(line.venue) for line in lines], np.int32)
    places = {asset: place for place, asset in enumerate(assets)}
    return Units(
        names=tuple(line.name for line in lines),
        owners=tuple(line.owner for line in lines),
        venues=tuple(venues),
        assets=tuple(assets),
        counted=_exposures(
            [[(places[asset], counts) for asset, counts, _ in line.positions] for line in lines], groups
        ),
        whole=_exposures([[(places[asset], worth) for asset, _, worth in line.positions] for line in lines], groups),
        left_out=tuple(sorted(left_out, key=lambda reason: (reason.subject, reason.code))),
    )


def _doubt(held_in: OpenUnit) -> Reason | None:
    """Say why a unit cannot be moved by the common rule, `None`: it can."""
    unit, name = held_in.unit, unit_name(held_in)
    if unit.health_factor_wad is None:
        return Reason("venue_unknown", name, "its venue's own numbers are not known")
    if unit.base_unit != USD_BASE_UNIT:
        return Reason("venue_not_in_usd", name, "its venue does not value it in USD")
    if any(each.price is None for each in unit.positions if each.counts and each.amount_raw):
        return Reason("venue_price_missing", name, "its venue has no price of something that it has")
    counts = [counted for _, counted, _ in _positions(held_in)]
    covering, owed = (math.fsum(max(sign * each, 0.0) for each in counts) for sign in (1, -1))
    own = unit.health_factor_wad / WAD
    if owed <= 0 or not math.isclose(covering / owed, own, rel_tol=AGREES):
        return Reason("venue_rule", name, f"its venue's health factor {own:.6f} is not Σ value·threshold / Σ debt")
    return None


def _positions(held_in: OpenUnit) -> Iterator[tuple[str, float, float]]:
    """Yield asset, what counts and what it is worth, USD; debts negative, and what counts for nothing at the venue not at all."""
    for position in held_in.unit.positions:
        worth = _worth(position)
        if not position.counts or worth == 0:
            continue
        asset = str(token(held_in.venue.chain_id, position.asset))
        if position.side is Side.BORROW:
            yield asset, -worth, -worth
        else:
            yield asset, worth * (position.liquidation_threshold or 0) / BASIS_POINTS, worth


def _worth(position: UnitPosition) -> float:
    if position.price is None:
        return 0.0
    whole: int = position.price.unit_raw * 10**position.decimals
    return position.amount_raw * position.price.answer_raw / whole


def _exposures(held: Sequence[Sequence[tuple[int, float]]], groups: NDArray[np.int32]) -> Exposures:
    ends = np.cumsum([len(each) for each in held], dtype=np.int64)
    return Exposures(
        starts=np.concatenate([np.zeros(1, np.int64), ends]),
        assets=np.array([asset for each in held for asset, _ in each], np.int32),
        amounts=np.array([amount for each in held for _, amount in each], np.float64),
        bases=np.array([math.fsum(amount for _, amount in each) for each in held], np.float64),
        groups=groups,
    )


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
    """Return the accounts of a book as `HouseBook` takes them."""
    marks: dict[str, tuple[str, Price | None]] = {}
    return [_entry(each.account.id, each.assessment, book.context, marks) for each in book.accounts], marks


def _entry(name: str, assessment: Assessment, context: Context, marks: dict[str, tuple[str, Price | None]]) -> Entry:
    made, holdings = entry_of(name, assessment, context), []
    for (each, _), (leg, amount) in zip(held(assessment), made.holdings, strict=True):
        asset_id = each.item.asset_id
        mark = f"{asset_id} {leg.mark}"
        marks[mark] = asset_id, price_of(each.item.mark, context)
        holdings.append((leg._replace(mark=mark), amount))
    return replace(made, holdings=holdings)


def _moved(price: Price, move: float) -> Price:
    times = max(1 + move, LEAST_PRICE)
    return Price(price.low * times, price.mid * times, price.high * times, price.authorises)
