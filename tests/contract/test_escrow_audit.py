"""Escrows beside their own contracts: what each depositor has, what all have together, and what is there for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from pathlib import Path

from chains.auditing import Auditable, Controlled
from chains.model import Block, VenueSpec
from chains.ports import Checked, Cover, Outcome
from chains.registry import connect
from indexer.store import Store
from tests.contract.test_escrow_kinds import chain_of, custody_of, indexed, margin_of, shares_of
from tests.devnet.evm import escrows
from tests.devnet.evm.escrows import CUSTODY, MARGIN, SHARES, Escrows
from tests.support.indexing import raw

VIEW = "collateral(bytes32 account, address token) returns (int256)"


def test_a_vault_that_has_a_view_of_an_account_is_asked_by_it(tmp_path: Path) -> None:
    with escrows.build(seed=1) as net:
        net.run(80, MARGIN)
        spec = margin_of(net, balance_view=VIEW, check_every=5)
        indexed(net, spec, tmp_path / "store.duckdb")
        checks, whole = audited(net, spec, tmp_path / "store.duckdb")

    assert Counter((check.view, check.outcome) for check in checks) == {("collateral", Outcome.EQUAL): len(checks)}
    assert len(checks) > 4
    assert {check.market for check in checks} >= {b"slip44:60"}
    assert {total.outcome for total in whole.told} == {Outcome.EQUAL}
    assert {held.asset for held in whole.holdings} >= {b"slip44:60"}
    assert all(held.outcome in {Cover.COVERED, Cover.SHORT} for held in whole.holdings)


def test_a_vault_whose_tokens_lie_elsewhere_is_not_weighed_by_its_own_balance(tmp_path: Path) -> None:
    with escrows.build(seed=1) as net:
        net.run(20, MARGIN)
        spec = margin_of(net, held_elsewhere=True)
        indexed(net, spec, tmp_path / "store.duckdb")
        checks, whole = audited(net, spec, tmp_path / "store.duckdb")

    assert (list(checks), whole.holdings) == ([], ())


def test_shares_of_all_holders_are_the_vault_s_supply(tmp_path: Path) -> None:
    with escrows.build(seed=2) as net:
        net.run(60, SHARES)
        spec = shares_of(net)
        indexed(net, spec, tmp_path / "store.duckdb")
        checks, whole = audited(net, spec, tmp_path / "store.duckdb")

    assert {(total.name, total.outcome) for total in whole.totals} == {("totalSupply", Outcome.EQUAL)}
    assert {(check.view, check.outcome) for check in checks} == {("balanceOf", Outcome.EQUAL)}
    assert sum(bool(check.ours and check.ours["balanceOf"]) for check in checks) > 1


def test_what_addresses_hold_is_asked_of_each_token_and_of_the_node(tmp_path: Path) -> None:
    with escrows.build(seed=3) as net:
        net.run(60, CUSTODY)
        spec = custody_of(net)
        indexed(net, spec, tmp_path / "store.duckdb")
        checks, whole = audited(net, spec, tmp_path / "store.duckdb")

    assert {(check.view, check.outcome) for check in checks} == {
        ("balanceOf", Outcome.EQUAL),
        ("eth_getBalance", Outcome.EQUAL),
    }
    assert whole.holdings == ()


def audited(net: Escrows, spec: VenueSpec, path: Path) -> tuple[list[Checked], Controlled]:
    """Ask about everybody and about the whole venue at the head."""
    header = net.node.header(net.node.height())
    at = Block(
        number=net.node.height(),
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )
    with Store.open(path) as store, store.reading() as reader:
        snapshot, units = reader.venue_snapshot(spec, at), reader.unit_snapshots(spec, at)

        async def ask() -> tuple[list[Checked], Controlled]:
            async with aclosing(connect(chain_of(net), [spec], [])) as chain:
                assert isinstance(chain, Auditable)
                checks = list(await chain.audit(snapshot, units))
                return checks, await chain.control(snapshot, store.records(spec.chain_id))

        return asyncio.run(ask())
