"""What Aave's rules permit, tried on the protocol's own contracts: at the limit it goes, one unit above it does not."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from chains.evm.aave_v3 import open_book
from chains.model import Permits, UnitSnapshot, VenueUnit
from indexer.loop import rebuild
from indexer.store import Store
from tests.contract.test_aave_parity import block_of
from tests.devnet.evm import aave
from tests.devnet.evm.abi import topic
from tests.devnet.evm.artifacts import aave_bytecode
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.governance import scaled_answer, usual_terms
from tests.devnet.evm.ledger import Tx, invoke, wire
from tests.devnet.evm.market import WSTETH
from tests.devnet.evm.people import borrow_nearly_all, lend_much
from tests.support.indexing import Heard, chain_of, indexed, raw, venue_of
from tests.support.tables import assert_same_tables

TERMS = {"ltv_bps": 7_000, "liquidation_threshold_bps": 8_250, "liquidation_bonus_bps": 10_500}
PLENTY_USD = 500_000_000
STRETCHED = 12
UP, DOWN = False, True
LIQUIDATED = topic("LiquidationCall(address,address,address,uint256,uint256,address,bool)")


class Try(NamedTuple):
    """A transaction on the state after the newest block, and whether it should go through."""

    name: str
    tx: Tx
    goes: bool


@pytest.mark.parametrize("seed", [3, 41])
def test_loans_and_withdrawals_go_up_to_the_limit_and_not_a_unit_above(seed: int, tmp_path: Path) -> None:
    with build(seed=seed, actions=160, stable=seed == 41) as net:
        fill(net)
        units = known(net, tmp_path / "store.duckdb")

        done = tried(net, [each for owner in net.users for each in loans_and_withdrawals(net, owner, units)])

    assert min(done[name] for name in ("borrow", "borrow more", "borrow refused", "withdraw", "withdraw more")) > 20


@pytest.mark.parametrize("seed", [3, 41])
def test_a_liquidation_takes_what_was_said(seed: int, tmp_path: Path) -> None:
    with build(seed=seed, actions=160, stable=seed == 41) as net:
        stretch(net)
        found: Counter[int] = Counter()
        for fall in (-0.07, -0.02, -0.08, -0.1, -0.2):
            net.ledger.do(scaled_answer(net.scene, net.market.reserve("WETH"), fall))
            units = known(net, tmp_path / "store.duckdb")
            found.update(compare_liquidations(net, units))

    assert found[5_000] > 3
    assert found[10_000] > 3


def compare_liquidations(net: Devnet, units: dict[bytes, VenueUnit]) -> Iterator[int]:
    """Try every liquidation that is said to be possible, by its close factor."""
    liquidator = net.scene.liquidator
    for owner in net.users:
        unit = units[raw(owner)]
        said = permits(unit).liquidations
        assert bool(said) == (unit.liquidatable is True and any(p.counts for p in unit.positions if p.side == "supply"))
        for each in said:
            assert each.blocked == ()
            collateral, debt = "0x" + each.collateral.hex(), "0x" + each.debt.hex()
            tx = aave.liquidate(
                net.market, liquidator, collateral=collateral, debt=debt, owner=owner, receive_a_token=True
            )
            (log,) = [log for log in simulated(net, tx) if log["topics"][0] == LIQUIDATED]
            covered, seized = (int(log["data"][2 + 64 * i : 66 + 64 * i], 16) for i in (0, 1))
            assert (each.covered, each.seized) == (covered, seized), f"{owner}: {each}"
            yield each.close_factor


def test_what_keeps_reserves_apart_is_said_and_is_so(tmp_path: Path) -> None:
    with build(seed=9, actions=0, users=6) as net:
        isolated, siloed, frozen, paused, usual, emode = net.users
        market = net.scene.market = aave.list_reserve(net.ledger, net.market, WSTETH)
        staked, usdc, weth, wbtc = (market.reserve(symbol) for symbol in ("wstETH", "USDC", "WETH", "WBTC"))
        net.scene.fund(net.users, market.reserves)
        views = aave.deploy_on(net.ledger, market.admin, "misc/AaveProtocolDataProvider", market.provider)
        net.ledger.do(invoke(market.admin, market.provider, "setPoolDataProvider(address)", views))
        unit = {reserve.symbol: reserve.unit for reserve in market.reserves}
        net.ledger.do(
            aave.configure(market, "setDebtCeiling(address,uint256)", staked.asset, 1_234_56),
            aave.switch(market, "setBorrowableInIsolation", usdc.asset, on=True),
            aave.switch(market, "setSiloedBorrowing", wbtc.asset, on=True),
            aave.supply(market, isolated, staked.asset, 100 * unit["wstETH"]),
            aave.set_collateral(market, isolated, staked.asset, enabled=True),
            *(aave.supply(market, owner, weth.asset, 100 * unit["WETH"]) for owner in net.users[1:]),
        )
        fill(net)
        net.ledger.do(
            aave.borrow(market, isolated, usdc.asset, 34_560_001),
            aave.borrow(market, siloed, wbtc.asset, unit["WBTC"] // 10),
            aave.borrow(market, usual, usdc.asset, 1_000 * unit["USDC"]),
            aave.set_user_emode(market, emode, 1),
        )
        units = known(net, tmp_path / "store.duckdb")
        tries = [each for owner in net.users for each in loans_and_withdrawals(net, owner, units)]
        assert tried(net, tries).total() > 30
        assert why(net, units, isolated) == {
            "wstETH": "isolation_mode",
            "WETH": "isolation_mode",
            "WBTC": "isolation_mode",
        }
        assert (
            lendable(net, units, isolated, "USDC") == 1_200_009_999
        )  # 1,234.56 - 34.56 and the cents that a loan below one does not count
        assert why(net, units, siloed) == dict.fromkeys(("wstETH", "WETH", "USDC"), "siloed_borrowing")
        assert why(net, units, usual) == {"WBTC": "siloed_borrowing"}
        assert why(net, units, emode) == dict.fromkeys(("wstETH", "USDC"), "not_in_category")

        net.ledger.do(aave.configure(market, "setDebtCeiling(address,uint256)", staked.asset, 10_00))
        units = known(net, tmp_path / "store.duckdb")
        assert tried(net, list(loans_and_withdrawals(net, isolated, units)))["borrow refused"] == len(market.reserves)
        assert why(net, units, isolated)["USDC"] == "debt_ceiling"

        net.ledger.do(
            aave.switch(market, "setReserveFreeze", usdc.asset, on=True),
            aave.switch(market, "setReservePause", wbtc.asset, on=True),
            aave.switch(market, "setReserveBorrowing", weth.asset, on=False),
        )
        units = known(net, tmp_path / "store.duckdb")
        tries = [each for owner in (frozen, paused) for each in loans_and_withdrawals(net, owner, units)]
        assert tried(net, tries)["borrow refused"] == 6
        assert why(net, units, frozen) == {
            "USDC": "reserve_frozen",
            "WBTC": "reserve_paused",
            "WETH": "borrowing_disabled",
        }


def test_collateral_that_lends_nothing_goes_first(tmp_path: Path) -> None:
    with build(seed=9, actions=0, users=2) as net:
        owner, other = net.users
        market = net.market
        usdc, weth, wbtc = (market.reserve(symbol) for symbol in ("USDC", "WETH", "WBTC"))
        net.ledger.do(
            aave.supply(market, other, usdc.asset, 100_000 * usdc.unit),
            aave.supply(market, other, weth.asset, 100 * weth.unit),
            aave.supply(market, other, wbtc.asset, 10 * wbtc.unit),
            aave.supply(market, owner, weth.asset, weth.unit),
            aave.supply(market, owner, wbtc.asset, wbtc.unit),
            aave.borrow(market, owner, usdc.asset, 1_000 * usdc.unit),
        )
        net.ledger.do(aave.set_collateral_terms(market, weth.asset, **{**TERMS, "ltv_bps": 0}))
        units = known(net, tmp_path / "store.duckdb")
        assert tried(net, list(loans_and_withdrawals(net, owner, units))).total() > 5
        said = {each.market: each for each in permits(units[raw(owner)]).withdrawable}

    assert said[raw(weth.asset)].most == weth.unit
    assert [reason.code for reason in said[raw(wbtc.asset)].blocked] == ["ltv_zero_first"]


def test_a_paused_reserve_keeps_liquidators_off(tmp_path: Path) -> None:
    with build(seed=3, actions=160) as net:
        stretch(net)
        net.ledger.do(scaled_answer(net.scene, net.market.reserve("WETH"), -0.3))
        net.ledger.do(
            *(aave.switch(net.market, "setReservePause", each.asset, on=True) for each in net.market.reserves)
        )
        units = known(net, tmp_path / "store.duckdb")
        said = [each for unit in units.values() for each in permits(unit).liquidations]

    assert len(said) > 3
    assert {reason.code for each in said for reason in each.blocked} == {"reserve_paused"}


def fill(net: Devnet) -> None:
    """Let the market have more than anybody could take."""
    net.ledger.enrich([net.market.treasury])
    net.scene.fund([net.market.treasury], net.market.reserves, PLENTY_USD)
    net.ledger.do(
        *(
            aave.supply(net.market, net.market.treasury, each.asset, net.scene.amount_of_usd(each, PLENTY_USD))
            for each in net.market.reserves
        )
    )


def stretch(net: Devnet) -> None:
    """Let some people borrow nearly all they may on WETH that they lend."""
    net.ledger.do(*usual_terms(net.scene, "WETH"))
    for owner in net.users[:STRETCHED]:
        net.ledger.mine(aave.set_user_emode(net.market, owner, 0), *lend_much(net.scene, owner, "WETH"))
        net.ledger.mine(*borrow_nearly_all(net.scene, owner))


def test_a_sentinel_keeps_people_from_borrowing_and_from_being_liquidated(tmp_path: Path) -> None:
    path, again = tmp_path / "store.duckdb", tmp_path / "again.duckdb"
    with build(seed=3, actions=60) as net:
        fill(net)
        market, admin = net.market, net.market.admin
        sequencer = net.ledger.deploy(admin, aave_bytecode("mocks/oracle/SequencerOracle"), ["address"], [admin])
        code = aave_bytecode("protocol/configuration/PriceOracleSentinel")
        terms = [market.provider, sequencer, 3_600]
        sentinel = net.ledger.deploy(admin, code, ["address", "address", "uint256"], terms)
        answer = "setAnswer(bool,uint256)"
        net.ledger.do(invoke(admin, sequencer, answer, UP, 1))
        net.ledger.do(invoke(admin, market.provider, "setPriceOracleSentinel(address)", sentinel))
        up = known(net, path)
        net.ledger.do(invoke(admin, sequencer, answer, DOWN, 1))
        net.ledger.idle(5)
        down = known(net, path)
        back = int(net.node.header()["timestamp"], 16)
        net.ledger.do(invoke(admin, sequencer, answer, UP, back))
        net.ledger.idle(3)
        waiting = known(net, path)
        assert (
            tried(net, [each for owner in net.users for each in loans_and_withdrawals(net, owner, waiting)]).total()
            > 30
        )
        net.ledger.mine(seconds=3_700)
        net.ledger.idle(2)
        after = known(net, path)
        assert (
            tried(net, [each for owner in net.users for each in loans_and_withdrawals(net, owner, after)]).total() > 30
        )
        net.ledger.do(invoke(admin, market.provider, "setPriceOracleSentinel(address)", "0x" + "00" * 20))
        without = known(net, path)
        shutil.copyfile(path, again)
        with Store.open(again) as store:
            asyncio.run(rebuild(chain_of(net, url="http://127.0.0.1:9"), [venue_of(net)], [], store, listener=Heard()))

    def refused(units: Mapping[bytes, VenueUnit]) -> int:
        said = [reason.code for unit in units.values() for each in permits(unit).borrowable for reason in each.blocked]
        return said.count("price_oracle_sentinel")

    assert [refused(units) > 0 for units in (up, down, waiting, after, without)] == [False, True, True, False, False]
    assert assert_same_tables(path, again) > 500


def known(net: Devnet, path: Path) -> dict[bytes, VenueUnit]:
    """Every account after the newest block, and the users who have none."""
    indexed(net, path)
    at = block_of(net, net.node.height())
    with Store.open(path) as store, store.reading() as reader:
        value = open_book(reader.venue_snapshot(venue_of(net), at))
        units = {unit.unit_id: value(unit) for unit in reader.unit_snapshots(venue_of(net), at)}
        empty = {
            raw(owner): UnitSnapshot(unit_id=raw(owner), owner=raw(owner), positions={}, settings={})
            for owner in net.users
        }
        return {owner: value(unit) for owner, unit in empty.items()} | units


def permits(unit: VenueUnit) -> Permits:
    assert unit.permits is not None
    found = unit.permits()
    assert found.reasons == unit.reasons
    return found


def loans_and_withdrawals(net: Devnet, owner: str, units: Mapping[bytes, VenueUnit]) -> Iterator[Try]:
    said = permits(units[raw(owner)])
    for each in said.borrowable:
        asset = "0x" + each.market.hex()
        if each.blocked:
            yield Try("borrow refused", aave.borrow(net.market, owner, asset, 1), goes=False)
            continue
        yield Try("borrow", aave.borrow(net.market, owner, asset, each.most), goes=True)
        yield Try("borrow more", aave.borrow(net.market, owner, asset, each.most + 1), goes=False)
    for each in said.withdrawable:
        asset = "0x" + each.market.hex()
        if each.most:
            yield Try("withdraw", aave.withdraw(net.market, owner, asset, each.most), goes=True)
        yield Try("withdraw more", aave.withdraw(net.market, owner, asset, each.most + 1), goes=False)


def tried(net: Devnet, tries: Sequence[Try]) -> Counter[str]:
    """Try everything on the newest block; how often what was tried."""
    block = hex(net.node.height())
    replies = net.node.try_batch([("eth_call", (wire(each.tx), block)) for each in tries])
    for each, reply in zip(tries, replies, strict=True):
        assert ("error" not in reply) == each.goes, f"{each.name}: {each.tx} {reply}"
    return Counter(each.name for each in tries)


def simulated(net: Devnet, tx: Tx) -> list[dict[str, str]]:
    """The logs of a transaction upon the newest block, at its time."""
    header = net.node.header()
    calls = {"blockOverrides": {"time": header["timestamp"]}, "calls": [wire(tx)]}
    (block,) = net.node.call("eth_simulateV1", {"blockStateCalls": [calls]}, header["number"])
    (done,) = block["calls"]
    assert done["status"] == "0x1", done
    return list(done["logs"])


def why(net: Devnet, units: Mapping[bytes, VenueUnit], owner: str) -> dict[str, str]:
    """The first reason why reserves lend an owner nothing, by symbol."""
    said = {each.market: each for each in permits(units[raw(owner)]).borrowable}
    found = {reserve.symbol: said[raw(reserve.asset)].blocked for reserve in net.market.reserves}
    return {symbol: reasons[0].code for symbol, reasons in found.items() if reasons}


def lendable(net: Devnet, units: Mapping[bytes, VenueUnit], owner: str, symbol: str) -> int:
    """What an owner may borrow of a reserve."""
    asset = raw(net.market.reserve(symbol).asset)
    return next(each.most for each in permits(units[raw(owner)]).borrowable if each.market == asset)
