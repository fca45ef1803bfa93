"""Recorded runs of Aave 3.3, 3.5 and 3.7: what is stored equals what the contracts said at every sampled block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from chains.model import Side
from chains.registry import connect
from crossmargin.demo.replay import ReplayNode
from indexer.store import Reader, Store
from tests.support.aave_runs import VARIABLE, AaveRun, load, runs
from tests.support.indexing import Heard, take_in

TOKENS = {"aToken": Side.SUPPLY, "variableDebtToken": Side.BORROW}


@pytest.fixture(params=sorted(runs()), scope="module")
def run(request: pytest.FixtureRequest) -> AaveRun:
    return load(runs()[request.param])


@pytest.fixture(scope="module")
def stored(run: AaveRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    path = tmp_path_factory.mktemp(run.name) / "store.duckdb"
    with Store.open(path) as store:
        asyncio.run(index(run, store))
        with store.reading() as reader:
            yield reader


async def index(run: AaveRun, store: Store) -> Heard:
    async with ReplayNode(run.recording()) as node:
        return await take_in(connect(run.spec(node.url), [run.venue()], []), store)


def test_there_are_runs_of_three_versions() -> None:
    if not runs():
        pytest.skip(f"no recorded runs: {VARIABLE} names no folder that holds any")
    assert {name[:9] for name in runs()} >= {"aave-v3.3", "aave-v3.5", "aave-v3.7"}


def test_every_scaled_balance_and_total_is_the_contracts_own(run: AaveRun, stored: Reader) -> None:
    compared = 0
    for sample in run.samples:
        units = {unit.unit_id: unit for unit in stored.unit_snapshots(run.venue(), run.block(sample["block"]))}
        held = {
            (unit.unit_id, market, side): amount
            for unit in units.values()
            for (market, side), amount in unit.positions.items()
            if amount
        }
        expected = {
            (raw(user), raw(asset), TOKENS[name]): int(token["scaledBalanceOf"])
            for user, account in sample["accounts"].items()
            for asset, tokens in account["reserves"].items()
            for name, token in tokens.items()
            if int(token["scaledBalanceOf"])
        }
        assert held == expected, f"block {sample['block']}"
        for asset, reserve in sample["reserves"].items():
            for name, side in TOKENS.items():
                total = sum(
                    amount for (_, market, which), amount in held.items() if (market, which) == (raw(asset), side)
                )
                assert total == int(reserve[name]["scaledTotalSupply"])
        compared += len(expected)

    assert compared > 500


def raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])
