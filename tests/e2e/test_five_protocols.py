"""One account with members on Aave on two chains, Morpho, Kamino and Drift: one document, each venue with its own exact numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from chains.identifiers import base58, from_base58
from chains.model import Block, VenueSpec, VenueUnit
from tests.contract.test_solana_lending_live import (
    BEFORE,
    CASES,
    Expected,
    Sample,
    account_bytes,
    configured,
    put,
    samples_of,
)
from tests.devnet.evm.morpho import Lending, Market, build
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.support import drift_runs
from tests.support.drift_story import story
from tests.support.programs import deploy
from tests.support.recorded import configure, crossmargin, nodes_running, numbers_at, owner_of, recorded

SAMPLES = 12
MORPHO_CHAIN = 31_400
AAVE = (
    "totalCollateralBase",
    "totalDebtBase",
    "availableBorrowsBase",
    "currentLiquidationThreshold",
    "ltv",
    "healthFactor",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Solana cluster with one venue on it, and what the bytes on it are worth by the protocol's own folder."""

    venue: VenueSpec
    ledger: Ledger
    url: str
    chain_id: str
    first: int
    units: Sequence[VenueUnit]

    @property
    def debtor(self) -> VenueUnit:
        """Somebody who owes and whose numbers are known."""
        return next(unit for unit in self.units if unit.native and unit.has_debt)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All five venues, and the document of the one account."""

    lending: Lending
    borrower: tuple[Market, str]
    kamino: Cluster
    drift: Cluster
    document: Mapping[str, Any]

    def units(self, venue: str) -> list[Mapping[str, Any]]:
        return [unit for found in self.document["venues"] if found["venue"] == venue for unit in found["units"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("five-protocols")
    (klend,) = (each for each in CASES if each.parent.name == "klend")
    with ExitStack() as stack:
        nodes = stack.enter_context(nodes_running())
        lending = stack.enter_context(build(chain_id=MORPHO_CHAIN, seed=20))
        kamino = cluster(stack, configured(klend), samples_of(klend)[:SAMPLES], seed=9)
        drift = cluster(stack, drift_runs.venue(), story(3, 4, plain=True), seed=10)
        borrower = borrower_of(lending)
        north, south = recorded()
        members = [
            *(f"{recording.chain_id}:{owner_of('stretched')}" for recording in (north, south)),
            f"eip155:{MORPHO_CHAIN}:{borrower[1]}",
            *(f"{each.chain_id}:{base58(each.debtor.owner)}" for each in (kamino, drift)),
        ]
        more = [morpho_tables(lending), solana_tables(kamino, "kamino-market"), solana_tables(drift, "drift-main")]
        account = f'[[account]]\nid = "everywhere"\nmembers = {json.dumps(members)}\n'
        configure(
            folder, [nodes.start(each) for each in (north, south)], lambda text: "\n".join([text, *more, account])
        )
        indexed = crossmargin(folder, "index", "--until", "latest")
        assert indexed.returncode == 0, indexed.stderr
        asked = crossmargin(folder, "health", "everywhere", "--json")
        assert asked.stdout, asked.stderr
        yield World(lending=lending, borrower=borrower, kamino=kamino, drift=drift, document=json.loads(asked.stdout))


def cluster(stack: ExitStack, venue: VenueSpec, samples: Sequence[Sample], *, seed: int) -> Cluster:
    """Put accounts on a ledger as they changed, and value each unit of them at its head."""
    slot, time, _ = samples[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger, expected = Ledger(genesis_hash=genesis_hash(seed), first_slot=first, genesis_time=began), Expected(venue)
    for program in {wanted.program for wanted in expected.fold.sets}:
        deploy(ledger, program, first - 1)
    ledger.mine()
    for slot, _, changed in samples:
        ledger.skip(slot - ledger.tip.slot - 1)
        put(ledger, changed)
        ledger.mine()
        expected.take([(from_base58(name), account_bytes(slot, said)) for name, said in sorted(changed.items())])
    ledger.mine()
    server = stack.enter_context(Server(ledger))
    at = Block(number=slot, hash=b"", parent_hash=b"", time=ledger.time_of(slot))
    return Cluster(
        venue=venue,
        ledger=ledger,
        url=server.url,
        chain_id=f"solana:{str(ledger.genesis_hash)[:32]}",
        first=first,
        units=[*expected.units(at)],
    )


def borrower_of(lending: Lending) -> tuple[Market, str]:
    """Somebody who owes in a market whose price and rate are known."""
    head = lending.node.height()
    return next(
        (market, person)
        for market in lending.markets
        for person in lending.people
        if market.priced and market.modelled and lending.held(market, person, head).borrow_shares
    )


def test_each_venue_answers_with_its_own_numbers(world: World) -> None:
    north, south = recorded()
    for recording in (north, south):
        (unit,) = world.units(f"aave-{recording.label}")
        expected = numbers_at(recording, recording.story["last_block"], owner_of("stretched"))
        assert [unit["native"][name] for name in AAVE] == [*expected]
    assert_morpho(world)
    for found, name in ((world.kamino, "kamino-market"), (world.drift, "drift-main")):
        mine = {base58(each.unit_id): each for each in found.units if each.owner == found.debtor.owner}
        said = {each["unit_id"]: each for each in world.units(name)}
        assert said.keys() == mine.keys()
        for unit_id, ours in mine.items():
            assert ours.native is not None
            assert said[unit_id]["native"] == {key: str(value) for key, value in ours.native.items()}
            assert said[unit_id]["liquidatable"] == ours.liquidatable


def assert_morpho(world: World) -> None:
    market, person = world.borrower
    head = world.lending.node.height()
    _, numbers, people = world.lending.probed(market, head)
    held, price = people[person], world.lending.price(market, head)
    (unit,) = (each for each in world.units("morpho") if each["unit_id"].startswith(market.id))
    owed = -(-held.borrow_shares * (numbers.borrow_assets + 1) // (numbers.borrow_shares + 10**6))
    assert unit["native"]["borrowAssets"] == str(owed)
    assert unit["native"]["collateral"] == str(held.collateral)
    assert unit["native"]["collateralPrice"] == str(price)
    assert unit["liquidatable"] is not world.lending.refuses_to_liquidate(market, person, head)


def test_the_account_is_as_good_as_its_worst_unit_and_is_valued_over_all(world: World) -> None:
    document = world.document
    units = [unit for venue in document["venues"] for unit in venue["units"]]
    known = [unit["health_factor"] for unit in units if unit["health_factor"] is not None]

    assert {venue["protocol"] for venue in document["venues"]} >= {"aave-v3", "morpho-blue", "kamino", "drift"}
    assert len(document["as_of"]) == 5
    assert document["min_unit_health_factor"] == min(known, key=float)
    assert float(document["collateral"]["raw"]) > float(document["collateral"]["haircut"]) > 0
    assert document["status"] == "liquidatable"
    assert document["health_factor"] is not None
    owed = sum(
        float(position["value_usd"])
        for venue in document["venues"]
        for unit in venue["units"]
        for position in unit["positions"]
        if position["side"] == "borrow"
    )
    assert float(document["debt"]["raw"]) == pytest.approx(owed, rel=1e-6)


def morpho_tables(lending: Lending) -> str:
    chain_id = f"eip155:{MORPHO_CHAIN}"
    return f"""
