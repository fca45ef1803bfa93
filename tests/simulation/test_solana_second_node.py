"""Accounts that two nodes say alike are agreed; where only one answers, coverage says less; where they differ, nothing is taken in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chains.errors import NodeWrong
from chains.identifiers import base58
from chains.ports import Covered
from chains.registry import connect
from crossmargin.coverage import is_short
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.faults import Answer, Elsewhere, HttpError
from tests.devnet.solana.server import Server
from tests.simulation.test_solana_members import MARKET, compare, look, spec, venue
from tests.support.purses import Purses, World

LISTS, READS = "getProgramAccounts", "getMultipleAccounts"


@pytest.fixture
def net() -> Iterator[Devnet]:
    with build(seed=5, users=2, actions=0) as net:
        yield net


@pytest.fixture(autouse=True)
def purses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chains.solana.chain._adapter", Purses)


def levels(
    net: Devnet, second: Server, path: Path, *, faults: AbstractContextManager[Any] | None = None
) -> list[Covered]:
    """What is covered of purses over some looks that two nodes are asked for, the last ones under a fault."""
    world = World(net.ledger, MARKET, seed=51)
    both = replace(spec(net, "confirmed"), rpc=(net.url, second.url), completeness="second-node")

    async def live(store: Store) -> list[Covered]:
        chain = connect(both, [venue(net)], [])
        try:
            for turn in range(6):
                world.live(2)
                world.make()
                net.ledger.mine()
                net.ledger.idle(1)
                with (faults if turn == 5 and faults else None) or nullcontext():
                    await look(chain, store)
                compare(net, store, world)
        finally:
            await chain.aclose()
        with store.reading() as reader:
            return sorted(
                (span for span in reader.coverage(net.chain_id) if span.interest == "purses"),
                key=lambda span: span.first,
            )

    with Store.open(path) as store:
        found = asyncio.run(live(store))
    assert all(is_short(both, span) == (span.level == "observed") for span in found)
    assert not any(is_short(spec(net), span) for span in found)
    return found


def test_what_two_nodes_say_alike_is_agreed(net: Devnet, tmp_path: Path) -> None:
    with net.serve() as second:
        found = levels(net, second, tmp_path / "store.duckdb")
        assert second.requests.count(LISTS) >= 6
    assert {span.level for span in found} == {"agreed"}


def test_a_list_of_another_slot_is_made_up_for_by_reading(net: Devnet, tmp_path: Path) -> None:
    with net.serve() as second:
        elsewhere = second.faults.inject(Elsewhere(slots=1), LISTS, where=lambda params: "dataSlice" in params[1])
        found = levels(net, second, tmp_path / "store.duckdb", faults=elsewhere)
    assert found[0].level == "agreed"


@pytest.mark.parametrize("kind", ["behind", "broken"])
def test_where_one_node_answers_coverage_says_so(kind: str, net: Devnet, tmp_path: Path) -> None:
    with net.serve(lag=6 if kind == "behind" else 0) as second:
        if kind == "broken":
            second.faults.inject(HttpError(), LISTS)
        found = levels(net, second, tmp_path / "store.duckdb")
    assert {span.level for span in found} == {"observed"}
    assert all("no second node" in span.evidence for span in found)


def test_nodes_that_contradict_each_other_are_named_and_nothing_is_taken_in(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=52)
    world.make()
    net.ledger.mine()
    net.ledger.idle(1)
    (purse,), slot = world.open, net.ledger.tip.slot - 1
    image = {"lamports": 1, "owner": base58(b"\x01" * 32), "data": ["", "base64"]}

    async def live(store: Store, url: str) -> None:
        chain = connect(
            replace(spec(net, "confirmed"), rpc=(net.url, url), completeness="second-node"), [venue(net)], []
        )
        try:
            await look(chain, store)
        finally:
            await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store, net.serve() as second:
        nothing = Answer(result={"context": {"slot": slot}, "value": []})
        other = Answer(result={"context": {"slot": slot}, "value": [image]})
        second.faults.inject(nothing, LISTS, where=lambda params: {"dataSize": 88} in params[1]["filters"])
        second.faults.inject(other, READS, where=lambda params: params[0] == [base58(purse)])
        with pytest.raises(
            NodeWrong, match=f"two nodes say different things of account {base58(purse)} at slot {slot}"
        ):
            asyncio.run(live(store, second.url))
        assert store.cursor(net.chain_id) is None
