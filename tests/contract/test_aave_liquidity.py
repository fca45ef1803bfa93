"""How many tokens an Aave reserve has left, before 3.1: what its aToken holds, on the protocol's own contracts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from chains.auditing import Auditable, Controlled
from chains.evm.aave_v3 import liquidity, open_book
from chains.evm.aave_v3.book import Book
from chains.evm.aave_v3.held import MOST_SILENT
from chains.evm.aave_v3.liquidity import left_of
from chains.model import UnitSnapshot, VenueSnapshot, VenueSpec, VenueUnit
from chains.ports import Chain, Outcome
from chains.registry import connect
from indexer.loop import rebuild
from indexer.store import Store
from tests.contract.test_aave_parity import block_of
from tests.contract.test_aave_permits import loans_and_withdrawals, permits, tried
from tests.devnet.evm import aave
from tests.devnet.evm.abi import calldata
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.governance import usual_terms
from tests.devnet.evm.market import Reserve
from tests.support.aave_row_by_row import AaveRowByRow
from tests.support.indexing import Heard, Narrow, chain_of, indexed, raw, take_in, venue_of
from tests.support.tables import assert_same_tables


@pytest.mark.parametrize("seed", [3, 12])
def test_what_events_say_moves_a_reserves_tokens_is_what_its_token_holds(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool of 3.0.2 counts nothing, but emits the events from which it follows what one that counts would say."""
    monkeypatch.setattr(liquidity, "_counts", lambda *_: True)
    path = tmp_path / "store.duckdb"
    with build(seed=seed, actions=220, stable=seed == 12) as net:
        indexed(net, path)
        done = net.tally.succeeded
        with Store.open(path) as store, store.reading() as reader:
            compared = 0
            for number in range(net.market.start_block, net.node.height() + 1):
                markets = reader.venue_snapshot(venue_of(net), block_of(net, number)).markets
                for each in listed(net, number):
                    left = left_of(markets[raw(each.asset), liquidity.ASPECT])
                    assert left is not None
                    assert left.virtual == held_by_its_token(net, each, number), f"{number}: {each.symbol}"
                    assert left.supplied == scaled_supply(net, each, number), f"{number}: {each.symbol}"
                    compared += 1

    assert compared > 300
    kinds = ("flash_loan", "repay_with_a_tokens", "liquidate_for_underlying", "mint_to_treasury", "withdraw")
    assert min(done[kind] for kind in kinds) > 0, done


@pytest.mark.parametrize("seed", [3, 41])
def test_loans_and_withdrawals_go_up_to_what_a_reserve_has_left(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=seed, actions=160, stable=seed == 41) as net:
        drain(net)
        units = known(net, path)
        said = [each for owner in net.users for each in permits(units[raw(owner)]).borrowable]
        taken = [each for owner in net.users for each in permits(units[raw(owner)]).withdrawable]
        done = tried(net, [each for owner in net.users for each in loans_and_withdrawals(net, owner, units)])
        left = {raw(each.asset): held_by_its_token(net, each) for each in net.market.reserves}

    assert not [each for each in (*said, *taken) if each.unknown]
    assert sum(0 < each.most == left.get(each.market) for each in said) > 10
    assert sum(0 < each.most == left.get(each.market) for each in taken) > 0
    assert min(done[name] for name in ("borrow", "borrow more", "withdraw", "withdraw more")) > 10


def test_nothing_is_lent_or_given_back_by_a_reserve_that_has_lent_everything(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=9, actions=0, users=3) as net:
        owner, other, third = net.users
        market = net.market
        usdc, weth = market.reserve("USDC"), market.reserve("WETH")
        net.ledger.do(
            aave.supply(market, owner, weth.asset, 10 * weth.unit),
            aave.supply(market, third, weth.asset, 10 * weth.unit),
            aave.supply(market, other, usdc.asset, 100 * usdc.unit),
            aave.borrow(market, owner, usdc.asset, 100 * usdc.unit),
        )
        units = known(net, path)
        (lent,) = [each for each in permits(units[raw(third)]).borrowable if each.market == raw(usdc.asset)]
        (supplied,) = permits(units[raw(other)]).withdrawable
        assert [each.code for each in lent.blocked] == [each.code for each in supplied.blocked] == ["no_liquidity"]
        assert tried(net, [*loans_and_withdrawals(net, third, units), *loans_and_withdrawals(net, other, units)])

        net.ledger.do(aave.transfer(third, usdc.asset, usdc.a_token, 7))
        net.ledger.idle(3)
        units = known(net, path)
        (lent,) = [each for each in permits(units[raw(third)]).borrowable if each.market == raw(usdc.asset)]
        tried(net, list(loans_and_withdrawals(net, third, units)))

    assert lent.most == 7


