"""A book of random holdings, in a store."""

from __future__ import annotations

import random

import pytest

from chains.model import Side
from indexer.store import Store
from tests.unit.aggregator.arrays.books import ESTIMATED, OTHERS, toy
from tests.unit.aggregator.arrays.test_sql import told

ACCOUNTS = 200


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
