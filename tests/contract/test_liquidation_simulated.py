"""A simulated liquidation at a crashed price is the contracts' own: what it takes, what it leaves and what is written off, to the unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from aggregator.risk.liquidation import Borrower, Order, Outcome, Outlet, Scene, Terms
from aggregator.risk.liquidation_run import simulate
from chains.evm.aave_v3 import liquidating as aave_liquidating
from chains.evm.morpho_blue import liquidating as morpho_liquidating
from chains.evm.morpho_blue import open_book as open_morpho
from chains.evm.morpho_blue.events import LIQUIDATE
from chains.model import VenueUnit
from indexer.store import Store
from tests.contract import test_morpho_blue_parity as morpho
from tests.contract.test_aave_permits import LIQUIDATED, fill, known, stretch
from tests.devnet.evm import aave, feeds
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.feeds import answer_of
from tests.devnet.evm.ledger import Tx, wire
from tests.devnet.evm.morpho import PARAMS, Lending, Market
from tests.devnet.evm.morpho import build as build_morpho
from tests.support.indexing import raw

FREELY = Terms(order=Order.MOST_LIQUID, impact_cap=1.0)
"""Nothing is lost by selling, and nothing holds liquidators back."""


def scene(units: Iterable[VenueUnit], moves: dict[bytes, float]) -> Scene:
    exposed = {
        unit.unit_id: found for unit in units if unit.has_debt and unit.liquidating if (found := unit.liquidating())
    }
    borrowers = [
        Borrower(
            name=unit_id.hex(),
            account=unit_id.hex(),
            venue="venue",
            chain="eip155:31337",
            exposed=each,
            assets={lot.asset: lot.asset.hex() for lot in (*each.collaterals, *each.debts)},
        )
        for unit_id, each in exposed.items()
        if not isinstance(each, tuple)
    ]
    names = {name for each in borrowers for name in each.assets.values()}
    return Scene(
        borrowers=tuple(borrowers),
        identities={name: name for name in sorted(names)},
        outlets={name: Outlet(identity=name, fixed=0.0) for name in names},
        moves={asset.hex(): move for asset, move in moves.items()},
    )


def run_at(net: Devnet | Lending, txs: Sequence[Tx], asked: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Do transactions on the newest block, at its time, and ask contracts afterwards; nothing of it stays."""
    header = net.node.header()
    calls = [*map(wire, txs), *({"to": to, "data": data} for to, data in asked)]
    block = {"blockOverrides": {"time": header["timestamp"]}, "calls": calls}
    (done,) = net.node.call("eth_simulateV1", {"blockStateCalls": [block]}, header["number"])
    for each in done["calls"]:
        assert each["status"] == "0x1", bytes.fromhex(each["returnData"][2:])[68:]
    return list(done["calls"])


@pytest.mark.parametrize("seed", [3, 41])
def test_an_aave_account_is_liquidated_step_by_step_as_by_the_pool(seed: int, tmp_path: Path) -> None:
    met: Counter[str] = Counter()
    with build(seed=seed, actions=160, stable=seed == 41) as net:
        fill(net)
        stretch(net)
        weth = net.market.reserve("WETH")
        units = known(net, tmp_path / "store.duckdb")
        old = answer_of(net.node, weth.feed)
        for fall in (-0.05, -0.12, -0.3, -0.6, -0.95):
            new = int(old * (1 + fall))
            outcome = simulate(scene(units.values(), {raw(weth.asset): new / old - 1}), FREELY)
            assert outcome.ended
            for owner in net.users:
                met.update(compare_account(net, owner, outcome, feeds.transmit(net.node, weth.feed, new)))

    assert met["unit"] > 20, met
    assert met["step"] > met["unit"], met


