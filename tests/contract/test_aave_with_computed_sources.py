"""An Aave market whose prices are computed: all six numbers of every account stay those of its own contracts."""

from __future__ import annotations

from pathlib import Path

from chains.evm.aave_v3 import open_book
from chains.model import Basis
from indexer.store import Reader, Store
from tests.contract.test_aave_parity import block_of, compare
from tests.devnet.evm import aave, feeds
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.computed import DAY, WAD
from tests.devnet.evm.ledger import invoke
from tests.support.indexing import indexed, venue_of


def test_an_account_over_capped_and_discounted_prices_has_the_numbers_of_the_contracts(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=30, users=12, actions=60) as net:
        rate = deploy(net, "SilentRate", "uint256 uint256", 101 * WAD // 100, 0)
        priced_by(net, "WETH", "PlainRatioCap", "address address", rate)
        now = int(net.node.header()["timestamp"], 16)
        own = net.market.reserve("USDC")
        priced_by(net, "USDC", "Discount", "address uint256 uint64", now + 300 * DAY, 10**16)
        first = net.node.height()
        for seconds in (12, 3 * DAY, 12, DAY):
            net.ledger.mine(feeds.transmit(net.node, own.feed, 10**8 + seconds), seconds=seconds)
            net.population.run(12)
        indexed(net, path)
        with Store.open(path) as store, store.reading() as reader:
            compared = sum(
                compare(reader, venue_of(net), net, number) for number in range(first, net.node.height() + 1)
            )
            bases = bases_of(reader, net)

    assert compared > 100
    assert bases == {Basis.EXACT, Basis.SETTLED}


def priced_by(net: Devnet, symbol: str, contract: str, types: str, *arguments: object) -> None:
    """Let the oracle read a reserve's price from a source over its feed."""
    reserve, admin = net.market.reserve(symbol), net.market.admin
    source = net.ledger.deploy(admin, own_bytecode(contract), types.split(), [reserve.feed.proxy, *arguments])
    net.ledger.do(aave.set_source(net.market, reserve.asset, source))
    if contract == "PlainRatioCap":
        time = int(net.node.header()["timestamp"], 16)
        signature = "setCapParameters(uint256,uint256,uint16)"
        net.ledger.do(invoke(admin, source, signature, WAD, time, 5_000))


def deploy(net: Devnet, contract: str, types: str, *arguments: object) -> str:
    return net.ledger.deploy(net.market.admin, own_bytecode(contract), types.split(), arguments)


def bases_of(reader: Reader, net: Devnet) -> set[Basis]:
    """On what the prices of all positions rest at the head."""
    at = block_of(net, net.node.height())
    value = open_book(reader.venue_snapshot(venue_of(net), at))
    units = [value(unit) for unit in reader.unit_snapshots(venue_of(net), at)]
    return {position.price.basis for unit in units for position in unit.positions if position.price is not None}
