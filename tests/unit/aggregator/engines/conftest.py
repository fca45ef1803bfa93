"""Books of random holdings: one in a store, one with odd owners."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aggregator.book import Book
from aggregator.engines import partitions
from aggregator.engines.laying import laid
from aggregator.engines.partitions import Asked, parts_of, put_risk
from aggregator.risk.scenarios import Scenario, failures, grid, shocked
from aggregator.stressing import held_of
from chains.model import Side
from crossmargin.stress_documents import library, library_text
from indexer.store import Store
from tests.unit.aggregator.arrays.books import ESTIMATED, OTHERS, toy
from tests.unit.aggregator.arrays.test_sql import told
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, USDC, WETH, Holding
from tests.unit.aggregator.test_stressing import book, borrowers, owner

ACCOUNTS = 200
SMALL = 7
"""Rows of a file, so that a small book has many."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    chance = random.Random(7)
    assets = range(ESTIMATED + OTHERS)
    book = {
        f"account-{number:03d}": [
            (asset, chance.choice((Side.SUPPLY, Side.SUPPLY, Side.BORROW)), chance.lognormvariate(3, 2))
            for asset in chance.sample(assets, chance.randint(0, 5))
        ]
        for number in range(ACCOUNTS)
    }
    made = Store.open(tmp_path_factory.mktemp("engines") / "store.duckdb")
    told(made, toy(book, seed=3))
    return made


@pytest.fixture
def odd() -> Book:
    """Owners on one chain and on both, one with nothing but debt, one without, and one of whom next to nothing is lacking."""
    tiny = [
        Holding(supplied={WETH: 1e-9}, owed={USDC: 500.0}, owner=owner(900)),
        Holding(supplied={USDC: 1e9}, owed={}, owner=owner(901)),
        Holding(supplied={WETH: 1.0}, owed={USDC: 1_600.0}, owner=owner(902)),
    ]
    return book({CHAIN: [*borrowers(40, 1), *tiny], OTHER_CHAIN: borrowers(30, 2)})


@pytest.fixture
def scenarios(odd: Book) -> list[Scenario]:
    held = held_of(odd, library().mapping.market)
    return [*grid(library(), held), *failures(library(), held), shocked("mixed", {"ETH": -0.31, "USDC": 0.02}, held)]


def put_cut(odd: Book, scenarios: list[Scenario], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write a book in files of `SMALL` rows, and name them."""
    monkeypatch.setattr(partitions, "ROWS_A_FILE", SMALL)
    asked = Asked(library=library_text(), scenarios=tuple(scenarios), curves=True, said={"as_of": {}})
    put_risk(laid(odd.inputs), asked, folder)
    return parts_of(folder)