def test_gifts_are_found_in_their_block_however_a_history_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut, again, by_row = (tmp_path / f"{name}.duckdb" for name in ("whole", "cut", "again", "by-row"))
    with build(seed=6, actions=120) as net:
        usdc, giver = net.market.reserve("USDC"), net.users[0]
        net.scene.fund([giver], [usdc])
        for amount in (5, 7):
            net.ledger.do(aave.transfer(giver, usdc.asset, usdc.a_token, amount))
            net.ledger.idle(9)
        wbtc = net.market.reserve("WBTC")
        net.scene.fund([giver], [wbtc])
        for _ in range(MOST_SILENT):
            net.ledger.do(aave.transfer(giver, wbtc.asset, wbtc.a_token, 1))
            net.ledger.idle(1)
        restless = net.node.height()
        net.ledger.do(aave.supply(net.market, giver, wbtc.asset, 100))
        net.ledger.idle(2)
        read(net, whole)
        read(net, cut, span=17)
        shutil.copyfile(whole, again)
        with Store.open(again) as store:
            asyncio.run(rebuild(chain_of(net, url="http://127.0.0.1:9"), [reading(net)], [], store, listener=Heard()))
        monkeypatch.setattr("chains.evm.aave_v3.adapter", AaveRowByRow)
        read(net, by_row)

        with Store.open(whole) as store, store.reading() as reader:
            unknown = []
            for number in range(net.market.start_block, net.node.height() + 1):
                reserves = Book(reader.venue_snapshot(reading(net), block_of(net, number))).reserves
                for each in listed(net, number):
                    left = reserves[raw(each.asset)].left
                    if isinstance(left, int):
                        assert left == held_by_its_token(net, each, number), f"{number}: {each.symbol}"
                    else:
                        unknown.append((number, each.symbol))

    assert unknown == [(restless - 1, "WBTC"), (restless, "WBTC")]
    assert assert_same_tables(whole, cut) > 1_000
    assert assert_same_tables(whole, again) > 1_000
    assert assert_same_tables(whole, by_row) > 1_000


def test_what_atokens_hold_is_weighed_with_the_venue(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=2, actions=80) as net:
        read(net, path)
        chain = connect(chain_of(net), [reading(net)], [])
        with Store.open(path) as store:
            with store.reading() as reader:
                snapshot = reader.venue_snapshot(reading(net), block_of(net, net.node.height()))
            found = asyncio.run(weighed(chain, snapshot, store))

    balances = [total for total in found.totals if total.name == "balanceOf"]
    assert {total.market for total in balances} >= {raw(each.asset) for each in net.market.reserves}
    assert all(total.outcome is Outcome.EQUAL and total.ours for total in balances if total.theirs)
    assert {total.outcome for total in found.totals} == {Outcome.EQUAL}


async def weighed(chain: Chain, snapshot: VenueSnapshot, store: Store) -> Controlled:
    assert isinstance(chain, Auditable)
    async with aclosing(chain):
        return await chain.control(snapshot, store.records(snapshot.venue.chain_id))


def drain(net: Devnet) -> None:
    """Let somebody with much else borrow most of what each reserve has."""
    market, rich = net.market, net.market.treasury
    net.ledger.enrich([rich])
    net.scene.fund([rich], market.reserves, 100_000_000)
    weth, *others = sorted(market.reserves, key=lambda each: each.symbol != "WETH")
    net.ledger.do(*usual_terms(net.scene, "WETH"))
    net.ledger.do(aave.supply(market, rich, weth.asset, net.scene.amount_of_usd(weth, 50_000_000)))
    net.ledger.mine(aave.set_collateral(market, rich, weth.asset, enabled=True))
    net.ledger.do(
        *(aave.borrow(market, rich, each.asset, held_by_its_token(net, each) * 999 // 1_000) for each in others)
    )


def reading(net: Devnet) -> VenueSpec:
    """The market, with what its aTokens hold."""
    return replace(venue_of(net), options={"liquidity": "read"})


def read(net: Devnet, path: Path, *, span: int = 10_000) -> Heard:
    chain = Narrow(connect(chain_of(net), [reading(net)], []), span)
    with Store.open(path) as store:
        return asyncio.run(take_in(chain, store))


def known(net: Devnet, path: Path) -> Mapping[bytes, VenueUnit]:
    """Every account after the newest block."""
    read(net, path)
    at = block_of(net, net.node.height())
    with Store.open(path) as store, store.reading() as reader:
        value = open_book(reader.venue_snapshot(reading(net), at))
        units = {unit.unit_id: unit for unit in reader.unit_snapshots(reading(net), at)}
        empty = {
            raw(owner): UnitSnapshot(unit_id=raw(owner), owner=raw(owner), positions={}, settings={})
            for owner in net.users
        }
        return {owner: value(unit) for owner, unit in (empty | units).items()}


def listed(net: Devnet, number: int) -> list[Reserve]:
    return [each for each in net.market.reserves if each.listed_block <= number]


def held_by_its_token(net: Devnet, reserve: Reserve, block: int | str = "latest") -> int:
    return int(net.node.eth_call(reserve.asset, calldata("balanceOf(address)", reserve.a_token), block), 16)


def scaled_supply(net: Devnet, reserve: Reserve, block: int | str = "latest") -> int:
    return int(net.node.eth_call(reserve.a_token, calldata("scaledTotalSupply()"), block), 16)
