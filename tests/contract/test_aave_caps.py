"""What is left of borrow caps, tried on the protocol's own contracts, and what no event tells of a reserve's tokens."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from chains.evm.aave_v3.book import Book
from chains.evm.aave_v3.maths import ray_mul
from indexer.store import Store
from tests.contract.test_aave_parity import block_of
from tests.contract.test_aave_permits import Try, fill, known, loans_and_withdrawals, permits, tried
from tests.devnet.evm import aave
from tests.devnet.evm.abi import calldata
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.ledger import Tx
from tests.devnet.evm.market import Reserve
from tests.support.indexing import indexed, raw, venue_of


@pytest.mark.parametrize("seed", [3, 12])
def test_loans_go_up_to_what_is_left_of_the_cap(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=seed, actions=160, stable=seed == 12) as net:
        fill(net)
        market = net.market
        owed = {each.symbol: owed_by_all(net, each) for each in market.reserves}
        caps = {each.symbol: owed[each.symbol].total // each.unit + 1 for each in market.reserves}
        net.ledger.do(*(cap(net, each, caps[each.symbol]) for each in market.reserves))
        units = known(net, path)
        left = {
            raw(each.asset): caps[each.symbol] * each.unit - owed_by_all(net, each).total for each in market.reserves
        }
        said = [each for owner in net.users for each in permits(units[raw(owner)]).borrowable]
        assert all(each.cap_left == left.get(each.market) for each in said)
        at_the_cap = [each for each in said if each.most and each.most == each.cap_left]
        assert {each.market for each in at_the_cap} == set(left)
        assert len(at_the_cap) > 20
        assert any(total.stable for total in owed.values()) == (seed == 12)
        done = tried(net, [each for owner in net.users for each in loans_and_withdrawals(net, owner, units)])
        assert done["borrow more"] > 20

        net.ledger.do(*(cap(net, each, max(owed[each.symbol].total // each.unit, 1)) for each in market.reserves))
        units = known(net, path)
        used = [each for owner in net.users for each in permits(units[raw(owner)]).borrowable if each.cap_left == 0]
        assert len(used) > 20
        assert all("borrow_cap" in [reason.code for reason in each.blocked] for each in used)
        assert tried(net, [each for owner in net.users for each in loans_and_withdrawals(net, owner, units)])[
            "borrow refused"
        ] >= len(used)


@pytest.mark.parametrize("seed", [12, 41])
def test_what_all_accounts_owe_is_what_the_tokens_count(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    stable = 0
    with build(seed=seed, actions=160, stable=True) as net:
        indexed(net, path)
        with Store.open(path) as store, store.reading() as reader:
            for number in range(net.market.start_block + 60, net.node.height() + 1, 3):
                reserves = Book(reader.venue_snapshot(venue_of(net), block_of(net, number))).reserves
                for each in net.market.reserves:
                    if (ours := reserves.get(raw(each.asset))) is None:
                        continue
                    tokens = owed_by_all(net, each, number)
                    assert ours.scaled_debt is not None
                    assert (ray_mul(ours.scaled_debt, ours.debt), ours.stable_debt) == tokens, f"{number}: {each}"
                    stable += bool(tokens.stable)
    assert stable > 20


def test_that_a_reserve_may_have_lent_its_tokens_out_is_said(tmp_path: Path) -> None:
    with build(seed=9, actions=0, users=2) as net:
        owner, other = net.users
        market = net.market
        usdc, weth = market.reserve("USDC"), market.reserve("WETH")
        net.ledger.do(
            aave.supply(market, owner, weth.asset, 10 * weth.unit),
            aave.supply(market, other, usdc.asset, 100 * usdc.unit),
            aave.borrow(market, owner, usdc.asset, 99 * usdc.unit),
        )
        units = known(net, tmp_path / "store.duckdb")
        (lent,) = [each for each in permits(units[raw(owner)]).borrowable if each.market == raw(usdc.asset)]
        (supplied,) = permits(units[raw(other)]).withdrawable
        tries = [
            Try("borrow", aave.borrow(market, owner, usdc.asset, lent.most), goes=False),
            Try("withdraw", aave.withdraw(market, other, usdc.asset, supplied.most), goes=False),
            Try("borrow", aave.borrow(market, owner, usdc.asset, usdc.unit), goes=True),
        ]
        assert tried(net, tries).total() == len(tries)

    assert lent.most > usdc.unit
    for each in (lent, supplied):
        assert [(reason.code, reason.subject) for reason in each.unknown] == [("liquidity_unknown", usdc.asset)]


class Owed(NamedTuple):
    """What the tokens of a reserve say that all accounts owe, in token units."""

    variable: int
    stable: int

    @property
    def total(self) -> int:
        return self.variable + self.stable


def owed_by_all(net: Devnet, reserve: Reserve, block: int | str = "latest") -> Owed:
    tokens = (reserve.variable_debt_token, reserve.stable_debt_token)
    return Owed(*(int(net.node.eth_call(token, calldata("totalSupply()"), block), 16) for token in tokens))


def cap(net: Devnet, reserve: Reserve, tokens: int) -> Tx:
    return aave.configure(net.market, "setBorrowCap(address,uint256)", reserve.asset, tokens)