[[chain]]
id = "{chain_id}"
rpc = ["{lending.node.url}"]
finality = "finalized"
start_block = 0

[[venue]]
id = "morpho"
protocol = "morpho-blue"
chain = "{chain_id}"
address = "{lending.address}"
start_block = {lending.start_block}
""" + "".join(
        f"""
[[asset]]
id = "{chain_id}/erc20:{address}"
class = "major"

[[feed]]
asset = "{chain_id}/erc20:{address}"
kind = "chainlink"
address = "{lending.feeds[name].proxy}"
heartbeat = "9999h"
"""
        for name, address in tokens_of(lending).items()
    )


def tokens_of(lending: Lending) -> Mapping[str, str]:
    """The tokens that a feed of the devnet gives the price of in dollars, by the feed's name."""
    tokens = {token.symbol: token.address for market in lending.markets for token in (market.loan, market.collateral)}
    return {"USDC": tokens["USDC"], "ETH": tokens["WETH"]}


def solana_tables(found: Cluster, name: str) -> str:
    options = "\n".join(f"{key} = {json.dumps(value)}" for key, value in found.venue.options.items())
    return f"""
[[chain]]
id = "{found.chain_id}"
rpc = ["{found.url}"]
finality = "confirmed"
start_block = {found.first}

[[venue]]
id = "{name}"
protocol = "{found.venue.protocol}"
chain = "{found.chain_id}"
address = "{base58(found.venue.address)}"
start_block = {found.first}
{options}
"""