def compare_account(net: Devnet, owner: str, outcome: Outcome, crash: Tx) -> Counter[str]:
    """Do to one account what was simulated, step by step, and compare every step and every balance that is left."""
    steps = [step for step in outcome.steps if step.unit == raw(owner).hex()]
    if not steps:
        return Counter()
    txs = [
        aave.liquidate(
            net.market,
            net.scene.liquidator,
            collateral="0x" + step.collateral,
            debt="0x" + step.debt,
            owner=owner,
            receive_a_token=True,
        )
        for step in steps
    ]
    tokens = [
        (reserve, token)
        for reserve in net.market.reserves
        for token in (reserve.a_token, reserve.variable_debt_token, reserve.stable_debt_token)
        if int(token, 16)
    ]
    asked = [(token, calldata("balanceOf(address)", owner)) for _, token in tokens]
    _, *done = run_at(net, [crash, *txs], asked)
    for step, each in zip(steps, done, strict=False):
        (log,) = [log for log in each["logs"] if log["topics"][0] == LIQUIDATED]
        assert [int(log["data"][2 + 64 * i : 66 + 64 * i], 16) for i in (0, 1)] == [step.paid_raw, step.seized_raw], (
            step
        )
    left = outcome.left[raw(owner).hex()]
    assert isinstance(left, aave_liquidating.Liquidable)
    held = {leg.reserve.asset: leg.supplied for leg in left.account.legs}
    owed = {leg.reserve.asset: leg.owed for leg in left.account.legs}
    found: Counter[tuple[bytes, bool]] = Counter()
    for (reserve, token), each in zip(tokens, done[len(steps) :], strict=True):
        found[raw(reserve.asset), token == reserve.a_token] += int(each["returnData"], 16)
    for (asset, is_supply), balance in found.items():
        assert balance == (held if is_supply else owed).get(asset, 0), f"{owner} {asset.hex()} {is_supply}: {steps}"
    return Counter(unit=1, step=len(steps))


@pytest.mark.parametrize("seed", [1, 20])
def test_a_morpho_position_is_liquidated_as_by_the_contract(seed: int, tmp_path: Path) -> None:
    met: Counter[str] = Counter()
    with build_morpho(seed=seed) as lending:
        path, head = tmp_path / "store.duckdb", lending.node.height()
        morpho.indexed(lending, path)
        with Store.open(path) as store, store.reading() as reader:
            at = morpho.block_of(lending, head)
            value = open_morpho(reader.venue_snapshot(morpho.venue_of(lending), at))
            units = [value(unit) for unit in reader.unit_snapshots(morpho.venue_of(lending), at)]
        ether = {raw(m.collateral.address) for m in lending.markets if m.collateral.symbol in {"WETH", "LST"}}
        old = answer_of(lending.node, lending.feeds["ETH"])
        for tenths in range(10, 0, -1):
            new = old * tenths // 10
            outcome = simulate(scene(units, dict.fromkeys(ether, new / old - 1)), FREELY)
            crash = feeds.transmit(lending.node, lending.feeds["ETH"], new)
            for market in lending.markets:
                if not market.priced or not market.modelled:
                    continue
                for owner in lending.everybody:
                    met.update(compare_position(lending, market, owner, outcome, crash))

    assert met["unit"] > 10, met
    assert met["forgiven"] > 5, met
    assert met["repaid"] > 1, met


def compare_position(lending: Lending, market: Market, owner: str, outcome: Outcome, crash: Tx) -> Counter[str]:
    """Liquidate a position as was simulated, and compare what was taken, repaid and written off."""
    name = (raw(market.id) + raw(owner)).hex()
    steps = [step for step in outcome.steps if step.unit == name]
    if not steps:
        return Counter()
    (step,) = steps
    left = outcome.left[name]
    assert isinstance(left, morpho_liquidating.Liquidable)
    held = lending.held(market, owner)
    seized, shares = (held.collateral, 0) if not left.pledged.amount_raw else (0, held.borrow_shares)
    signature = f"liquidate({PARAMS},address,uint256,uint256,bytes)"
    tx = lending.invoke(lending.liquidator, signature, market.params, owner, seized, shares, b"")
    asked = calldata("position(bytes32,address)", raw(market.id), owner)
    _, liquidated, position = run_at(lending, [crash, tx], [(lending.address, asked)])
    (log,) = [log for log in liquidated["logs"] if log["topics"][0] == "0x" + LIQUIDATE.topic0.hex()]
    paid, _, taken, lost, _ = decode(["uint256"] * 5, log["data"])
    assert (step.paid_raw, step.seized_raw) == (paid, taken), f"{market.name} {owner}: {step}"
    _, owed, collateral = decode(["uint256", "uint128", "uint128"], position["returnData"])
    assert (left.shares, left.pledged.amount_raw) == (owed, collateral)
    each = outcome.times[step.debt] / 10 ** (market.loan.decimals or 0)
    assert step.forgiven == pytest.approx(lost * each, rel=1e-12)
    return Counter(unit=1, forgiven=int(lost > 0), repaid=int(owed == 0 and collateral > 0))
