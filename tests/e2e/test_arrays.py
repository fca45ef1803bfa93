"""The arrays and the SQL of a store say of everybody what is said of each by itself: on the demonstration and on a recorded market."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aggregator.arrayed import arrays_of
from aggregator.arrays.standing import Numbers
from aggregator.book import AssessedAccount, Book, assess_book
from aggregator.margin.inputs import Cut
from chains.model import Finality
from crossmargin.app import opened, policy_of
from crossmargin.local_desk import LocalDesk
from crossmargin.settings import load
from indexer.store import Store
from tests.e2e.conftest import Indexed
from tests.support.recorded import CONFIGURATION, crossmargin

SQL = """
SELECT
    account_id, health_factor, health_factor_low, health_factor_high, collateral_usd, debt_usd, headroom_usd,
    maintenance_debt_usd, maintenance_excess_usd
FROM public.fct_margin_account
"""


@pytest.fixture(params=["demonstration", "recorded market"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "demonstration":
        played: Path = request.getfixturevalue("played")
        return shutil.copytree(played / "kept", tmp_path / "kept")
    indexed: Indexed = request.getfixturevalue("indexed")
    return indexed.folder


def test_everybody_has_the_numbers_of_his_own_assessment(folder: Path) -> None:
    settings = load(folder / CONFIGURATION, {})
    with opened(settings) as store:
        book = book_of(store, LocalDesk(settings, store, policy_of(settings)))
    standing = arrays_of(book).standing

    assert sum(agrees(entry, standing.account(entry.account.id)) for entry in book.accounts) == len(book.accounts) > 10


def test_sql_says_it_too_as_of_the_snapshot(folder: Path) -> None:
    done = crossmargin(folder, "snapshot", "create", "--json")
    assert done.returncode == 0, done.stderr
    settings = load(folder / CONFIGURATION, {})
    with opened(settings) as store:
        found = store.query(SQL, timeout_s=60, max_rows=100_000)
        book = book_of(store, LocalDesk(settings, store, policy_of(settings)))

    told = {name: Numbers(*numbers) for name, *numbers in found.rows}

    assert set(told) == {entry.account.id for entry in book.accounts}
    assert sum(agrees(entry, told[entry.account.id]) for entry in book.accounts) == len(book.accounts)


def book_of(store: Store, desk: LocalDesk) -> Book:
    with store.reading() as reader:
        cursors = {venue.chain_id: reader.cursor(venue.chain_id) for venue in desk.catalogue.venues}
        cuts = {chain: Cut(block=at.block, finality=Finality.LATEST) for chain, at in cursors.items() if at is not None}
        return assess_book(reader, cuts, desk.catalogue)


def agrees(entry: AssessedAccount, ours: Numbers | None) -> bool:
    theirs = entry.assessment
    low, mid, high = theirs.margins.low, theirs.margins.mid, theirs.margins.high
    assert ours is not None
    near = pytest.approx
    assert ours.collateral == near(mid.collateral, rel=1e-12)
    assert ours.debt == (near(mid.debt, rel=1e-12) if theirs.debt_known else None)
    assert ours.health_factor == (near(mid.health_factor, rel=1e-12) if theirs.measurable else None)
    assert ours.low == (near(low.health_factor, rel=1e-12) if theirs.measurable else None)
    shown = theirs.measurable and theirs.collateral_known
    assert ours.high == (near(high.health_factor, rel=1e-12) if shown else None)
    scale = 1e-12 * (mid.collateral + low.debt)
    assert ours.headroom == (near(low.headroom, rel=1e-12, abs=scale) if theirs.debt_known else None)
    return True
