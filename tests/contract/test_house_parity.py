"""The house's health factor is Aave's own, where the house has nothing to add: static haircuts, one price source, the venue's thresholds.

Aave rounds each position to a unit of its base currency, and its contracts up to 3.3 the average threshold to a basis point: between the
house's number and theirs lies that, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest

from aggregator.gather import Catalogue, gather
from aggregator.margin.account import assess
from aggregator.margin.health import context_of, open_units
from aggregator.margin.inputs import Cut, MarginAccount
from aggregator.margin.policy import Policy, parse_policy
from chains.identifiers import Account
from chains.model import Finality, Side, VenueUnit
from indexer.store import Reader, Store
from tests.support.aave_runs import AaveRun
from tests.support.evm_runs import folders
from tests.support.kept import Kept

BASIS_POINTS, WAD = 10_000, 10**18
CLOSE = Fraction(1, 10**12)


def policy() -> Policy:
    """The venue's own thresholds and nothing of the house's; a source may be silent for as long as a run lasts."""
    return parse_policy(
        """
        [status]
        danger_below = 1.1
        watch_below = 1.5
        full_score_at = 3.0
        dust_share = 0.0

        [model]
        haircuts = "static"
        kappa = 1.0

        [class.default]
        haircut = 0.0
        liquidation_threshold = "venue"
        initial_factor = 1.0
        maintenance_factor = 1.0
        heartbeat = "9999d"
        deviation = "0%"
        """
    )


@pytest.fixture(params=sorted(folders("aave")), scope="module")
def run(request: pytest.FixtureRequest) -> AaveRun:
    return AaveRun.load(folders("aave")[request.param])


@pytest.fixture(scope="module")
def stored(run: AaveRun, kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    path = kept.taken_in(run, tmp_path_factory.mktemp(run.name) / "store.duckdb")
    with Store.open(path) as store, store.reading() as reader:
        yield reader


def test_with_static_haircuts_the_house_health_factor_is_aaves(run: AaveRun, stored: Reader) -> None:
    compared = exactly = 0
    for sample in run.samples:
        cuts = {run.chain_id: Cut(block=run.block(sample["block"]), finality=Finality.FINALIZED)}
        for user in sample["accounts"]:
            account = MarginAccount(id=user, members=(str(Account(run.chain_id, bytes.fromhex(user[2:]))),))
            inputs = gather(
                stored, account, cuts, Catalogue(venues=(run.venue(),), feeds=(), assets=(), policy=policy())
            )
            units = [unit for venue in inputs.venues for unit in open_units(venue)]
            found = assess(context_of(inputs), units, chains={run.chain_id}, gaps=())
            if not found.measurable:
                continue
            ((unit,), house) = ([held.unit for held in units], Fraction(found.margins.mid.health_factor))
            said = Fraction(unit.health_factor_wad or 0, WAD)
            low, exact, high = by_hand(unit)
            assert abs(house - exact) <= CLOSE * exact, f"block {sample['block']}: {user}"
            assert low <= said <= high, f"block {sample['block']}: {user}"
            compared += 1
            exactly += abs(house - said) <= CLOSE * said

    assert compared > 50
    assert exactly > 20  # the others are those that Aave's rounding moves by more than 1e-12


def by_hand(unit: VenueUnit) -> tuple[Fraction, Fraction, Fraction]:
    """Return the health factor without any rounding, and the least and the most that Aave's rounding can make of it."""
    base = unit.base_unit or 1
    supplies: list[tuple[Fraction, int]] = []
    debts: list[Fraction] = []
    for item in unit.positions:
        if item.price is None or not item.counts or item.amount_raw == 0:
            continue
        worth = Fraction(item.amount_raw * item.price.answer_raw * base, item.price.unit_raw * 10**item.decimals)
        if item.side is Side.BORROW:
            debts.append(worth)
        else:
            supplies.append((worth, item.liquidation_threshold or 0))
    owed, nothing = sum(debts, Fraction(0)), Fraction(0)
    covering = sum((worth * threshold for worth, threshold in supplies), nothing)
    fewer = sum((max(worth - 1, nothing) * threshold for worth, threshold in supplies), nothing)
    averaged = sum((worth for worth, _ in supplies), nothing) if len({each for _, each in supplies}) > 1 else nothing
    least = max(fewer - averaged - BASIS_POINTS, nothing) / BASIS_POINTS / (owed + len(debts) + 1)
    most = covering / BASIS_POINTS / max(owed - len(debts), Fraction(1))
    return least - Fraction(1, WAD), covering / BASIS_POINTS / owed, most
