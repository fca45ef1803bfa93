"""Forks of Aave v3 on the protocol's own contracts: the same code under other numbers, by configuration, and code that changes underway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from chains.evm.aave_v3 import AaveV3, open_book
from chains.model import WHOLE_VENUE, VenueSpec
from chains.registry import connect
from indexer.store import Store
from tests.contract.test_aave_parity import block_of, compare, nobody
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.ledger import invoke
from tests.support.indexing import Narrow, chain_of, raw, take_in, venue_of
from tests.support.tables import assert_same_tables

IMPLEMENTATION_SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
MANY = 8
UNTIL_3_1 = {"1": "3.0", "2": "3.0", "4": "3.0"}


def test_a_fork_that_numbers_its_code_itself_is_exact_by_configuration(tmp_path: Path) -> None:
    venue_path, own_path = tmp_path / "fork.duckdb", tmp_path / "own.duckdb"
    with build(seed=11, actions=60, users=12, stable=True) as net:
        renumber(net, 7)
        net.population.run(60)
        head = net.node.height()
        fork = venue(net, {"revisions": {"1": "3.0", "7": "3.0"}})
        index(net, fork, venue_path)
        index(net, venue(net), own_path)

        with Store.open(venue_path) as store, store.reading() as reader:
            assert compare(reader, fork, net, head) > MANY
            engine = json.loads(reader.venue_snapshot(fork, block_of(net, head)).markets[WHOLE_VENUE, "engine"])
        with Store.open(own_path) as store, store.reading() as reader:
            value = open_book(reader.venue_snapshot(venue(net), block_of(net, head)))
            unit = value(nobody(raw(net.users[0])))

    assert (engine["engine"], engine["revision"], engine["said"]) == ("aave-3.0", 1, 7)
    assert unit.native is None
    assert [reason.code for reason in unit.reasons] == ["unsupported_version"]


def test_code_that_changes_underway_is_valued_on_both_sides_however_it_was_cut(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build(seed=12, actions=50, users=12, stable=True) as net:
        before = net.node.height()
        for revision in (2, 4):
            renumber(net, revision)
            net.population.run(50)
        head = net.node.height()
        for path, span in ((whole, 10_000), (cut, 13)):
            index(net, venue(net), path, span)

        with Store.open(whole) as store, store.reading() as reader:
            for number in (before, before + 1, before + 2, (before + head) // 2, head):
                assert compare(reader, venue(net), net, number) > MANY
            engines = [
                json.loads(reader.venue_snapshot(venue(net), block_of(net, number)).markets[WHOLE_VENUE, "engine"])
                for number in (before, (before + head) // 2, head)
            ]

    assert [(engine["engine"], engine["revision"]) for engine in engines] == [
        ("aave-3.0", 1), ("aave-3.0", 2), ("aave-3.1", 4)
    ]  # fmt: skip
    assert assert_same_tables(whole, cut) > 1_000


def test_a_fork_that_goes_on_to_code_that_was_not_named_is_unknown_from_there_on(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=13, actions=40, users=12) as net:
        fork = venue(net, {"revisions": UNTIL_3_1})
        before = net.node.height()
        renumber(net, 5)
        net.ledger.idle(2)
        index(net, fork, path)
        with Store.open(path) as store, store.reading() as reader:
            assert compare(reader, fork, net, before) > MANY
            at = block_of(net, net.node.height())
            unit = open_book(reader.venue_snapshot(fork, at))(nobody(raw(net.users[0])))

    assert unit.native is None
    assert unit.engine_version == "aave-revision-5"


def test_a_token_whose_rounding_nobody_knows_makes_the_market_unknown(tmp_path: Path) -> None:
    known, unknown = tmp_path / "known.duckdb", tmp_path / "unknown.duckdb"
    with build(seed=14, actions=40, users=12) as net:
        token = net.market.reserve("USDC").a_token
        code = net.ledger.deploy(
            net.market.admin, own_bytecode("Renumbered"), ["address", "uint256"], [implementation(net, token), 2]
        )
        update = "updateAToken((address,address,address,string,string,address,bytes))"
        usdc = net.market.reserve("USDC").asset
        terms = (usdc, net.market.treasury, "0x" + "00" * 20, "a", "a", code, b"")
        net.ledger.do(invoke(net.market.admin, net.market.configurator, update, terms))
        net.population.run(30)
        head = net.node.height()
        told = venue(net, {"revisions": UNTIL_3_1, "token_revisions": {"1": "half-up", "2": "half-up"}})
        untold = venue(net, {"revisions": UNTIL_3_1})
        index(net, told, known)
        index(net, untold, unknown)

        with Store.open(known) as store, store.reading() as reader:
            assert compare(reader, told, net, head) > MANY
        with Store.open(unknown) as store, store.reading() as reader:
            unit = open_book(reader.venue_snapshot(untold, block_of(net, head)))(nobody(raw(net.users[0])))

    assert unit.native is None
    assert [reason.code for reason in unit.reasons] == ["unsupported_version"]


def test_who_has_a_discount_on_his_debt_is_unknown_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=15, actions=80, users=12) as net:
        debt = net.scene.owed(net.users)[0]
        token = debt.reserve.variable_debt_token
        say(net, token, "DiscountPercentUpdated(address,uint256,uint256)", [0, debt.owner, 3_000])
        index(net, venue(net), path)
        at = block_of(net, net.node.height())
        with Store.open(path) as store, store.reading() as reader:
            snapshot = reader.venue_snapshot(venue(net), at)
            units = {unit.unit_id: open_book(snapshot)(unit) for unit in reader.unit_snapshots(venue(net), at)}
            sums = store.records(venue(net).chain_id).sums(venue(net).id, at.number)
            assert sums is not None
            asked = {read.address for read in AaveV3(venue(net), b"").totals(snapshot.markets, sums, at)}

    unknown = {owner: [reason.code for reason in unit.reasons] for owner, unit in units.items() if unit.native is None}
    assert unknown == {raw(debt.owner): ["discounted_debt"]}
    assert raw(token) not in asked
    assert raw(debt.reserve.a_token) in asked


def say(net: Devnet, contract: str, signature: str, numbers: Sequence[int | str]) -> None:
    """Let a contract emit an event, as if its code did: the first number is its data, the others its topics."""
    admin, code = net.market.admin, net.node.call("eth_getCode", contract, "latest")
    herald = net.ledger.deploy(admin, own_bytecode("Herald"))
    data, *topics = (int(str(number), 0).to_bytes(32) for number in numbers)
    net.node.call("anvil_setCode", contract, net.node.call("eth_getCode", herald, "latest"))
    net.ledger.do(invoke(admin, contract, "tell(bytes32[],bytes)", [keccak(text=signature), *topics], data))
    net.node.call("anvil_setCode", contract, code)
    net.ledger.idle(1)


def renumber(net: Devnet, revision: int) -> None:
    """Point the pool at code that does what it did, and answers with another revision."""
    code = net.ledger.deploy(
        net.market.admin,
        own_bytecode("Renumbered"),
        ["address", "uint256"],
        [implementation(net, net.market.pool), revision],
    )
    net.ledger.do(invoke(net.market.admin, net.market.provider, "setPoolImpl(address)", code))


def implementation(net: Devnet, proxy: str) -> str:
    word: str = net.node.call("eth_getStorageAt", proxy, IMPLEMENTATION_SLOT, "latest")
    return "0x" + word[-40:]


def venue(net: Devnet, options: Mapping[str, Any] | None = None) -> VenueSpec:
    return replace(venue_of(net), options=options or {})


def index(net: Devnet, spec: VenueSpec, path: Path, span: int = 10_000) -> None:
    with Store.open(path) as store:
        asyncio.run(take_in(Narrow(connect(chain_of(net), [spec], []), span), store))
